"""How much of what a customer did so far is the customer, and how much is chance?

A leaning is the mean of many small observations of one customer: was this order bought with a
discount, how good was this rating, was something done in this week. The mean of few says little,
so it is drawn to the mean of all by the ratio of the variance within customers to that between
them (the best linear prediction of a one-way random-effects model; variances by the method of
moments for unequal counts, Searle, Casella and McCulloch 1992, "Variance Components", 3.6).

Whether the leaning is worth anything is asked of the shop itself: every second observation is
laid aside, and the others must tell it better than the mean of all does. The correlation of the
halves, extended to the whole (Spearman 1910, Brown 1910), is its reliability.
"""

import msgspec
import numpy as np

from aftersale.models.gammas import Numbers
from aftersale.models.sorting import Whole
from aftersale.models.value import TAIL

NOISY = 0.5
"""A reliability below it: more than half of the differences between customers is chance."""
ENOUGH = 30
"""Customers with observations in both halves, below which nothing is judged."""


class Sums(msgspec.Struct, frozen=True):
    """What was observed of each customer in one half of its observations; one place a customer."""

    count: Numbers
    total: Numbers
    squares: Numbers

    def __add__(self, other: "Sums") -> "Sums":
        """Both halves together."""
        return Sums(
            self.count + other.count, self.total + other.total, self.squares + other.squares
        )


class Leaning(msgspec.Struct, frozen=True):
    """What is known of all customers together, and how far it reaches for one."""

    mean: float = 0.0
    between: float = 0.0
    """Variance between customers."""
    within: float = 0.0
    """Variance of one observation around its customer's mean."""
    reliability: float = 0.0
    """0: nothing but chance, 1: no chance; of the customers with both halves."""
    judged: int = 0
    """Customers with observations in both halves."""
    error: float = 0.0
    """Mean squared error of the second half, told from the first."""
    constant: float = 0.0
    """That of the mean of all."""
    off: str = ""
    """Why it is not told; empty where it earns its place."""

    @property
    def noisy(self) -> bool:
        """Whether most of the differences between customers is chance."""
        return self.reliability < NOISY


def fit(first: Sums, second: Sums) -> Leaning:
    """Learn from all observations, and judge the second half by the first."""
    whole = _variances(first + second)
    both = (first.count > 0) & (second.count > 0)
    begun = msgspec.structs.replace(whole, judged=int(both.sum()))
    if begun.judged < ENOUGH:
        why = f"{begun.judged} customers with two observations or more, {ENOUGH} are needed"
        return msgspec.structs.replace(begun, off=why)
    known = _variances(first)
    one, other = (half.total[both] / half.count[both] for half in (first, second))
    weight = second.count[both] / second.count[both].sum()
    guess = tell(known, first)[0][both]
    error = float(weight @ (guess - other) ** 2)
    constant = float(weight @ (known.mean - other) ** 2)
    found = msgspec.structs.replace(
        begun, reliability=_reliability(one, other), error=error, constant=constant
    )
    if error < constant:
        return found
    return msgspec.structs.replace(found, off="the mean of all tells the other half as well")


def own_share(model: Leaning, seen: Sums) -> Numbers:
    """How much of what is told of each customer is its own, 0 to 1; the rest is everybody's."""
    if model.between <= 0:
        return np.zeros(len(seen.count))
    own = model.between / (model.between + model.within / np.maximum(seen.count, 1))
    found: Numbers = np.where(seen.count > 0, own, 0.0)
    return found


def tell(model: Leaning, seen: Sums) -> tuple[Numbers, Numbers]:
    """The leaning of each customer, and how far the truth lies from it nine times of ten."""
    if model.between <= 0:
        return np.full(len(seen.count), model.mean), np.zeros(len(seen.count))
    own = own_share(model, seen)
    mean = seen.total / np.maximum(seen.count, 1)
    left = np.sqrt(model.between * (1 - own))
    return model.mean + own * (mean - model.mean), TAIL * left


def _variances(seen: Sums) -> Leaning:
    """Mean and variances from the sums of squares within and between customers."""
    known = seen.count > 0
    count, total, squares = seen.count[known], seen.total[known], seen.squares[known]
    number, groups = float(count.sum()), len(count)
    if not groups:
        return Leaning()
    mean = float(total.sum()) / number
    inside = float(np.maximum(squares - total**2 / count, 0.0).sum())
    across = float((count * (total / count - mean) ** 2).sum())
    if groups < 2 or number <= groups:
        return Leaning(mean=mean)
    within = inside / (number - groups)
    size = (number - float((count**2).sum()) / number) / (groups - 1)
    between = max((across / (groups - 1) - within) / size, 0.0) if size > 0 else 0.0
    return Leaning(mean=mean, between=between, within=within)


def _reliability(one: Numbers, other: Numbers) -> float:
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return of_the_whole(float(np.corrcoef(one, other)[0, 1]))


def of_the_whole(correlation: float) -> float:
    """The reliability of the whole by the correlation of its halves (Spearman, Brown 1910)."""
    return max(2 * correlation / (1 + correlation), 0.0) if correlation > -1 else 0.0


def standing(values: Numbers, of: Numbers) -> Numbers:
    """Where each of some numbers stands among values: the share of the others that is lower.

    Equal ones stand alike, at 0 what is alone, and at 1 what is above all.
    """
    below: Whole = np.searchsorted(np.sort(values), of, "left")
    return np.minimum(below / max(len(values) - 1, 1), 1)
