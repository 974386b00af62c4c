"""How recently, how often and for how much did this customer buy, compared with the others?

Quintiles from 1 to 5, 5 is best. Equal values always get equal scores: the cut points are
values, not ranks.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from aftersale.models.calibration import Cuts

SHARES = (0.2, 0.4, 0.6, 0.8)
"""Where the fifths begin."""
_NAMES = (
    (4, 4, "champions"),
    (3, 3, "loyal"),
    (4, 1, "recent"),
    (3, 1, "promising"),
    (1, 4, "cannot-lose"),
    (1, 3, "at-risk"),
    (2, 1, "about-to-sleep"),
    (1, 1, "hibernating"),
)
"""(least recency, least frequency, name): the first that fits."""


def cuts_of(values: Sequence[float]) -> tuple[float, ...]:
    """The four values that part the sorted values into fifths (lower order statistic)."""
    if not values:
        return ()
    ordered = sorted(values)
    return tuple(
        float(ordered[min(int(share * len(ordered)), len(ordered) - 1)]) for share in SHARES
    )


def fit(rows: Sequence[tuple[float, float, float]]) -> Cuts:
    """Cut points of (days since the last order, orders, revenue) of everybody who bought."""
    return Cuts(
        # Few days are good: the cuts of the negated days, so that both ends have equal shares.
        recency_days=tuple(-cut for cut in reversed(cuts_of([-row[0] for row in rows]))),
        orders=cuts_of([row[1] for row in rows]),
        revenue=cuts_of([row[2] for row in rows]),
        average=cuts_of([row[2] / max(row[1], 1) for row in rows]),
    )


def recency_score(days: float, cuts: Cuts) -> int:
    """5 for the most recent fifth; 0 without a calibration."""
    return 5 - bisect_left(cuts.recency_days, days) if cuts.recency_days else 0


def frequency_score(orders: float, cuts: Cuts) -> int:
    """5 for the most frequent fifth."""
    return 1 + bisect_right(cuts.orders, orders) if cuts.orders else 0


def monetary_score(revenue: float, cuts: Cuts) -> int:
    """5 for the fifth that spent most."""
    return 1 + bisect_right(cuts.revenue, revenue) if cuts.revenue else 0


def average_score(average: float, cuts: Cuts) -> int:
    """5 for the fifth that spent most on an order."""
    return 1 + bisect_right(cuts.average, average) if cuts.average else 0


def named(recency: int, frequency: int) -> str:
    """The usual names of the recency x frequency grid; empty without scores."""
    return next(
        (
            name
            for least_recency, least_frequency, name in _NAMES
            if recency >= least_recency and frequency >= least_frequency
        ),
        "",
    )
