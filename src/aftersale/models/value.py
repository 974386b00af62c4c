"""What is a customer worth over the next months, and within which bounds?

Expected purchases (`buying`) times expected spend (`spending`), month by month, discounted. Two
things make it uncertain: the parameters are estimates (delta method), and customers of one kind
do not do the same (the variance of the models). The bounds of a group hold both, those of one
customer the second alone, beside which the first is small.
"""

from collections.abc import Callable
from math import erfc, sqrt
from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.models import buying, spending
from aftersale.models.buying import Buying
from aftersale.models.drivers import Drivers, pushed
from aftersale.models.gammas import Numbers
from aftersale.models.sorting import Whole, differs, in_order, order
from aftersale.models.spending import Spending

YEAR_DAYS = 365.0
STEPS = 12
"""Stretches after each of which what was spent in it is discounted: months of a year."""
SURE = 0.9
"""How sure the bounds are: 5 % lie below, 5 % above."""
TAIL = NormalDist().inv_cdf((1 + SURE) / 2)

_NUDGE = 1e-4
_LEAST = 1e-9
_PLACES = np.linspace(-8.0, 8.0, 16_001)
_BELOW = np.array([erfc(-place / sqrt(2)) / 2 for place in _PLACES.tolist()])
"""The share of a standard normal below each place."""


class Buyers(msgspec.Struct, frozen=True):
    """Customers as both models see them, one place a customer; money in minor units."""

    frequency: Whole
    """Repeat purchase days."""
    recency: Whole
    """Days from the first purchase to the last."""
    age: Whole
    """Days from the first purchase to today."""
    paid_days: Whole
    """Purchase days in the customer's currency, the first among them."""
    paid_mean: Numbers
    """Mean spend of those days; 0 without any."""
    first_paid: Numbers
    """Spend of the first of those days."""

    @property
    def share(self) -> Numbers:
        """Share of the purchase days that is in the customer's currency."""
        found: Numbers = self.paid_days / (self.frequency + 1)
        return found

    def some(self, chosen: NDArray[np.bool_]) -> "Buyers":
        """Only the chosen customers."""
        return Buyers(*(getattr(self, name)[chosen] for name in self.__struct_fields__))


def summarise(customer: Whole, day: Whole, amount: Numbers, until: int) -> tuple[Whole, Buyers]:
    """The customers of purchases up to the day `until`, ascending, and what they did.

    `day` counts days, `amount` is in minor units of the customer's currency, below 0 for a
    purchase in another one: that is a purchase, and no spend. Purchases of one day are one.
    """
    known = day <= until
    if not known.all():
        customer, day, amount = customer[known], day[known], amount[known]
    span = int(day.max(initial=0)) + 1
    code = customer * span + day
    if not in_order(code):
        by = order(code)
        code, amount = code[by], amount[by]
    starts = np.flatnonzero(differs(code))
    if not starts.size:
        nobody = np.zeros(0, np.int64)
        return nobody, Buyers(nobody, nobody, nobody, nobody, np.zeros(0), np.zeros(0))
    spent = np.add.reduceat(np.maximum(amount, 0), starts)
    paid = np.maximum.reduceat(amount, starts) >= 0
    who, when = np.divmod(code[starts], span)
    first = np.flatnonzero(np.diff(who, prepend=-1))
    last = np.append(first[1:], len(who)) - 1
    paid_days = np.add.reduceat(paid.astype(np.int64), first)
    total = np.add.reduceat(spent, first)
    places = np.where(paid, np.arange(len(who)), len(who) - 1)
    return who[first], Buyers(
        frequency=last - first,
        recency=when[last] - when[first],
        age=until - when[first],
        paid_days=paid_days,
        paid_mean=total / np.maximum(paid_days, 1),
        first_paid=np.where(paid_days > 0, spent[np.minimum.reduceat(places, first)], 0.0),
    )


class Worth(msgspec.Struct, frozen=True):
    """What is expected of each customer within the horizon; money in minor units."""

    alive: Numbers
    """P(alive)."""
    buys: Numbers
    """Probability of a purchase."""
    purchases: Numbers
    value: Numbers
    """Discounted spend in the customer's currency."""
    variance: Numbers
    """Of that spend, from customer to customer of the same past."""

    def bounds(self) -> tuple[Numbers, Numbers]:
        """Between which two sums each customer's spend will lie, in nine of ten cases.

        No purchase, or a gamma-distributed sum with the mean and variance of a customer who buys;
        its quantiles by the cube root (Wilson and Hilferty 1931).
        """
        return self._quantile((1 - SURE) / 2), self._quantile((1 + SURE) / 2)

    def _quantile(self, share: float) -> Numbers:
        spends = (self.buys > 1 - share) & (self.value > 0)
        buys, value = self.buys[spends], self.value[spends]
        within, mean = 1 - (1 - share) / buys, value / buys
        ninth = np.maximum((self.variance[spends] / value**2 + 1) * buys - 1, 1e-9) / 9
        root = 1 - ninth + np.interp(within, _BELOW, _PLACES) * np.sqrt(ninth)
        found = np.zeros_like(self.value)
        found[spends] = mean * np.maximum(root, 0.0) ** 3
        return found


