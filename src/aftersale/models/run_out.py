"""When does each customer need each item again, by the repeat purchases of everybody?

The logarithm of the days between two purchases of one item by one customer is taken for normal:
a mean of the shop, plus what is special about the item, the customer and the two together, plus
chance. Each of the three is drawn to zero by its own variance (empirical Bayes: the best linear
prediction in a model with random effects, Robinson 1991, "That BLUP is a good thing"), so few
gaps say little. The gap that is still open counts as at least so long (expectation-maximisation
for censored normals, Dempster, Laird and Rubin 1977), for whoever bought the item again before;
who bought it once may never want it again. Without that, a short history knows short gaps only.

What is bought in greater number lasts longer by a power of the quantity that is fitted. Where the
catalogue says how long one unit lasts, the item starts there, times what all such items have in
common: people use less, or buy elsewhere too, than a label says.

The median is forecast: it has the least absolute error. `refill` is what a journey sees today.
"""

from math import erfc, exp, pi, prod, sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.models.buying import Whole
from aftersale.models.drivers import Drivers, counted, told, where
from aftersale.models.gammas import Numbers
from aftersale.models.lifecycle import survivor_quantile
from aftersale.models.sample import sample
from aftersale.models.value import TAIL

VERSION = "run-out-3"
LEAST_DAYS = 365
"""Days of history below which nothing is forecast: a shop's year has one shape."""
LEAST_GAPS = 100
"""Closed gaps before the cut, and as many after it, below which nothing can be judged."""
HELD_OUT = 90
"""Days at the end of the history on which the forecast is judged."""
GAIN = 0.05
"""Share by which the absolute error must be below that of the better shop's median."""
DEFAULT_DAYS = 45.0
TOLD_GAPS = 10
"""Gaps as which what the catalogue says counts, against what items that it tells of have shown."""
LEVELS = ("own", "customer", "item", "supply", "shop", "default")
"""What a forecast rests on, the nearest first."""

_ROUNDS, _TELLING = 25, 8
"""Times that everything is looked at while what all have in common is learnt, and once it is."""
_NEAR, _FAR = -8.0, 8.0


def _mills(z: float) -> float:
    return exp(-z * z / 2) / sqrt(2 * pi) / (erfc(z / sqrt(2)) / 2)


_GRID = np.linspace(_NEAR, _FAR, 3201)
_MILLS = np.array([_mills(float(z)) for z in _GRID])


class Gaps(msgspec.Struct, frozen=True):
    """Days between purchases of one item by one customer; one place a gap, open ones last."""

    pair: Whole
    """Place in `pairs` of the customer and item."""
    days: Numbers
    quantity: Whole
    """Bought at the beginning of the gap."""
    ends: Whole
    """The day on which it ended; of an open gap the last day that is known."""
    is_open: np.ndarray
    customers: Whole
    """Customer of each pair."""
    items: Whole
    """Item of each pair."""
    last: Whole
    """Day of the latest purchase of each pair."""
    last_quantity: Whole


class RunOut(msgspec.Struct, frozen=True):
    """When each pair of a customer and an item runs out; days since the latest purchase."""

    customer: Whole
    item: Whole
    last: Whole
    days: Numbers
    low: Numbers
    """In nine of ten cases the gap lies between `low` and `high`."""
    high: Numbers
    gaps: Whole
    """Own closed gaps."""
    level: Whole
    """Place in `LEVELS`."""
    quantity_power: float = 0.0
    off: str = ""
    """Why nobody should act on it; empty where it earns its place."""
    version: str = VERSION

    def drivers(self) -> Drivers:
        """Why each pair is expected when it is."""
        words = (
            "", "its repeats of other items", "repeats of the item by others",
            "the days that one unit lasts by the catalogue", "repeats of other items by others",
            "nothing but the default",
        )  # fmt: skip
        own = self.level == 0
        repeats, which = counted([self.gaps], lambda n: f"{n} own repeats" if n > 1 else "1 repeat")
        rest = (words, np.where(own, -1, self.level))
        return told(
            (repeats, np.where(own, which, -1)), rest, where(own, "drawn to what others do")
        )


