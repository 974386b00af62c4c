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
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aftersale.models.drivers import Drivers, counted, told, where
from aftersale.models.gammas import Numbers
from aftersale.models.lifecycle import survivor_quantile
from aftersale.models.repeats import (
    Gaps,
    between,
    gaps_of,
    of_pairs,
    stretches,
    with_pairs_of,
)
from aftersale.models.sample import sample
from aftersale.models.sorting import Whole, differs, numbered
from aftersale.models.value import TAIL

VERSION = "run-out-4"
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

GAPS_AT_ONCE = 200_000
"""Gaps that are looked at together, of which the processor's cache holds a few columns."""
_OF_PAIRS = ("customer", "item", "last", "days", "low", "high", "gaps", "level")
_ROUNDS, _TELLING = 25, 8
"""Times that everything is looked at while what all have in common is learnt, and once it is."""
_NEAR, _FAR = -8.0, 8.0


def _mills(z: float) -> float:
    return exp(-z * z / 2) / sqrt(2 * pi) / (erfc(z / sqrt(2)) / 2)


_GRID = np.linspace(_NEAR, _FAR, 3201)
_MILLS = np.array([_mills(float(z)) for z in _GRID])


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

    def some(self, chosen: NDArray[np.bool_]) -> "RunOut":
        """Only the chosen pairs."""
        columns: dict[str, Any] = {name: getattr(self, name)[chosen] for name in _OF_PAIRS}
        return msgspec.structs.replace(self, **columns)

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


class _Effect:
    """What is special about each of many groups, drawn to zero."""

    def __init__(self, gaps: Whole) -> None:
        """`gaps`: how many each group has."""
        self.count = gaps.astype(np.float64)
        self.value = np.zeros(len(gaps))

    def take_in(self, left: NDArray[Any], doubt: float) -> Numbers:
        """See in what all effects leave, its sum by group; how much each group's value moved.

        `doubt`: the variance within a group by the variance between groups.
        """
        before: Numbers = self.value
        self.value = (left + before * self.count) / (self.count + doubt)
        return self.value - before

    def unsure(self, chance: float, doubt: float) -> Numbers:
        """Variance of what is not known of each group."""
        return chance / (self.count + doubt)


class _Shop(msgspec.Struct, frozen=True):
    """What is the same for everybody."""

    power: float
    centre: Numbers
    """Of items that the catalogue is silent of, and that it tells of."""
    chance: float
    variances: tuple[float, float, float]
    """Between customers, between items, and between pairs of the two."""

    @property
    def doubts(self) -> tuple[float, float, float]:
        """Of each of the three, against chance."""
        one, other, third = (self.chance / max(variance, 1e-9) for variance in self.variances)
        return one, other, third


