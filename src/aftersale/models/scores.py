"""Which scores enter the ledger, and when has one changed enough to be told?

A score is computed for everybody, but decisions may only see what the ledger tells, so that they
can be repeated. It tells a score when its band changes, or when its value moves by a step that
somebody could act on; what moves less would only make the ledger long.
"""

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.kernel.instants import DAY
from aftersale.models.gammas import Numbers


class Score(msgspec.Struct, frozen=True):
    """One score: what it is, and from which step on a move of it is told."""

    name: str
    type: Literal["number", "instant"]
    doc: str
    step: float
    """By how much the value must move, in its unit (instants: microseconds)."""
    relative: bool = False
    """Whether `step` is a share of the value told before."""
    bands: tuple[str, ...] = ()
    by_product: bool = False


class Card(msgspec.Struct, frozen=True):
    """What one model is, how it did on the shop's own past, and whether it is in use."""

    name: str
    version: str
    rows: int
    """Customers (or customers and products) of whom it says something."""
    measure: str
    """What the two figures count; lower is better."""
    baseline: float | None
    """Of the better simple way; None where nothing could be judged."""
    model: float | None
    verdict: str
    """on, or off."""
    why: str
    """Why it is off, or on which lower step of its ladder it stands."""
    seconds: float


SCORES = {
    score.name: score
    for score in (
        Score(
            "churn",
            "number",
            "Probability, 0 to 1, that the customer buys nothing in the next 90 days.",
            0.1,
            bands=("low", "medium", "high"),
        ),
        Score(
            "next_order",
            "instant",
            "When the next order is expected, where one is expected soon.",
            float(3 * DAY),
        ),
        Score(
            "value",
            "number",
            "Discounted spend expected in the next 12 months, in the main currency.",
            0.2,
            relative=True,
            bands=("bottom", "low", "middle", "high", "top"),
        ),
        Score(
            "engagement",
            "number",
            "Share of the customers, 0 to 1, who do less than this one (weeks with any act).",
            0.1,
            bands=("low", "medium", "high"),
        ),
        Score(
            "satisfaction",
            "number",
            "What the customer says of the shop, 1 to 5, drawn to what all say.",
            0.3,
            bands=("unhappy", "neutral", "happy"),
        ),
        Score(
            "price_sensitivity",
            "number",
            "Share of orders bought with a discount or code, 0 to 1, drawn to that of all.",
            0.1,
            bands=("low", "medium", "high"),
        ),
        Score(
            "health",
            "number",
            "Mean, 0 to 1, of staying (1 - churn), satisfaction and engagement, where known.",
            0.1,
            bands=("poor", "fair", "good"),
        ),
        Score(
            "run_out",
            "number",
            "Days that the customer's latest purchase of a product lasts.",
            0.1,
            relative=True,
            by_product=True,
        ),
    )
}
"""Name → score."""


def moved(score: Score, before: Numbers, now: Numbers) -> NDArray[np.bool_]:
    """Where a value is to be told again; NaN stands for no value, and has moved from any other."""
    both = ~np.isnan(before) & ~np.isnan(now)
    step = score.step * np.abs(before) if score.relative else score.step
    far = both & (np.abs(now - before) >= np.where(both, step, 0.0)) & (now != before)
    found: NDArray[np.bool_] = far | (np.isnan(before) != np.isnan(now))
    return found