class Judgement(msgspec.Struct, frozen=True):
    """How the forecast did on gaps that ended after the cut; errors are mean absolute, in days."""

    cut: int = 0
    """The last day that it knew."""
    history_days: int = 0
    known: int = 0
    """Closed gaps that it knew."""
    judged: int = 0
    """Gaps that ended later."""
    model: float = 0.0
    median: float = 0.0
    """Of the median of the closed gaps."""
    censored_median: float = 0.0
    """Of the median that counts open gaps too (Kaplan and Meier 1958)."""
    within: float = 0.0
    """Share of gaps within their bounds."""
    off: str = ""
    """Why it is switched off; empty where it earns its place."""

    @property
    def gain(self) -> float:
        """Share by which the error is below the lesser one of the two medians."""
        best = min(self.median, self.censored_median)
        return 1 - self.model / best if best else 0.0


def gaps_of(customer: Whole, item: Whole, day: Whole, quantity: Whole, until: int) -> Gaps:
    """The gaps known on the day `until`. Later days and quantities below 1 are passed over.

    One place a line that was bought and kept; purchases of one day are one.
    """
    good = (day <= until) & (quantity > 0)
    if not good.all():
        customer, item, day, quantity = (c[good] for c in (customer, item, day, quantity))
    order = _in_order(customer, item, day)
    customer, item, day, quantity = (c[order] for c in (customer, item, day, quantity))
    moved = _differs(customer) | _differs(item)
    starts = np.flatnonzero(moved | _differs(day))
    bought = np.add.reduceat(quantity, starts) if starts.size else quantity
    moved, day = moved[starts], day[starts]
    pair = np.cumsum(moved) - 1
    again = np.flatnonzero(~moved)
    first = np.flatnonzero(moved)
    last = np.append(first[1:], len(moved))[: len(first)] - 1
    waits = last[last > first]
    ends = np.concatenate((day[again], np.full(len(waits), until, np.int64)))
    begins = np.concatenate((again - 1, waits))
    return Gaps(
        pair=pair[begins],
        days=np.maximum(ends - day[begins], 0.5).astype(np.float64),
        quantity=bought[begins],
        ends=ends,
        is_open=np.arange(len(begins)) >= len(again),
        customers=customer[starts][first],
        items=item[starts][first],
        last=day[last],
        last_quantity=bought[last],
    )


def _in_order(customer: Whole, item: Whole, day: Whole) -> Whole:
    """The order by customer, item and day; by one number, far faster, where they fit into it."""
    columns = (customer, item, day)
    least = [int(column.min(initial=0)) for column in columns]
    width = [int(c.max(initial=0)) - low + 1 for c, low in zip(columns, least, strict=True)]
    if prod(width) >= 1 << 63:
        return np.lexsort((day, item, customer))
    first, second, third = (column - low for column, low in zip(columns, least, strict=True))
    return np.argsort((first * width[1] + second) * width[2] + third, kind="stable")


def _differs(column: Whole) -> np.ndarray:
    found = np.ones(len(column), np.bool_)
    found[1:] = column[1:] != column[:-1]
    return found


class _Effect:
    """What is special about each of many groups, drawn to zero."""

    def __init__(self, of_pair: Whole, pair: Whole, variance: float) -> None:
        self.of_pair, self.group = of_pair, of_pair[pair]
        self.size = int(of_pair.max(initial=-1)) + 1
        self.count = np.bincount(self.group, minlength=self.size).astype(np.float64)
        self.value = np.zeros(self.size)
        self.variance = variance

    def take_in(self, rest: Numbers, chance: float) -> None:
        """See in what the other effects leave; `chance` is the variance within a group."""
        total = np.bincount(self.group, rest, self.size)
        self.value = total / (self.count + chance / max(self.variance, 1e-9))

    def learn(self, chance: float) -> None:
        """How much the groups differ."""
        square = self.value**2 + self.left(chance)
        there = self.count > 0
        if there.any():
            self.variance = float(max(square[there].mean(), 1e-6))

    def left(self, chance: float) -> Numbers:
        """Variance of what is not known of each group."""
        return chance / (self.count + chance / max(self.variance, 1e-9))


