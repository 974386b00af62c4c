"""How do all customers stand, in one pass over their states?

Reads every state, so the answer is kept in the store and its age is shown. A count that takes a
moment is made at once; one that takes longer is made behind the pages' back, in a process of its
own, and until it is done the pages show the one before.
"""

import threading
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from itertools import combinations

import msgspec

from aftersale.customers.purchases import Purchases
from aftersale.kernel.instants import DAY, MINUTE, SECOND, Instant
from aftersale.kernel.zones import day_number
from aftersale.models import lifecycle, rfm
from aftersale.models.calibration import Calibration
from aftersale.programme.ports import Store, Transaction
from aftersale.runtime.app import App
from aftersale.runtime.child import begin, stay_behind
from aftersale.runtime.explaining import reading_of, world_now
from aftersale.runtime.worlds import Worlds
from aftersale.segments.reading import Reading
from aftersale.segments.segment import Segment
from aftersale.turn.programme import World
from aftersale.turn.shards import Lease
from aftersale.turn.state import State, decode
from aftersale.web.period import date_of
from aftersale.web.sizes import keep_day
from aftersale.web.tally import Tally, keep_tally
from aftersale.web.words import span

PATIENCE = 50
"""A count is kept for this many times what it cost."""
AT_ONCE = SECOND // 4
"""What a page waits for."""
SMALL = 2_000
"""Customers up to which the first count is made at once."""
BACK = (30, 90, 365)
"""Days back to which movement is counted."""
AGES = 13
"""Months of a cohort that are told apart, its first included."""
MOST_GAP = 400
"""Days from the first order to the second that are told apart."""
_KEPT = "census"


class Day(msgspec.Struct):
    """One day of the shop."""

    orders: int = 0
    firsts: int = 0
    """Of them, first orders of a customer."""
    revenue: int = 0
    """Minor units of the shop's main currency, before refunds."""


class Cohort(msgspec.Struct):
    """Everybody whose first order was in one month."""

    buyers: int = 0
    again: list[int] = []
    """By months since the first order, 0 its own: who ordered in that month, after the first."""
    ever: list[int] = []
    """By months since: who had ordered again by the end of that month."""


class Cell(msgspec.Struct):
    """Customers of one recency and frequency."""

    count: int = 0
    revenue: int = 0


class Overlap(msgspec.Struct, frozen=True):
    """Customers who are in both."""

    one: str
    other: str
    count: int


class Census(msgspec.Struct):
    """What was counted."""

    counted_at: Instant
    """On the machine's clock."""
    now: Instant
    """On the clock of the store."""
    customers: int = 0
    buyers: int = 0
    stages: dict[str, int] = {}
    currency: str = ""
    """Of `revenue` wherever it stands here: that of most customers."""
    days: dict[int, Day] = {}
    """Day on the shop's calendar → what was ordered; days without anything are left out."""
    second_orders: int = 0
    """Of `first_orders`, those with a second order within 90 days."""
    first_orders: int = 0
    """Customers whose first order is 90 to 455 days old."""
    waiting: dict[str, dict[str, int]] = {}
    """Journey → step → runs that stand there."""
    versions: dict[str, dict[int, int]] = {}
    """Journey → version → runs."""
    together: list[Overlap] = []
    """Customers who are in two journeys at once."""
    people: dict[str, int] = {}
    """Journey → customers in it."""
    segments: dict[str, int] = {}
    overlaps: list[Overlap] = []
    """Customers who are in two segments."""
    cells: dict[str, Cell] = {}
    """`recency/frequency` → customers."""
    groups: dict[str, Cell] = {}
    """Name of the recency x frequency group → customers."""
    moved_stages: dict[int, list[Overlap]] = {}
    """Days back → stage then, stage now, customers."""
    moved_groups: dict[int, list[Overlap]] = {}
    cohorts: dict[str, Cohort] = {}
    """`2026-03` → who first ordered then."""
    gaps: dict[int, int] = {}
    """Days from the first order to the second → customers, up to 400 days."""
    spent: Instant = 0
    """What the count took, in microseconds."""


class Counting(msgspec.Struct, frozen=True):
    """A count, and whether a newer one is being made."""

    census: Census
    running: bool = False
    never: bool = False
    """Whether there was none before, so that the numbers are not there yet."""
    age: str = "just now"
    """How long ago it was counted, in words."""


