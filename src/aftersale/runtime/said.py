"""What does one model say of everybody, and how is that kept?"""

import msgspec
import numpy as np
import pyarrow as pa

from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.models.drivers import MOST, Drivers
from aftersale.models.gammas import Numbers
from aftersale.models.scores import SCORES, STEPS, Card
from aftersale.models.sorting import Whole
from aftersale.programme.lake import Lake

NOTHING: Whole = np.zeros(0, np.int64)
CUSTOMER, SEGMENT, SHOP, DEFAULT = range(len(STEPS))


class Said(msgspec.Struct, frozen=True):
    """What one model says; one place a row."""

    card: Card
    customer: Whole = NOTHING
    value: Numbers = np.zeros(0)
    low: Numbers = np.zeros(0)
    """The bounds that hold the value nine times of ten."""
    high: Numbers = np.zeros(0)
    step: Whole = NOTHING
    """Place in `STEPS`."""
    band: Whole = NOTHING
    """Place in the score's bands; empty for a score without."""
    item: Whole = NOTHING
    """Place in `Facts.items`; empty for a score of a customer alone."""
    why: Drivers = Drivers()
    names: tuple[str, ...] = ()
    """What `band` names where the score has no bands of its own."""

    def steps(self) -> dict[str, int]:
        """Step → rows that rest on it."""
        counts = np.bincount(self.step, minlength=len(STEPS)).tolist()
        return {name: count for name, count in zip(STEPS, counts, strict=True) if count}


def table(said: Said, items: tuple[str, ...]) -> pa.Table:
    """The scores as they are kept.

    Columns: customer, product, value, band, low, high, step, version and reason_1 to reason_3
    (null where there is none).
    """
    rows = len(said.customer)
    nothing = np.full(rows, -1)

    def words(places: Whole, names: tuple[str, ...]) -> pa.Array:
        """The names at the places, nothing for -1."""
        codes = pa.array(places.astype(np.int32), mask=places < 0)
        return pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string())).cast(pa.string())

    reasons = said.why.place if len(said.why.place) else np.full((rows, MOST), -1)
    bands = SCORES[said.card.name].bands or said.names
    return pa.table(
        {
            "customer": pa.array(said.customer, pa.int64()),
            "product": words(said.item if len(said.item) else nothing, items).fill_null(""),
            "value": pa.array(said.value, pa.float64()),
            "band": words(said.band if len(said.band) else nothing, bands).fill_null(""),
            "low": pa.array(said.low, pa.float64()),
            "high": pa.array(said.high, pa.float64()),
            "step": words(said.step, tuple(STEPS)),
            "version": words(np.zeros(rows, np.int64), (said.card.version,)),
            **{f"reason_{n + 1}": words(reasons[:, n], said.why.words) for n in range(MOST)},
        }
    )


class OfOne(msgspec.Struct, frozen=True):
    """What a model said of one customer when everybody was scored last."""

    score: str
    product: str
    """Empty for a score of the customer alone."""
    value: float
    band: str
    low: float
    high: float
    step: str
    """One of `STEPS`."""
    version: str
    reasons: tuple[str, ...]
    """The weightiest first."""
    until: Instant
    """As of when it was said."""


def said_of(lake: Lake, customer: CustomerId) -> list[OfOne]:
    """What every model said of the customer, in the order of `SCORES`; nothing where none did."""
    kept = lake.scores_of(customer)
    return [
        OfOne(
            name, row["product"], row["value"], row["band"], row["low"], row["high"], row["step"],
            row["version"],
            tuple(word for n in range(MOST) if (word := row[f"reason_{n + 1}"]) is not None),
            kept[name][1],
        )
        for name in SCORES
        if name in kept
        for row in kept[name][0]
    ]  # fmt: skip