class _Shop(msgspec.Struct, frozen=True):
    """What is the same for everybody."""

    power: float
    centre: Numbers
    """Of items that the catalogue is silent of, and that it tells of."""
    chance: float
    variances: tuple[float, float, float]
    """Between customers, between items, and between pairs of the two."""


class _Fit:
    """Everything that the gaps of some customers tell."""

    def __init__(self, gaps: Gaps, told: Numbers, shop: _Shop | None) -> None:
        self.gaps, self.said = gaps, (told > 0).astype(np.int64)
        self.prior = np.log(np.where(told > 0, told, 1.0))
        self.learning = shop is None
        power = quantity_power(gaps) if shop is None else shop.power
        self.known = np.log(gaps.days) - power * np.log(gaps.quantity) - self.prior[gaps.pair]
        # What the catalogue says of a unit is off by a share that all of it has in common.
        self.group = self.said[gaps.pair]
        if shop is None:
            closed = ~gaps.is_open
            spread = max(float(self.known[closed].var()), 1e-4)
            centre = _centres(self.known[closed], self.group[closed])
            shop = _Shop(power, centre, spread, (spread / 5, spread / 5, spread / 5))
        self.shop = shop
        customer = np.cumsum(_differs(gaps.customers)) - 1
        _, item = np.unique(gaps.items, return_inverse=True)
        pairs = np.arange(len(gaps.customers))
        self.effects = [
            _Effect(of_pair, gaps.pair, variance)
            for of_pair, variance in zip((customer, item, pairs), shop.variances, strict=True)
        ]

    def settle(self, rounds: int) -> None:
        """Let effects, open gaps and, where there is no shop yet, what all have in common agree."""
        is_open, shop = self.gaps.is_open, self.shop
        values, longer = self.known.copy(), np.zeros(0)
        rest = values - shop.centre[self.group]
        for _ in range(rounds):
            sure = sqrt(shop.chance)
            fitted = (values - rest)[is_open]
            above, longer = _beyond((self.known[is_open] - fitted) / sure)
            rest[is_open] += fitted + sure * above - values[is_open]
            values[is_open] = fitted + sure * above
            if self.learning:
                # The effects stay as they are while what all have in common moves.
                rest += shop.centre[self.group]
                centre = _centres(rest, self.group)
                rest -= centre[self.group]
                shop = msgspec.structs.replace(shop, centre=centre)
            for effect in self.effects:
                rest += effect.value[effect.group]
                effect.take_in(rest, shop.chance)
                if self.learning:
                    effect.learn(shop.chance)
                rest -= effect.value[effect.group]
            if self.learning:
                missed = float(rest @ rest) + shop.chance * float(longer.sum())
                shop = msgspec.structs.replace(shop, chance=max(missed / len(rest), 1e-4))
        one, other, third = (effect.variance for effect in self.effects)
        self.shop = msgspec.structs.replace(shop, variances=(one, other, third))

    def told(self) -> RunOut:
        """When every pair runs out."""
        gaps, shop = self.gaps, self.shop
        found = self.prior + shop.centre[self.said] + shop.power * np.log(gaps.last_quantity)
        unsure = np.full(len(found), shop.chance)
        for effect in self.effects:
            found = found + effect.value[effect.of_pair]
            unsure = unsure + effect.left(shop.chance)[effect.of_pair]
        own = np.bincount(gaps.pair[~gaps.is_open], minlength=len(found))
        of_customer, of_item = (effect.count[effect.of_pair] > 0 for effect in self.effects[:2])
        levels = [own > 0, of_customer, of_item, self.said > 0]
        reach = TAIL * np.sqrt(unsure)
        return RunOut(
            gaps.customers,
            gaps.items,
            gaps.last,
            days=_days(found),
            low=_days(found - reach),
            high=_days(found + reach),
            gaps=own,
            level=np.select(levels, [0, 1, 2, 3], default=4),
            quantity_power=shop.power,
        )


