"""In which fifth is each of very many customers, and who has moved since last time?

The same scores as `rfm`, for all at once as arrays.
"""

from collections import Counter

import msgspec
import numpy as np

from aftersale.models import rfm
from aftersale.models.buying import Whole
from aftersale.models.calibration import Cuts
from aftersale.models.gammas import Numbers

_FIFTHS = range(1, 6)
NAMES = tuple(sorted({rfm.named(r, f) for r in _FIFTHS for f in _FIFTHS}))
"""Names of the recency x frequency grid."""
_GRID = np.array([[NAMES.index(rfm.named(r, f)) for f in _FIFTHS] for r in _FIFTHS])


class Fifths(msgspec.Struct, frozen=True):
    """One place a customer; 5 is best."""

    recency: Whole
    frequency: Whole
    monetary: Whole
    name: Whole
    """Place in NAMES."""


def fit(days: Numbers, orders: Numbers, revenue: Numbers) -> Cuts:
    """The cut points that `rfm.fit` finds, by partition instead of sorting."""
    return Cuts(
        recency_days=tuple(-cut for cut in reversed(_cuts(-days))),
        orders=_cuts(orders),
        revenue=_cuts(revenue),
        average=_cuts(revenue / np.maximum(orders, 1)),
    )


def _cuts(values: Numbers) -> tuple[float, ...]:
    if not len(values):
        return ()
    places = [min(int(share * len(values)), len(values) - 1) for share in rfm.SHARES]
    parted = np.partition(values, sorted(set(places)))
    return tuple(float(parted[place]) for place in places)


def score(days: Numbers, orders: Numbers, revenue: Numbers, cuts: Cuts) -> Fifths:
    """Everybody's scores; equal values have equal ones."""
    if not len(days):
        nobody = np.zeros(0, np.int64)
        return Fifths(nobody, nobody, nobody, nobody)
    recency = 5 - np.searchsorted(cuts.recency_days, days, "left")
    frequency = 1 + np.searchsorted(cuts.orders, orders, "right")
    monetary = 1 + np.searchsorted(cuts.revenue, revenue, "right")
    return Fifths(recency, frequency, monetary, _GRID[recency - 1, frequency - 1])


def moves(
    customer: Whole, name: Whole, before: Whole, earlier: Whole
) -> dict[tuple[str, str], int]:
    """(from, to) → customers, of those known both times; `before` and `customer` ascend."""
    both, here, there = np.intersect1d(customer, before, assume_unique=True, return_indices=True)
    if not len(both):
        return {}
    pairs = Counter((earlier[there] * len(NAMES) + name[here]).tolist())
    return {
        (NAMES[pair // len(NAMES)], NAMES[pair % len(NAMES)]): number
        for pair, number in sorted(pairs.items())
    }
