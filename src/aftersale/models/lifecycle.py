"""When is a customer late by the measure of customers like it?

A segment is tier x primary category. Its rhythm comes from the whole-day gaps between orders of
the last two years, with the open gap of everybody who ordered at least twice counted as censored
(Kaplan and Meier 1958: the survivor function over days). A segment with few gaps borrows the
rhythm of the next larger group: category, tier, shop, then a default.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from aftersale.catalogue.product import Catalogue
from aftersale.customers.purchases import Purchases
from aftersale.customers.tiers import LOYAL_ORDERS, WINDOW
from aftersale.kernel.instants import DAY, Instant
from aftersale.models.calibration import Rhythm

ENOUGH_GAPS = 30
"""Completed gaps below which a segment borrows from a larger one."""

STAGES = ("prospect", "new", "active", "at_risk", "lapsed")


def primary_category(bought: Purchases, catalogue: Catalogue) -> str:
    """The top category in which most was spent, empty where none is known."""
    spent: dict[str, int] = {}
    roots = catalogue.roots
    for purchase in bought.kept:
        for line in purchase.lines:
            name = roots.get(line.product)
            if name:
                spent[name] = spent.get(name, 0) + line.amount
    return max(spent, key=lambda name: (spent[name], name), default="")


class Gaps:
    """Counts of gaps by segment and length, which add up over customers, days and shards."""

    def __init__(self) -> None:
        self.closed: dict[str, Counter[int]] = {}
        self.open: dict[str, Counter[int]] = {}

    def add(self, bought: Purchases, segment: tuple[str, str], as_of: Instant) -> None:
        """Count the gaps of one customer."""
        if bought.count < LOYAL_ORDERS:
            return
        name, category = segment
        recent = [
            gap
            for gap, purchase in zip(bought.gaps[::-1], bought.kept[::-1], strict=False)
            if purchase.at > as_of - WINDOW
        ]
        waiting = (as_of - bought.last_at) // DAY
        for key in {f"{name}/{category}", f"/{category}", f"{name}/", "/"}:
            self.closed.setdefault(key, Counter()).update(recent)
            self.open.setdefault(key, Counter())[waiting] += 1

    def take(self, rows: Iterable[tuple[str, str, bool, int, int]]) -> None:
        """Add counts by (tier, category, open, days, gaps), as `waiting.Counts.rows` has them."""
        for name, category, is_open, days, number in rows:
            for key in {f"{name}/{category}", f"/{category}", f"{name}/", "/"}:
                closed, waiting = (
                    kind.setdefault(key, Counter()) for kind in (self.closed, self.open)
                )
                (waiting if is_open else closed)[days] += number

    def rhythms(self) -> dict[str, Rhythm]:
        """The rhythm of each group that has gaps enough."""
        level = {(True, True): "segment", (False, True): "category", (True, False): "tier"}
        found = {}
        for key, closed in self.closed.items():
            name, _, category = key.partition("/")
            if sum(closed.values()) >= ENOUGH_GAPS:
                found[key] = rhythm_of(
                    closed, self.open[key], level.get((bool(name), bool(category)), "shop")
                )
        return found


def rhythm_of(closed: Mapping[int, int], waiting: Mapping[int, int], level: str) -> Rhythm:
    """Mean, median and P90 in days of a group from its counts of closed and open gaps."""
    total = sum(closed.values())
    return Rhythm(
        gaps=total,
        mean=sum(gap * count for gap, count in closed.items()) / total,
        p50=survivor_quantile(closed, waiting, 0.5),
        p90=survivor_quantile(closed, waiting, 0.9),
        level=level,
    )


def survivor_quantile(closed: Mapping[int, int], waiting: Mapping[int, int], share: float) -> float:
    """The day by which `share` of the gaps have ended (Kaplan and Meier 1958, product limit).

    Where too many are still open for that share to be reached, the quantile of the closed gaps.
    """
    at_risk = sum(closed.values()) + sum(waiting.values())
    alive = 1.0
    for day in sorted({*closed, *waiting}):
        ended = closed.get(day, 0)
        if ended:
            alive *= 1 - ended / at_risk
            if alive <= 1 - share + 1e-12:
                return float(day)
        at_risk -= ended + waiting.get(day, 0)
    return quantile(closed, share)


def quantile(counts: Mapping[int, int], share: float) -> float:
    """The quantile of counted values with linear interpolation between order statistics."""
    total = sum(counts.values())
    place = share * (total - 1)
    low, passed = int(place), 0
    below = above = None
    for value in sorted(counts):
        passed += counts[value]
        if below is None and passed > low:
            below = value
        if passed > min(low + 1, total - 1):
            above = value
            break
    if below is None or above is None:
        return 0.0
    return below + (above - below) * (place - low)


def own_rhythm(gaps: Iterable[int], group: Rhythm) -> float:
    """The customer's own days between orders: its median, drawn to the group's by two gaps."""
    ordered = sorted(gaps)
    if not ordered:
        return group.p50
    middle = len(ordered) // 2
    own = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return (len(ordered) * own + 2 * group.p50) / (len(ordered) + 2)


def lapse_date(bought: Purchases, group: Rhythm) -> Instant | None:
    """The first instant strictly past the P90 of the group; None before the first order."""
    if not bought.count:
        return None
    return bought.last_at + (int(group.p90) + 1) * DAY


def next_order_date(bought: Purchases, group: Rhythm) -> Instant | None:
    """When the next order is due by the customer's own rhythm."""
    if not bought.count:
        return None
    return bought.last_at + round(own_rhythm(bought.gaps, group) * DAY)


def winback_date(bought: Purchases, group: Rhythm) -> Instant | None:
    """The first date of the customer's own rhythm that is strictly past the threshold (C8)."""
    lapse = lapse_date(bought, group)
    if lapse is None:
        return None
    step = max(round(own_rhythm(bought.gaps, group) * DAY), DAY)
    beats = -(-(lapse - bought.last_at) // step)
    return bought.last_at + beats * step


def stage(bought: Purchases, group: Rhythm, now: Instant) -> str:
    """prospect, new (one order within P90), active, at_risk (past P90), lapsed (past twice it)."""
    lapse = lapse_date(bought, group)
    if lapse is None:
        return "prospect"
    if now >= lapse + (lapse - bought.last_at):
        return "lapsed"
    if now >= lapse:
        return "at_risk"
    return "new" if bought.count == 1 else "active"
