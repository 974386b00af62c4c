"""Are the days ahead a season that no model here knows of?

The models see how each customer buys, not what the calendar does: before a season they expect too
few to come back, after it too many. How many of those who had just bought came back in the same
days of earlier years, against the days before them, tells that in advance; who had just bought is
asked alone, because a shop that grows, or has stopped growing, has another mix of customers each
season. It is a warning and moves no score.
"""

import math

import msgspec
import numpy as np

from aftersale.models.buying import Whole

YEAR = 365
MARKED = 1.25
"""Times as many, or as few, from which on it is a season."""
_SURE = 2.0
"""Standard errors by which the logarithm of the ratio must lie beyond that of one."""
_ENOUGH = 50
"""Customers who had just bought, below which a year says nothing."""


class Season(msgspec.Struct, frozen=True):
    """What the same days of earlier years were like."""

    known: int = 0
    """Years that could be looked at."""
    ratio: float = 1.0
    """Share that came back in the days ahead over that in as many days before them, a year ago;
    over several years the geometric mean."""
    marked: bool = False
    """Whether every one of the years shows it, beyond chance."""


def needs(horizon: int) -> int:
    """Days of history below which nothing can be known."""
    return YEAR + 2 * horizon


def season(customer: Whole, day: Whole, until: int, horizon: int) -> Season:
    """The horizon after `until`, by the purchases (one place each) of earlier years."""
    ratios: list[float] = []
    sure = True
    first = int(day.min(initial=until))
    for year in range(1, 1 + max(until - 2 * horizon - first, 0) // YEAR):
        at = until - year * YEAR
        ahead, before = (_back(customer, day, cut, horizon) for cut in (at, at - horizon))
        if min(ahead[1], before[1]) < _ENOUGH:
            break
        (later, more), (sooner, fewer) = (_share(came, asked) for came, asked in (ahead, before))
        ratio, error = math.log(later / sooner), math.sqrt(more + fewer)
        sure = sure and abs(ratio) > max(math.log(MARKED), _SURE * error)
        ratios.append(ratio)
    if not ratios:
        return Season()
    mean = float(np.mean(ratios))
    alike = all(ratio * mean > 0 for ratio in ratios)
    return Season(len(ratios), math.exp(mean), sure and alike)


def _share(came: int, asked: int) -> tuple[float, float]:
    """The share that came, and the variance of its logarithm."""
    share = (came + 0.5) / (asked + 1)
    return share, (1 - share) / (came + 0.5)


def _back(customer: Whole, day: Whole, cut: int, horizon: int) -> tuple[int, int]:
    """How many of those who bought within the horizon before the cut came after it, and of all."""
    lately = np.unique(customer[(day > cut - horizon) & (day <= cut)])
    later = np.unique(customer[(day > cut) & (day <= cut + horizon)])
    return len(np.intersect1d(lately, later, assume_unique=True)), len(lately)
