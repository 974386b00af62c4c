"""Which scores enter the ledger, and when has one changed enough to be told?

A score is computed for everybody, but decisions may only see what the ledger tells, so that they
can be repeated. It tells a score when its band changes, or when its value moves by a step that
somebody could act on; what moves less would only make the ledger long.
"""

import math
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.kernel.instants import DAY
from aftersale.models.chances import Bin
from aftersale.models.gammas import Numbers

STEPS = {
    "customer": "its own past",
    "segment": "customers like it",
    "shop": "all customers",
    "default": "no past at all",
}
"""Step of the ladder, the nearest first → what that is which says most of a customer's score."""


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
    word: str = "band"
    """What the word beside the value is: a band, or one of the names that are the shop's own."""

    @property
    def worded(self) -> bool:
        """Whether there is a word beside the value."""
        return bool(self.bands) or self.word != "band"


class Window(msgspec.Struct, frozen=True):
    """How a model did on one stretch of the past, told from what was known before it."""

    first: str
    """Its first and last day (YYYY-MM-DD)."""
    last: str
    rows: int
    said: float
    """The mean of what was said, and of what came."""
    came: float
    error: float
    """What `Card.measure` counts."""


class Proof(msgspec.Struct, frozen=True):
    """What shows how good a model is; whatever does not apply to it is empty."""

    of: str = ""
    """What its probabilities are of."""
    bins: tuple[Bin, ...] = ()
    """The reliability plot: what was said, and how often it came, on the judged window."""
    gains: tuple[float, ...] = ()
    """Share of all that came among the first tenth by what was said, two tenths, ... to 1."""
    windows: tuple[Window, ...] = ()
    """The newest first."""
    within: float | None = None
    """Share of outcomes that lay within their bounds, and how many should have."""
    within_goal: float | None = None
    reliability: float | None = None
    """Of a score that is a mean: 0 is chance alone, 1 none."""

    @property
    def lift(self) -> float | None:
        """How many times as many as among all came among the first tenth."""
        return self.gains[0] * len(self.gains) if self.gains else None

    @property
    def drifted(self) -> bool:
        """Whether the newest window was off by more than chance, and by more than those before.

        Off is the mean of what was said from the mean of what came, in standard errors.
        """
        off = [abs(_off(window)) for window in self.windows]
        return bool(off) and off[0] > max([_DRIFTED, *off[1:]])


def _off(window: Window) -> float:
    chance = min(max(window.said, 1e-9), 1 - 1e-9)
    return (window.came - window.said) / math.sqrt(chance * (1 - chance) / max(window.rows, 1))


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
    learnt: tuple[str, str] = ("", "")
    """First and last day (YYYY-MM-DD) of what it learnt from; empty where it learnt nothing."""
    proof: Proof = Proof()
    steps: dict[str, int] = {}
    """Step of the ladder (`STEPS`) → rows that rest on it."""
    season: str = ""
    """A warning that the days ahead are not like those that it learnt from."""


_DRIFTED = 3.0
"""Standard errors."""

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
            "contract_churn",
            "number",
            "Probability, 0 to 1, that a contract of the customer ends in the next 90 days.",
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
            "affinity",
            "number",
            "Share, 0 to 1, of what the customer looks at and buys that is in one category.",
            0.2,
            word="category",
        ),
        Score(
            "brand_affinity",
            "number",
            "Share, 0 to 1, of what the customer looks at and buys that is of one brand.",
            0.2,
            word="brand",
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