def forecast(gaps: Gaps, supply: Numbers | None = None) -> RunOut:
    """When every pair runs out. `supply`: days that a unit of item n lasts, 0 where unknown.

    What all have in common is learnt from some customers where there are very many.
    """
    pairs, closed = len(gaps.customers), ~gaps.is_open
    told = np.zeros(pairs)
    if supply is not None and len(supply):
        place = np.minimum(gaps.items, len(supply) - 1)
        told = np.where((gaps.items >= 0) & (gaps.items < len(supply)), supply[place], 0.0)
        told = np.where(np.isfinite(told) & (told > 0), told, 0.0)
    if not closed.any():
        return _without_gaps(gaps, told, np.bincount(gaps.pair[closed], minlength=pairs))
    chosen = sample(gaps.customers)
    some = gaps if chosen.all() else _of_pairs(gaps, chosen)
    if some.is_open.all():
        some, chosen = gaps, np.ones(pairs, np.bool_)
    fit = _Fit(some, told[chosen], None)
    fit.settle(_ROUNDS)
    if some is not gaps:
        fit = _Fit(gaps, told, fit.shop)
        fit.settle(_TELLING)
    return fit.told()


def _of_pairs(gaps: Gaps, chosen: NDArray[np.bool_]) -> Gaps:
    """The gaps of some of the pairs alone."""
    place = np.cumsum(chosen) - 1
    mine = chosen[gaps.pair]
    return Gaps(
        place[gaps.pair[mine]],
        gaps.days[mine],
        gaps.quantity[mine],
        gaps.ends[mine],
        gaps.is_open[mine],
        gaps.customers[chosen],
        gaps.items[chosen],
        gaps.last[chosen],
        gaps.last_quantity[chosen],
    )


def _centres(values: Numbers, group: Whole) -> Numbers:
    """The means of items that the catalogue is silent of and that it tells of.

    The latter starts from what the catalogue tells, which counts as some gaps.
    """
    sums, number = np.bincount(group, values, 2), np.bincount(group, minlength=2)
    found: Numbers = sums / np.maximum(number + np.array([0, TOLD_GAPS]), 1)
    return found


def _days(logs: Numbers) -> Numbers:
    found: Numbers = np.exp(np.clip(logs, 0.0, np.log(3650.0)))
    return found


def _without_gaps(gaps: Gaps, told: Numbers, own: Whole) -> RunOut:
    days = np.where(told > 0, told * np.maximum(gaps.last_quantity, 1), DEFAULT_DAYS)
    days = np.clip(days, 1.0, 3650.0)
    return RunOut(
        gaps.customers,
        gaps.items,
        gaps.last,
        days=days,
        low=np.maximum(days / 4, 1.0),
        high=np.minimum(days * 4, 3650.0),
        gaps=own,
        level=np.where(told > 0, 3, 5),
        off="nobody bought an item again yet",
    )


def _beyond(z: Numbers) -> tuple[Numbers, Numbers]:
    """Mean and variance of a standard normal that is known to lie above z."""
    near = np.interp(z, _GRID, _MILLS)
    above: Numbers = np.where(z > _FAR, z + 1 / np.maximum(z, 1.0), near)
    longer: Numbers = np.clip(1 + z * above - above**2, 0.0, 1.0)
    return above, longer


