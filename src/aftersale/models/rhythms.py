"""How does a customer buy: how often, how regularly, how much, and is it slowing down?

About two dozen numbers a customer as of a day, from the days and amounts of its purchases alone,
for models that learn from the past. Nothing after that day changes any of them. Counts, days and
money enter by their logarithms, log(1 + v): what matters is how many times more. What is not
known (the gaps of somebody who bought once) is not a number; the model learns what that means.
"""

from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from aftersale.models.gammas import Numbers
from aftersale.models.sorting import Whole, differs, in_order, order

Known = Mapping[str, tuple[Whole, Numbers]]
"""What else is known of customers as of a day: name → customers, and the value of each."""
Others = Callable[[int], Known]
"""The same for any day; whoever writes it answers for nothing of a later day being in it."""

WORDS = {
    "since": "days since the last purchase",
    "overdue": "silence compared with its usual gap",
    "frequency": "purchases so far",
    "age": "time since the first purchase",
    "recency": "time between first and last purchase",
    "rate": "purchases per month known",
    "gap_mean": "mean days between purchases",
    "gap_median": "usual days between purchases",
    "gap_spread": "how irregular the gaps are",
    "gap_last": "last gap between purchases",
    "gap_before": "gap before the last one",
    "slowing": "last gap compared with its usual gap",
    "count_30": "purchases in the last 30 days",
    "count_90": "purchases in the last 90 days",
    "count_180": "purchases in the last 180 days",
    "spend_30": "spend in the last 30 days",
    "spend_90": "spend in the last 90 days",
    "spend_180": "spend in the last 180 days",
    "trend": "purchases in the later half of its time less those in the earlier",
    "spend_mean": "mean spend of a purchase",
    "spend_total": "spend so far",
    "spend_last": "spend of the last purchase",
    "spend_first": "spend of the first purchase",
    "spend_trend": "last spend compared with its mean",
}
"""Every number, and what it says of a customer, in plain words."""

FAMILIES = {
    "silence": ("how long it has been silent", "since overdue"),
    "often": ("how often it buys", "frequency rate count_30 count_90 count_180"),
    "tenure": ("how long it has been a customer", "age recency"),
    "gaps": (
        "how long and how regular its gaps are",
        "gap_mean gap_median gap_spread gap_last gap_before",
    ),
    "course": ("whether it buys more or less often than before", "slowing trend"),
    "spend": (
        "how much it spends",
        "spend_30 spend_90 spend_180 spend_mean spend_total spend_last spend_first",
    ),
    "spend_course": ("whether its last purchase was larger or smaller than usual", "spend_trend"),
}
"""Numbers that say about the same: words for all of them together, and their names. Apart they
are no reasons, for what one adds the next may take back."""

_MONTH = 30.0
_SHORTEST = 30
"""Days that a rate is taken of at least."""
_MOST_SPEND = 1e12
"""Of one purchase: sums over all customers stay exact, so nobody's spend changes another's."""


class Rhythms(msgspec.Struct, frozen=True):
    """Customers as of a day, ascending, one row each."""

    customer: Whole
    names: tuple[str, ...]
    values: Numbers
    """(customers, names); not a number where not known."""
    frequency: Whole
    """Repeat purchase days, days from first to last, days from first to the cut: as BG/NBD."""
    recency: Whole
    age: Whole
    gap: Numbers
    """The median gap in days; not a number without any."""


def rhythms(
    customer: Whole, day: Whole, amount: Numbers, cut: int, known: Known | None = None
) -> Rhythms:
    """The numbers of everybody who bought up to the day `cut`, of purchases in any order.

    Purchases of one day are one. An amount of 0 or below is a purchase without spend. Sorted by
    customer and day they are read once; otherwise they are sorted first.
    """
    customer, day, amount = _days(customer, day, amount, cut)
    n = len(customer)
    first = np.flatnonzero(np.append(True, customer[1:] != customer[:-1])[:n])
    last = np.append(first[1:], n)[: len(first)] - 1
    table = _Table(day, amount, first, last, cut)
    names, columns = list(WORDS), table.columns()
    who = customer[first]
    for name, (of, values) in (known or {}).items():
        names.append(name)
        columns.append(_placed(who, of, values))
    values = np.empty((len(first), len(columns)))
    for place, column in enumerate(columns):
        values[:, place] = column
    return Rhythms(
        who,
        tuple(names),
        values,
        table.frequency,
        table.recency,
        table.age,
        table.median,
    )


def _days(customer: Whole, day: Whole, amount: Numbers, cut: int) -> tuple[Whole, Whole, Numbers]:
    """The purchase days up to the cut, sorted, with what was spent on each."""
    known = day <= cut
    if not known.all():
        customer, day, amount = customer[known], day[known], amount[known]
    if not customer.size:
        return customer, day, amount
    if not in_order(customer, day):
        by = order(customer, day)
        customer, day, amount = customer[by], day[by], amount[by]
    amount = np.where(amount > 0, np.minimum(amount, _MOST_SPEND), 0.0)
    fresh = differs(customer) | differs(day)
    if fresh.all():
        return customer, day, amount
    starts = np.flatnonzero(fresh)
    return customer[starts], day[starts], np.add.reduceat(amount, starts)