class Censuses:
    """The latest count of one store."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._kept: tuple[tuple[int, int], Census] | None = None
        self._running: threading.Thread | None = None

    def latest(self, tx: Transaction, world: World, now: Instant) -> Counting:
        """The newest count there is; where it is too old another one is begun."""
        last = tx.journal.last()
        mark = (last.turn if last else 0, world.programme.version)
        with self._lock:
            if self._kept is None:
                self._kept = _read_kept(tx)
            kept = self._kept
            if kept is not None and kept[0] == mark:
                return _told(kept[1], self._app.system_now())
            started = self._app.system_now()
            running = self._running is not None and self._running.is_alive()
            if kept is None:
                quick = tx.states.count() <= SMALL
            else:
                quick = kept[1].spent <= AT_ONCE
                if not quick and started < kept[1].counted_at + PATIENCE * kept[1].spent:
                    return _told(kept[1], started, running=running)
            if quick:
                segments = self._app.worlds.compiled(tx, world.programme.version).segments
                census = take_census(tx, world, segments, now, started)
                census.spent = max(self._app.system_now() - started, 0)
                self._kept = (mark, census)
                return Counting(census)
            if not running:
                self._running = threading.Thread(
                    target=self._count_behind, name="census", daemon=True
                )
                self._running.start()
            if kept is None:
                return Counting(Census(started, now), running=True, never=True)
            return _told(kept[1], started, running=True)

    def _count_behind(self) -> None:
        begin(count_and_keep, self._app.reopen, self._app.system_now, name="census").join()
        with self._app.store.read() as tx:
            kept = _read_kept(tx)
        with self._lock:
            self._kept = kept


def _told(census: Census, now: Instant, *, running: bool = False) -> Counting:
    age = now - census.counted_at
    return Counting(census, running, age="just now" if age < MINUTE else f"{span(age)} ago")


def count_and_keep(reopen: Callable[[], Store], clock: Callable[[], Instant]) -> None:
    """Count everybody in a process of its own, of low priority."""
    stay_behind()
    store = reopen()
    try:
        count(store, clock)
    finally:
        store.close()


def count(store: Store, clock: Callable[[], Instant]) -> Census:
    """Count everybody and keep the result in the store, with a line for its day."""
    with store.read() as tx:
        worlds = Worlds()
        world = world_now(tx, worlds)
        last = tx.journal.last()
        mark = (last.turn if last else 0, world.programme.version)
        started = clock()
        driven = max(tx.meta.get("clock") or 0, last.now if last else 0)
        now = driven if tx.meta.get("driven") else started
        segments = worlds.compiled(tx, world.programme.version).segments
        census = take_census(tx, world, segments, now, started)
        decided = Tally().counted(tx, world.programme.policy.zone, now)
    census.spent = max(clock() - started, 0)
    with store.work(Lease()) as tx:
        keep_census(tx, mark, census, world.programme.policy.zone)
        keep_tally(tx, decided)
    return census


def keep_census(tx: Transaction, mark: tuple[int, int], census: Census, zone: str) -> None:
    """Keep the count, and of its day what is shown over time."""
    tx.meta.set(_KEPT, {"mark": mark, "census": msgspec.to_builtins(census, str_keys=True)})
    day = date_of(day_number(census.now, zone))
    keep_day(tx, day, {**census.stages, **census.segments})


def _read_kept(tx: Transaction) -> tuple[tuple[int, int], Census] | None:
    kept = tx.meta.get(_KEPT)
    if kept is None:
        return None
    try:
        census = msgspec.convert(kept["census"], Census, str_keys=True)
    except msgspec.ValidationError:
        return None  # of a version that counted something else
    return (kept["mark"][0], kept["mark"][1]), census


def take_census(
    tx: Transaction,
    world: World,
    segments: tuple[Segment, ...],
    now: Instant,
    counted_at: Instant,
) -> Census:
    """Count every customer that has a state."""
    counter = _Counter(world, segments, now, counted_at)
    after = 0
    while rows := tx.states.page(after, 2_000):
        for row in rows:
            state = decode(row.blob)
            counter.add(state, reading_of(state, world, now))
        after = rows[-1].customer
    return counter.census()


class _Counter:
    def __init__(
        self, world: World, segments: tuple[Segment, ...], now: Instant, counted_at: Instant
    ) -> None:
        self._world = world
        self._zone = world.programme.policy.zone
        self._now = now
        self._segments = [(one.name, one.condition.met) for one in segments]
        self._found = Census(counted_at, now)
        self._found.currency = world.calibration.currency
        self._found.segments = dict.fromkeys((one.name for one in segments), 0)
        self._stages: Counter[str] = Counter()
        self._together: Counter[tuple[str, str]] = Counter()
        self._people: Counter[str] = Counter()
        self._overlaps: Counter[tuple[str, str]] = Counter()
        self._moved_stages = {back: Counter[tuple[str, str]]() for back in BACK}
        self._moved_groups = {back: Counter[tuple[str, str]]() for back in BACK}
        self._gaps: Counter[int] = Counter()

    def add(self, state: State, reading: Reading) -> None:
        """Count one customer."""
        found, bought = self._found, reading.bought
        found.customers += 1
        stage = lifecycle.stage(bought, reading.rhythm, self._now)
        self._stages[stage] += 1
        inside = [name for name, met in self._segments if met(reading)]
        for name in inside:
            found.segments[name] += 1
        self._overlaps.update(combinations(inside, 2))
        self._count_runs(state)
        if bought.count:
            found.buyers += 1
            self._count_orders(bought)
            self._count_movement(reading, stage)
            self._count_cohort(bought)

    def census(self) -> Census:
        """Everything that was counted."""
        found = self._found
        found.stages = {stage: self._stages[stage] for stage in lifecycle.STAGES}
        found.people = dict(self._people)
        found.together = _overlaps(self._together)
        found.overlaps = _overlaps(self._overlaps)
        found.moved_stages = {n: _overlaps(moved) for n, moved in self._moved_stages.items()}
        found.moved_groups = {n: _overlaps(moved) for n, moved in self._moved_groups.items()}
        found.gaps = dict(sorted(self._gaps.items()))
        found.cohorts = dict(sorted(found.cohorts.items()))
        found.days = dict(sorted(found.days.items()))
        return found

    def _count_runs(self, state: State) -> None:
        found = self._found
        for run in state.runs:
            versions = found.versions.setdefault(run.journey, {})
            versions[run.version] = versions.get(run.version, 0) + 1
            graph = self._world.programme.graph(run.journey, run.version)
            if graph is None or not 0 <= run.step < len(graph.steps):
                continue
            steps = found.waiting.setdefault(run.journey, {})
            name = graph.steps[run.step].id
            steps[name] = steps.get(name, 0) + 1
        names = sorted({run.journey for run in state.runs})
        self._people.update(names)
        self._together.update(combinations(names, 2))

    def _count_orders(self, bought: Purchases) -> None:
        found, now, days = self._found, self._now, self._found.days
        for purchase in bought.kept:
            day = days.get(number := day_number(purchase.at, self._zone))
            if day is None:
                day = days[number] = Day()
            day.orders += 1
            day.firsts += purchase.at == bought.first_at
            if purchase.currency == found.currency or not found.currency:
                day.revenue += purchase.total
        if now - 455 * DAY < bought.first_at <= now - 90 * DAY:
            found.first_orders += 1
            if len(bought.gaps) == bought.count - 1 and bought.gaps and bought.gaps[0] < 90:
                found.second_orders += 1
        if bought.gaps and bought.gaps[0] <= MOST_GAP:
            self._gaps[bought.gaps[0]] += 1

    def _count_movement(self, reading: Reading, stage: str) -> None:
        found, bought, known = self._found, reading.bought, reading.calibration
        r, f, group = group_of(bought, known, self._now)
        spent = bought.revenue.get(found.currency, 0)
        for cells, key in ((found.cells, f"{r}/{f}"), (found.groups, group)):
            cell = cells.get(key)
            if cell is None:
                cell = cells[key] = Cell()
            cell.count += 1
            cell.revenue += spent
        for back in BACK:
            then = self._now - back * DAY
            past = bought if bought.last_at <= then else bought_by(bought, then)
            was = lifecycle.stage(past, reading.rhythm, then)
            self._moved_stages[back][was, stage] += 1
            before = group_of(past, known, then)[2] if past.count else ""
            self._moved_groups[back][before, group] += 1

    def _count_cohort(self, bought: Purchases) -> None:
        first = _month_of(day_number(bought.first_at, self._zone))
        cohort = self._found.cohorts.get(_month_name(first))
        if cohort is None:
            cohort = self._found.cohorts[_month_name(first)] = Cohort(
                again=[0] * AGES, ever=[0] * AGES
            )
        cohort.buyers += 1
        ages = sorted(
            {
                age
                for purchase in bought.kept
                if purchase.at > bought.first_at
                and (age := _month_of(day_number(purchase.at, self._zone)) - first) < AGES
            }
        )
        for age in ages:
            cohort.again[age] += 1
        if ages:
            for age in range(ages[0], AGES):
                cohort.ever[age] += 1


def group_of(bought: Purchases, known: Calibration, now: Instant) -> tuple[int, int, str]:
    """Recency, frequency (1 to 5, 0 without a calibration) and the name of the group."""
    cuts = known.cuts
    r = rfm.recency_score((now - bought.last_at) // DAY, cuts)
    f = rfm.frequency_score(bought.count, cuts)
    return r, f, rfm.named(r, f)


def bought_by(bought: Purchases, then: Instant) -> Purchases:
    """What counted by an earlier instant, as it is known today; refunds are left as they are."""
    kept = tuple(purchase for purchase in bought.kept if purchase.at <= then)
    later = len(bought.kept) - len(kept)
    closed = bought.count - len(bought.kept)
    count = closed + len(kept)
    return msgspec.structs.replace(
        bought,
        kept=kept,
        count=count,
        first_at=bought.first_at if count else 0,
        last_at=kept[-1].at if kept else 0,
        gaps=bought.gaps[: len(bought.gaps) - later] if later else bought.gaps,
    )


@lru_cache(maxsize=20_000)
def _month_of(day: int) -> int:
    """Months since the year 0."""
    year, month = date_of(day)[:7].split("-")
    return int(year) * 12 + int(month) - 1


@lru_cache(maxsize=5_000)
def _month_name(month: int) -> str:
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def _overlaps(counts: Counter[tuple[str, str]]) -> list[Overlap]:
    return [
        Overlap(one, other, count)
        for (one, other), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