def quantity_power(gaps: Gaps) -> float:
    """By which power of the quantity a gap grows: the slope of logarithms within pairs, 0 to 1.

    Between pairs it would mix wholesalers with households.
    """
    closed = ~gaps.is_open
    pair = gaps.pair[closed]
    x, y = np.log(gaps.quantity[closed]), np.log(gaps.days[closed])
    count = np.maximum(np.bincount(pair), 1)
    x = x - (np.bincount(pair, x) / count)[pair]
    y = y - (np.bincount(pair, y) / count)[pair]
    square = float(x @ x)
    return min(max(float(x @ y) / square, 0.0), 1.0) if square > 0 else 0.0


def judge(
    customer: Whole,
    item: Whole,
    day: Whole,
    quantity: Whole,
    *,
    until: int,
    cut: int | None = None,
    supply: Numbers | None = None,
) -> Judgement:
    """How the forecast of `cut` (90 days before `until`) did on the gaps that ended after it.

    Each pair is forecast once, at the cut; later gaps of it do not teach it. Figures are given
    wherever there are gaps enough, also where the history is too short to act on them.
    """
    cut = until - HELD_OUT if cut is None else cut
    good = (day <= until) & (quantity > 0)
    span = until - int(day[good].min()) + 1 if good.any() else 0
    chosen = good & sample(customer)
    customer, item, day, quantity = (c[chosen] for c in (customer, item, day, quantity))
    short = f"{span} days of history, {LEAST_DAYS} are needed" if span < LEAST_DAYS else ""
    before = gaps_of(customer, item, day, quantity, cut)
    after = gaps_of(customer, item, day, quantity, until)
    later = ~after.is_open & (after.ends > cut)
    closed = ~before.is_open
    begun = Judgement(cut, span, int(closed.sum()), int(later.sum()))
    if begun.known < LEAST_GAPS or begun.judged < LEAST_GAPS:
        few = f"{begun.known} repeats before the cut and {begun.judged} after it, "
        few += f"{LEAST_GAPS} of each are needed"
        return msgspec.structs.replace(begun, off=short or few)
    # Pairs that were first bought after the cut are forecast from what was known at it.
    known = _with_pairs_of(before, after)
    seen = forecast(known, supply)
    pair = after.pair[later]
    actual = after.days[later]
    shift = np.log(after.quantity[later]) - np.log(known.last_quantity)[pair]
    scale = np.exp(seen.quantity_power * shift)
    guess = np.clip(seen.days[pair] * scale, 1.0, 3650.0)
    inside = (seen.low[pair] * scale <= actual) & (actual <= seen.high[pair] * scale)
    median = float(np.median(before.days[closed]))
    censored = survivor_quantile(
        _counts(before.days[closed]), _counts(before.days[before.is_open]), 0.5
    )
    found = msgspec.structs.replace(
        begun,
        model=float(np.abs(guess - actual).mean()),
        median=float(np.abs(median - actual).mean()),
        censored_median=float(np.abs(censored - actual).mean()),
        within=float(inside.mean()),
    )
    lost = ""
    if found.gain < GAIN:
        lost = f"its error is {found.model:.1f} days, that of the shop's median "
        lost += f"{min(found.median, found.censored_median):.1f}"
    return msgspec.structs.replace(found, off=short or lost)


def _with_pairs_of(before: Gaps, after: Gaps) -> Gaps:
    """The gaps of `before` with the pairs of `after`, of which each of `before` is one."""
    size = int(after.items.max(initial=0)) + 1
    low = int(after.items.min(initial=0))
    size -= low
    key = after.customers * size + after.items - low
    place = np.searchsorted(key, before.customers * size + before.items - low)
    last, quantity = after.last.copy(), np.ones(len(key), np.int64)
    last[place], quantity[place] = before.last, before.last_quantity
    return msgspec.structs.replace(
        before,
        pair=place[before.pair],
        customers=after.customers,
        items=after.items,
        last=last,
        last_quantity=quantity,
    )


def _counts(days: Numbers) -> dict[int, int]:
    """How often each number of whole days occurs."""
    values, counts = np.unique(days.astype(np.int64), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