class _Stretch:
    """What the gaps of some customers tell, who follow upon each other."""

    def __init__(self, gaps: Gaps, told: Numbers, item: Whole, shop: _Shop) -> None:
        """`told` and `item`: of each pair what the catalogue says, and the place of its item."""
        self.gaps, self.item_of = gaps, item
        self.prior, self.said = _said(told)
        self.customer_of = np.cumsum(differs(gaps.customers)) - 1
        # What the catalogue says of a unit is off by a share that all of it has in common.
        self.group, self.item = self.said[gaps.pair], item[gaps.pair]
        self.customer = self.customer_of[gaps.pair]
        self.customers = _Effect(np.bincount(self.customer, minlength=_size(self.customer_of)))
        self.pairs = _Effect(np.bincount(gaps.pair, minlength=len(gaps.customers)))
        self.left = _known(gaps, self.prior, shop.power) - shop.centre[self.group]
        """What nothing explains of each gap."""
        self.past = self.left[gaps.closed :].copy()
        """How far the open gaps have come, beyond what is explained."""

    def expect(self, chance: float) -> float:
        """Expect of the open gaps what the rest tells; the sum of how unsure that is."""
        sure = sqrt(chance)
        above, longer = _beyond(self.past / sure)
        self.left[self.gaps.closed :] = sure * above
        return float(longer.sum())

    def move(self, change: Numbers, group: Whole) -> None:
        """Let what is explained of each group's gaps be more by so much."""
        moved = change[group]
        self.left -= moved
        self.past -= moved[self.gaps.closed :]

    def look(self, effect: _Effect, group: Whole, doubt: float) -> None:
        """See what is special about each group that has no gaps outside this stretch."""
        left = np.bincount(group, self.left, len(effect.count))
        self.move(effect.take_in(left, doubt), group)

    def told(self, items: _Effect, shop: _Shop) -> RunOut:
        """When every pair runs out."""
        gaps = self.gaps
        found = self.prior + shop.centre[self.said] + shop.power * np.log(gaps.last_quantity)
        unsure = np.full(len(found), shop.chance)
        places = (self.customer_of, self.item_of, np.arange(len(found)))
        effects = (self.customers, items, self.pairs)
        for effect, place, doubt in zip(effects, places, shop.doubts, strict=True):
            found += effect.value[place]
            unsure += effect.unsure(shop.chance, doubt)[place]
        own = np.bincount(gaps.pair[: self.gaps.closed], minlength=len(found))
        of_customer, of_item = (effect.count[places[n]] > 0 for n, effect in enumerate(effects[:2]))
        reach = TAIL * np.sqrt(unsure)
        return RunOut(
            gaps.customers,
            gaps.items,
            gaps.last,
            days=_days(found),
            low=_days(found - reach),
            high=_days(found + reach),
            gaps=own,
            level=np.select([own > 0, of_customer, of_item, self.said > 0], [0, 1, 2, 3], 4),
            quantity_power=shop.power,
        )


class _Fit:
    """Everything that the gaps tell, looked at by stretches that the processor's cache holds.

    All that is passed on from stretch to stretch are sums, so it does not matter where one ends.
    """

    def __init__(self, gaps: Gaps, told: Numbers, shop: _Shop | None, at_once: int) -> None:
        self.learning = shop is None
        self.shop = _begun(gaps, told) if shop is None else shop
        _, item = numbered(gaps.items)
        self.stretches = [
            _Stretch(between(gaps, first, end), told[first:end], item[first:end], self.shop)
            for first, end in stretches(gaps, at_once)
        ]
        self.items = _Effect(np.bincount(item[gaps.pair], minlength=_size(item)))

    def settle(self, rounds: int) -> None:
        """Let effects, open gaps and, where there is no shop yet, what all have in common agree."""
        for _ in range(rounds):
            unsure = sum(stretch.expect(self.shop.chance) for stretch in self.stretches)
            if self.learning:
                # The effects stay as they are while what all have in common moves.
                self._learn_centre()
            for stretch in self.stretches:
                stretch.look(stretch.customers, stretch.customer, self.shop.doubts[0])
            if self.learning:
                self._learn_variance(0, [stretch.customers for stretch in self.stretches])
            self._look_at_items()
            if self.learning:
                self._learn_variance(1, [self.items])
            for stretch in self.stretches:
                stretch.look(stretch.pairs, stretch.gaps.pair, self.shop.doubts[2])
            if self.learning:
                self._learn_variance(2, [stretch.pairs for stretch in self.stretches])
                self._learn_chance(unsure)

    def told(self) -> RunOut:
        """When every pair runs out."""
        parts = [stretch.told(self.items, self.shop) for stretch in self.stretches]
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in _OF_PAIRS
        }
        return RunOut(**columns, quantity_power=self.shop.power)

    def _look_at_items(self) -> None:
        size = len(self.items.count)
        left = np.zeros(size)
        for stretch in self.stretches:
            left += np.bincount(stretch.item, stretch.left, size)
        moved = self.items.take_in(left, self.shop.doubts[1])
        for stretch in self.stretches:
            stretch.move(moved, stretch.item)

    def _learn_centre(self) -> None:
        before = self.shop.centre
        sums, number = np.zeros(2), np.zeros(2)
        for stretch in self.stretches:
            here = np.bincount(stretch.group, minlength=2)
            sums += np.bincount(stretch.group, stretch.left, 2) + before * here
            number += here
        centre = _centres(sums, number)
        self.shop = msgspec.structs.replace(self.shop, centre=centre)
        for stretch in self.stretches:
            stretch.move(centre - before, stretch.group)

    def _learn_variance(self, place: int, effects: list[_Effect]) -> None:
        """How much the groups differ."""
        square, groups = 0.0, 0
        for effect in effects:
            there = effect.count > 0
            seen = effect.value**2 + effect.unsure(self.shop.chance, self.shop.doubts[place])
            square += float(seen[there].sum())
            groups += int(there.sum())
        if groups:
            variances = list(self.shop.variances)
            variances[place] = max(square / groups, 1e-6)
            one, other, third = variances
            self.shop = msgspec.structs.replace(self.shop, variances=(one, other, third))

    def _learn_chance(self, unsure: float) -> None:
        missed = sum(float(stretch.left @ stretch.left) for stretch in self.stretches)
        gaps = sum(len(stretch.left) for stretch in self.stretches)
        chance = max((missed + self.shop.chance * unsure) / gaps, 1e-4)
        self.shop = msgspec.structs.replace(self.shop, chance=chance)


