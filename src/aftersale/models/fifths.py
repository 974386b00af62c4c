"""In which fifth is each of very many customers, and who has moved since last time?

The same scores as `rfm`, for all at once as arrays.
"""

from collections import Counter

import msgspec
import numpy as np

from aftersale.models import rfm
from aftersale.models.calibration import Cuts
from aftersale.models.gammas import Numbers
from aftersale.models.sorting import Whole

_FIFTHS = range(1, 6)
NAMES = tuple(sorted({rfm.named(r, f) for r in _FIFTHS for f in _FIFTHS}))
"""Names of the recency x frequency grid."""
_GRID = np.array([[NAMES.index(rfm.named(r, f)) for f in _FIFTHS] for r in _FIFTHS])


class Fifths(msgspec.Struct, frozen=True):
    """One place a customer; 5 is best."""

    recency: Whole
    frequency: Whole
    monetary: Whole
    average: Whole
    """By the revenue of an order."""
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
        return Fifths(nobody, nobody, nobody, nobody, nobody)
    recency = 5 - np.searchsorted(cuts.recency_days, days, "left")
    frequency = 1 + np.searchsorted(cuts.orders, orders, "right")
    monetary = 1 + np.searchsorted(cuts.revenue, revenue, "right")
    average = 1 + np.searchsorted(cuts.average, revenue / np.maximum(orders, 1), "right")
    return Fifths(recency, frequency, monetary, average, _GRID[recency - 1, frequency - 1])


def moves(
    customer: Whole, name: Whole, before: Whole, earlier: Whole
) -> dict[tuple[str, str], int]:
    """(from, to) → customers; from nothing came who is new, to nothing went who is not there.

    `before` and `customer` ascend.
    """
    everybody = np.union1d(customer, before)
    places = [np.full(len(everybody), len(NAMES)) for _ in range(2)]
    for place, who, mine in zip(places, (before, customer), (earlier, name), strict=True):
        place[np.searchsorted(everybody, who)] = mine
    words, size = (*NAMES, ""), len(NAMES) + 1
    pairs = Counter((places[0] * size + places[1]).tolist())
    return {(words[n // size], words[n % size]): number for n, number in sorted(pairs.items())}