def _placed(who: Whole, of: Whole, values: Numbers) -> Numbers:
    """Values of some customers as a column of all."""
    found = np.full(len(who), np.nan)
    if not len(who) or not len(of):
        return found
    place = np.minimum(np.searchsorted(who, of), len(who) - 1)
    mine = who[place] == of
    found[place[mine]] = values[mine]
    found[~np.isfinite(found)] = np.nan
    return found


class _Table:
    """Purchase days in their order; `first` and `last` are the places of each customer's."""

    def __init__(self, day: Whole, amount: Numbers, first: Whole, last: Whole, cut: int) -> None:
        self._day, self._amount, self._first, self._last, self._cut = day, amount, first, last, cut
        self.frequency = last - first
        self.recency = day[last] - day[first]
        self.age = cut - day[first]
        self._gaps = np.diff(day, prepend=0)
        self._sums = np.append(0.0, np.cumsum(amount))
        self._many = self.frequency >= 1
        self.median = self._median()

    def columns(self) -> list[Numbers]:
        """In the order of WORDS."""
        since = (self._cut - self._day[self._last]).astype(np.float64)
        frequency, recency = self.frequency.astype(np.float64), self.recency.astype(np.float64)
        mean = np.where(self._many, recency / np.maximum(frequency, 1), np.nan)
        months = np.maximum(self.age, _SHORTEST) / _MONTH
        last_gap, before = self._gap(0), self._gap(1)
        bounds = [self._since(days) for days in (30, 90, 180)]
        counts = [self._last + 1 - bound for bound in bounds]
        spends = [self._sums[self._last + 1] - self._sums[bound] for bound in bounds]
        total = self._sums[self._last + 1] - self._sums[self._first]
        spend = total / (frequency + 1)
        logs = [
            np.log1p(np.maximum(v, 0))
            for v in (
                since, frequency, self.age, recency, frequency / months, mean, self.median,
                self._spread(mean), last_gap, before, *counts, *spends,
                spend, total, self._amount[self._last], self._amount[self._first],
            )
        ]  # fmt: skip
        (
            since, frequency, age, recency, rate, mean, median, spread, last_gap, before,
            *windows, spend, total, last_spend, first_spend,
        ) = logs  # fmt: skip
        return [
            since, since - mean, frequency, age, recency, rate, mean, median, spread, last_gap,
            before, last_gap - median, *windows, self._trend(), spend, total, last_spend,
            first_spend, last_spend - spend,
        ]  # fmt: skip

    def _gap(self, back: int) -> Numbers:
        """The last gap but `back`."""
        has = self.frequency > back
        return np.where(has, self._gaps[self._last - np.where(has, back, 0)], np.nan)

    def _since(self, days: int) -> Whole:
        """The place of the first purchase within so many days before the cut."""
        recent = np.append(0, np.cumsum(self._day > self._cut - days))
        found: Whole = self._last + 1 - (recent[self._last + 1] - recent[self._first])
        return found

    def _trend(self) -> Numbers:
        """Logarithm of the purchases in the later half of the time known, over the earlier."""
        middle = self._cut - self.age / 2
        late = self._day > np.repeat(middle, self.frequency + 1)
        count = np.append(0, np.cumsum(late))
        later = count[self._last + 1] - count[self._first]
        found: Numbers = np.log1p(later) - np.log1p(self.frequency + 1 - later)
        return found

    def _spread(self, mean: Numbers) -> Numbers:
        """The standard deviation of the gaps, of who has two or more."""
        squares = self._gaps.astype(np.float64) ** 2
        squares[self._first] = 0
        sums = np.append(0.0, np.cumsum(squares))
        total = sums[self._last + 1] - sums[self._first]
        count = self.frequency
        variance = total / np.maximum(count, 1) - mean**2
        return np.where(count >= 2, np.sqrt(np.maximum(variance, 0)), np.nan)

    def _median(self) -> Numbers:
        """The median of the gaps: sorted within each customer, by one sort of a single key."""
        if not self._day.size:
            return np.zeros(0)
        gaps = self._gaps.copy()
        gaps[self._first] = -1  # sorts first, so the real gaps follow
        span = int(gaps.max()) + 2
        key = np.repeat(np.arange(len(self._first)) * span, self.frequency + 1)
        key += gaps + 1
        key.sort()
        low = self._first + 1 + np.maximum(self.frequency - 1, 0) // 2
        high = self._first + 1 + self.frequency // 2
        gap = key % span - 1
        low, high = np.minimum(low, self._last), np.minimum(high, self._last)
        return np.where(self._many, (gap[low] + gap[high]) / 2, np.nan)
