"""How large were stages and segments on earlier days?

A line a day is kept when everybody is counted. Days before that are worked out from the log: the
events of each customer are folded up to the instant, and the rules of today are asked. So a
segment has a past from the day on which it is named.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from aftersale.customers.fold import fold
from aftersale.customers.profile import Profile
from aftersale.events.event import Entry
from aftersale.kernel.instants import Instant
from aftersale.kernel.zones import day_number
from aftersale.models import lifecycle
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.explaining import world_now
from aftersale.segments.reading import Reading
from aftersale.segments.segment import Segment
from aftersale.turn.programme import World
from aftersale.turn.shards import Lease
from aftersale.web.period import date_of, number_of, start_of

MONTHS = 24
"""Months back to which is counted, each at its beginning."""
_DAYS, _WORKED_OUT = "census_days", "census_past"
MOST_KEPT_DAYS = 800
_TOLD_EVERY = 500

Sizes = dict[str, dict[str, int]]
"""Day → stage or segment → customers."""


def sizes_over_time(tx: Transaction) -> Sizes:
    """Each day that is known: counted on it, or else worked out later."""
    found: Sizes = {**(tx.meta.get(_WORKED_OUT) or {}), **(tx.meta.get(_DAYS) or {})}
    return dict(sorted(found.items()))


def keep_day(tx: Transaction, day: str, sizes: Mapping[str, int]) -> None:
    """Keep what was counted on a day."""
    days: Sizes = tx.meta.get(_DAYS) or {}
    days[day] = dict(sizes)
    tx.meta.set(_DAYS, dict(sorted(days.items())[-MOST_KEPT_DAYS:]))


def work_out(
    app: App,
    months: int = MONTHS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Sizes:
    """Work out and keep the sizes at the beginning of each of the last months."""
    with app.store.read() as tx:
        world = world_now(tx, app.worlds)
        segments = app.worlds.compiled(tx, world.programme.version).segments
        instants = month_starts(app.now(tx), world.programme.policy.zone, months)
        found = worked_out(tx, world, segments, instants, progress)
    with app.store.work(Lease()) as tx:
        tx.meta.set(_WORKED_OUT, found)
    return found


def month_starts(now: Instant, zone: str, months: int) -> list[Instant]:
    """The beginnings of the last months on the shop's calendar, the oldest first."""
    this_year, this_month = map(int, date_of(day_number(now, zone)).split("-")[:2])
    found = []
    for back in range(months):
        year, month = divmod(this_year * 12 + this_month - 1 - back, 12)
        found.append(start_of(number_of(f"{year:04d}-{month + 1:02d}-01"), zone))
    return [at for at in reversed(found) if at < now]


def worked_out(
    tx: Transaction,
    world: World,
    segments: Sequence[Segment],
    instants: Sequence[Instant],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Sizes:
    """The sizes as of these instants (ascending), by what had happened by then."""
    counts = [Counter[str]() for _ in instants]
    last = tx.identities.last()
    entries = tx.ledger.of_customers(1, last, until=instants[-1]) if instants else ()
    for customer, told in groupby(entries, key=attrgetter("customer")):
        if customer:
            for found, reading in zip(counts, _readings(told, world, instants), strict=True):
                if reading is not None:
                    found.update(_inside(reading, segments))
            if customer % _TOLD_EVERY == 0:
                progress(customer, last)
    zone = world.programme.policy.zone
    names = [*lifecycle.STAGES, *(one.name for one in segments)]
    return {
        date_of(day_number(at, zone)): {name: found[name] for name in names}
        for at, found in zip(instants, counts, strict=True)
        if found
    }


def _readings(
    entries: Iterable[Entry], world: World, instants: Sequence[Instant]
) -> Iterator[Reading | None]:
    """One customer as of each instant; None while it was not known. To be used one by one."""
    profile, left, known = Profile(), iter(entries), False
    following = next(left, None)
    for at in instants:
        while following is not None and following.at <= at:
            fold(profile, following)
            known = True
            following = next(left, None)
        yield world.reading(profile, at) if known else None


def _inside(reading: Reading, segments: Sequence[Segment]) -> Iterator[str]:
    """The stage and the segments in which the customer is."""
    yield lifecycle.stage(reading.bought, reading.rhythm, reading.now)
    for one in segments:
        if one.condition.met(reading):
            yield one.name
