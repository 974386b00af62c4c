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

from math import erfc, exp, pi, sqrt

import msgspec
import numpy as np

from aftersale.models.buying import Whole
from aftersale.models.drivers import Drivers, counted, told, where
from aftersale.models.gammas import Numbers
from aftersale.models.lifecycle import survivor_quantile
from aftersale.models.sample import sample
from aftersale.models.value import TAIL

VERSION = "run-out-2"
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

_ROUNDS = 25
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
    customer, item, day, quantity = (c[good] for c in (customer, item, day, quantity))
    order = np.lexsort((day, item, customer))
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


def _differs(column: Whole) -> np.ndarray:
    found = np.ones(len(column), np.bool_)
    found[1:] = column[1:] != column[:-1]
    return found


class _Effect:
    """What is special about each of many groups, drawn to zero."""

    def __init__(self, of_pair: Whole, pair: Whole, size: int, spread: float) -> None:
        self.of_pair, self.group, self.size = of_pair, of_pair[pair], size
        self.count = np.bincount(self.group, minlength=size).astype(np.float64)
        self.there = self.count > 0
        self.value = np.zeros(size)
        self.variance = spread

    def fit(self, rest: Numbers, chance: float) -> None:
        """Take in what the other effects leave; `chance` is the variance within a group."""
        weight = chance / max(self.variance, 1e-9)
        total = np.bincount(self.group, rest, self.size)
        self.value = total / (self.count + weight)
        square = self.value**2 + chance / (self.count + weight)
        if self.there.any():
            self.variance = float(max(square[self.there].mean(), 1e-6))

    def left(self, chance: float) -> Numbers:
        """Variance of what is not known of each group."""
        return chance / (self.count + chance / max(self.variance, 1e-9))


def forecast(gaps: Gaps, supply: Numbers | None = None) -> RunOut:
    """When every pair runs out. `supply`: days that a unit of item n lasts, 0 where unknown."""
    pairs, closed = len(gaps.customers), ~gaps.is_open
    own = np.bincount(gaps.pair[closed], minlength=pairs)
    told = np.zeros(pairs)
    if supply is not None and len(supply):
        place = np.minimum(gaps.items, len(supply) - 1)
        told = np.where((gaps.items >= 0) & (gaps.items < len(supply)), supply[place], 0.0)
        told = np.where(np.isfinite(told) & (told > 0), told, 0.0)
    said = told > 0
    prior = np.log(np.where(said, told, 1.0))
    if not closed.any():
        return _without_gaps(gaps, told, own)
    logs = np.log(gaps.days)
    power = quantity_power(gaps)
    offset = power * np.log(gaps.quantity)
    _, customer = np.unique(gaps.customers, return_inverse=True)
    _, item = np.unique(gaps.items, return_inverse=True)
    known = logs - offset - prior[gaps.pair]
    # What the catalogue says of a unit is off by a share that all of it has in common.
    group = said[gaps.pair].astype(np.int64)
    centre = _centres(known[closed], group[closed])
    spread = max(float(known[closed].var()), 1e-4)
    effects = [
        _Effect(customer, gaps.pair, int(customer.max()) + 1, spread / 5),
        _Effect(item, gaps.pair, int(item.max()) + 1, spread / 5),
        _Effect(np.arange(pairs), gaps.pair, pairs, spread / 5),
    ]
    chance, fitted, values = spread, centre[group], known
    for _ in range(_ROUNDS):
        above, longer = _beyond((known - fitted) / sqrt(chance))
        values = np.where(gaps.is_open, fitted + sqrt(chance) * above, known)
        extra = np.where(gaps.is_open, chance * longer, 0.0)
        parts = [effect.value[effect.group] for effect in effects]
        rest = values - np.sum(parts, axis=0)
        centre = _centres(rest, group)
        for n, effect in enumerate(effects):
            others = np.sum([part for m, part in enumerate(parts) if m != n], axis=0)
            effect.fit(values - others - centre[group], chance)
            parts[n] = effect.value[effect.group]
        fitted = np.sum(parts, axis=0) + centre[group]
        chance = max(float(((values - fitted) ** 2 + extra).mean()), 1e-4)
    found = prior + centre[said.astype(np.int64)] + power * np.log(gaps.last_quantity)
    unsure = np.full(pairs, chance)
    for effect in effects:
        found = found + effect.value[effect.of_pair]
        unsure = unsure + effect.left(chance)[effect.of_pair]
    levels = [own > 0, effects[0].there[customer], effects[1].there[item], said]
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
        quantity_power=power,
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