class Scoring:
    """Customers ready to be scored: those with the same frequency and age are expected once."""

    def __init__(self, buyers: Buyers) -> None:
        self.buyers = buyers
        nothing = np.zeros_like(buyers.frequency)
        self._pairs, self._which = buying.collapse(buyers.frequency, nothing, buyers.age)

    def alive(self, model: Buying) -> Numbers:
        """P(alive) of each customer."""
        return buying.p_alive(model, self.buyers.frequency, self.buyers.recency, self.buyers.age)

    def purchases(self, model: Buying, days: float) -> Numbers:
        """Expected purchases within so many days."""
        mean, _ = buying.ahead(model, self._pairs.frequency, self._pairs.age, [days])
        found: Numbers = self.alive(model) * mean[0][self._which]
        return found

    def buys(self, model: Buying, days: float) -> Numbers:
        """Probability of a purchase within so many days."""
        by_pair = buying.p_buys(model, self._pairs.frequency, self._pairs.age, days)
        found: Numbers = self.alive(model) * by_pair[self._which]
        return found

    def values(
        self, model: Buying, spend: Spending, *, discount: float, days: float = YEAR_DAYS
    ) -> Numbers:
        """Discounted spend within so many days, at so much a year (0.1: 10 %)."""
        _, _, discounted = self._ahead(model, discount, days)
        return self._spend(spend) * self.alive(model) * discounted[self._which]

    def _spend(self, spend: Spending) -> Numbers:
        """Expected spend a purchase day, of whatever currency that is."""
        own = self.buyers
        return own.share * spending.expected_spend(spend, own.paid_days, own.paid_mean)

    def _ahead(
        self, model: Buying, discount: float, days: float
    ) -> tuple[Numbers, Numbers, Numbers]:
        """By pair, of customers still there: mean, mean square and discounted mean."""
        ends = days * np.arange(1, STEPS + 1) / STEPS
        mean, square = buying.ahead(model, self._pairs.frequency, self._pairs.age, ends.tolist())
        weight = (1 + discount) ** (-ends / YEAR_DAYS)
        return mean[-1], square[-1], weight @ np.diff(mean, axis=0, prepend=0.0)

    def worth(
        self, model: Buying, spend: Spending, *, discount: float, days: float = YEAR_DAYS
    ) -> Worth:
        """Everything about each customer."""
        own, which = self.buyers, self._which
        alive = self.alive(model)
        mean, square, discounted = self._ahead(model, discount, days)
        purchases = alive * mean[which]
        value = self._spend(spend) * (alive * discounted[which])
        # Purchases in the customer's currency are a share of all, drawn one by one.
        share, counts = own.share, alive * square[which]
        in_it = share * purchases
        in_it_square = share**2 * counts + share * (1 - share) * purchases
        mean_square, around = spending.spread(spend, own.paid_days, own.paid_mean)
        second = in_it * around + in_it_square * mean_square
        late = (discounted / mean)[which] ** 2
        return Worth(
            alive=alive,
            buys=alive * buying.p_buys(model, self._pairs.frequency, self._pairs.age, days)[which],
            purchases=purchases,
            value=value,
            variance=np.maximum(late * second - value**2, 0.0),
        )


def drivers(worth: Worth, buyers: Buyers) -> Drivers:
    """Why each customer is worth more or less than the mean one.

    The value is a product (still there, purchases if so, spend), so the logarithms of its parts
    add up. Who bought once is there for certain by the model, which says nothing of it.
    """
    alive, purchases, value = (
        np.log(np.maximum(part, _LEAST)) for part in (worth.alive, worth.purchases, worth.value)
    )
    parts = np.column_stack([alive, purchases - alive, value - purchases])
    parts[buyers.frequency == 0, 0] = 0.0
    push = parts - parts.mean(0) if len(parts) else parts
    push[buyers.frequency == 0, 0] = 0.0
    return pushed(
        push,
        ("likely still there", "buys often", "spends much on an order"),
        ("long silent by its own rhythm", "buys seldom", "spends little on an order"),
    )


def spread_of_estimates(
    model: Buying, spend: Spending, sums: Callable[[Buying, Spending], Numbers]
) -> Numbers:
    """Variance of each of the sums, for the parameters are estimates (delta method).

    The gradient is a central difference in the logarithms of the parameters; the two models are
    fitted apart, so their variances add up.
    """
    total: Numbers = np.zeros_like(sums(model, spend))
    if model.covariance:
        slopes = [
            sums(model.moved(up), spend) - sums(model.moved(down), spend) for up, down in _nudges(4)
        ]
        total = total + _quadratic(np.array(slopes), model.covariance)
    if spend.covariance:
        slopes = [
            sums(model, spend.moved(up)) - sums(model, spend.moved(down)) for up, down in _nudges(3)
        ]
        total = total + _quadratic(np.array(slopes), spend.covariance)
    return total


def _nudges(count: int) -> list[tuple[list[float], list[float]]]:
    by = np.eye(count) * _NUDGE
    return [(row.tolist(), (-row).tolist()) for row in by]


def _quadratic(slopes: Numbers, covariance: tuple[tuple[float, ...], ...]) -> Numbers:
    slopes = slopes / (2 * _NUDGE)
    found: Numbers = np.einsum("ps,pq,qs->s", slopes, np.array(covariance), slopes)
    return found