def _begun(gaps: Gaps, told: Numbers) -> _Shop:
    """What the closed gaps say at first of what is the same for everybody."""
    closed, power = ~gaps.is_open, quantity_power(gaps)
    prior, said = _said(told)
    known, group = _known(gaps, prior, power)[closed], said[gaps.pair][closed]
    spread = max(float(known.var()), 1e-4)
    centre = _centres(np.bincount(group, known, 2), np.bincount(group, minlength=2))
    return _Shop(power, centre, spread, (spread / 5, spread / 5, spread / 5))


def _said(told: Numbers) -> tuple[Numbers, Whole]:
    """The logarithm of what the catalogue says of each pair, and whether it says anything."""
    said = told > 0
    return np.log(np.where(said, told, 1.0)), said.astype(np.int64)


def _known(gaps: Gaps, prior: Numbers, power: float) -> Numbers:
    """The logarithm of each gap, of one unit and beside what the catalogue says."""
    found: Numbers = np.log(gaps.days) - power * np.log(gaps.quantity) - prior[gaps.pair]
    return found


def _size(groups: Whole) -> int:
    return int(groups.max(initial=-1)) + 1


def forecast(gaps: Gaps, supply: Numbers | None = None, *, at_once: int = GAPS_AT_ONCE) -> RunOut:
    """When every pair runs out. `supply`: days that a unit of item n lasts, 0 where unknown.

    What all have in common is learnt from some customers where there are very many. `at_once`:
    gaps that are looked at together.
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
    some = gaps if chosen.all() else of_pairs(gaps, chosen)
    if some.is_open.all():
        some, chosen = gaps, np.ones(pairs, np.bool_)
    fit = _Fit(some, told[chosen], None, at_once)
    fit.settle(_ROUNDS)
    if some is not gaps:
        fit = _Fit(gaps, told, fit.shop, at_once)
        fit.settle(_TELLING)
    return fit.told()


def _centres(sums: NDArray[Any], number: NDArray[Any]) -> Numbers:
    """The means of items that the catalogue is silent of and that it tells of.

    The latter starts from what the catalogue tells, which counts as some gaps.
    """
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
    known = with_pairs_of(before, after)
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


def _counts(days: Numbers) -> dict[int, int]:
    """How often each number of whole days occurs."""
    values, counts = np.unique(days.astype(np.int64), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
