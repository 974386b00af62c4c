"""Are the days ahead a season that no model here knows of?

The models see how each customer buys, not what the calendar does: before a season they expect too
few to come back, after it too many. How many of those who had just bought came back in the same
days of earlier years, against the days before them, tells that in advance; who had just bought is
asked alone, because a shop that grows, or has stopped growing, has another mix of customers each
season. It is a warning and moves no score.

Years are put together by how much each of them can tell, and by how much they differ (a model with
random effects, DerSimonian and Laird 1986, "Meta-analysis in clinical trials"): a first year of
few customers does not outvote those of many, and years that contradict each other say nothing.
"""

import math

import msgspec
import numpy as np

from aftersale.models.gammas import Numbers
from aftersale.models.sorting import Whole, distinct

YEAR = 365
MARKED = 1.25
"""Times as many, or as few, from which on it is a season."""
_SURE = 2.0
"""Standard errors by which the logarithm of the ratio must lie beyond that of one."""
_LEAST = 1e-6
_ENOUGH = 50
"""Customers who had just bought, below which a year says nothing."""


class Season(msgspec.Struct, frozen=True):
    """What the same days of earlier years were like."""

    known: int = 0
    """Years that could be looked at."""
    ratio: float = 1.0
    """Share that came back in the days ahead over that in as many days before them, a year ago;
    over several years the geometric mean by weight."""
    marked: bool = False
    """Whether the years show it, beyond chance."""


def needs(horizon: int) -> int:
    """Days of history below which nothing can be known."""
    return YEAR + 2 * horizon


def season(customer: Whole, day: Whole, until: int, horizon: int) -> Season:
    """The horizon after `until`, by the purchases (one place each) of earlier years."""
    ratios: list[float] = []
    errors: list[float] = []
    first = int(day.min(initial=until))
    for year in range(1, 1 + max(until - 2 * horizon - first, 0) // YEAR):
        at = until - year * YEAR
        ahead, before = (_back(customer, day, cut, horizon) for cut in (at, at - horizon))
        if min(ahead[1], before[1]) < _ENOUGH:
            break
        (later, more), (sooner, fewer) = (_share(came, asked) for came, asked in (ahead, before))
        ratios.append(math.log(later / sooner))
        errors.append(more + fewer)
    if not ratios:
        return Season()
    mean, error = _together(np.array(ratios), np.array(errors))
    marked = abs(mean) > max(math.log(MARKED), _SURE * error)
    return Season(len(ratios), math.exp(mean), marked)


def _together(ratio: Numbers, variance: Numbers) -> tuple[float, float]:
    """Mean over the years and its standard error (DerSimonian and Laird 1986, section 3)."""
    # Where everybody came there is hardly any variance, and no year may weigh without bounds.
    variance = np.maximum(variance, _LEAST)
    weight = 1 / variance
    mean = float(np.average(ratio, weights=weight))
    off = float((weight * (ratio - mean) ** 2).sum())
    spread = weight.sum() - (weight**2).sum() / weight.sum()
    between = max((off - (len(ratio) - 1)) / spread, 0.0) if spread > 0 else 0.0
    weight = 1 / (variance + between)
    return float(np.average(ratio, weights=weight)), float(1 / math.sqrt(weight.sum()))


def _share(came: int, asked: int) -> tuple[float, float]:
    """The share that came, and the variance of its logarithm."""
    share = (came + 0.5) / (asked + 1)
    return share, (1 - share) / (came + 0.5)


def _back(customer: Whole, day: Whole, cut: int, horizon: int) -> tuple[int, int]:
    """How many of those who bought within the horizon before the cut came after it, and of all."""
    lately = distinct(customer[(day > cut - horizon) & (day <= cut)])
    later = distinct(customer[(day > cut) & (day <= cut + horizon)])
    return len(np.intersect1d(lately, later, assume_unique=True)), len(lately)
