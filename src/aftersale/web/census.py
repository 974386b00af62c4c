"""How do all customers stand, in one pass over their states?

Reads every state, so the answer is kept and its age is shown; a small store is counted anew
after each turn.
"""

import threading
from collections import Counter

import msgspec

from aftersale.kernel.instants import DAY, SECOND, Instant
from aftersale.models import lifecycle
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.explaining import reading_of
from aftersale.segments.reading import Reading
from aftersale.turn.programme import World
from aftersale.turn.state import State, decode

PATIENCE = 50
"""A count is kept for this many times what it cost."""


class Census(msgspec.Struct):
    """What was counted."""

    counted_at: Instant
    """On the machine's clock."""
    now: Instant
    """On the clock of the store."""
    customers: int = 0
    stages: dict[str, int] = {}
    orders: int = 0
    """In the 30 days before `now`."""
    orders_before: int = 0
    """In the 30 days before those."""
    second_orders: int = 0
    """Of `first_orders`, those with a second order within 90 days."""
    first_orders: int = 0
    """Customers whose first order is 90 to 455 days old."""
    waiting: dict[str, dict[str, int]] = {}
    """Journey → step → runs that stand there."""
    versions: dict[str, dict[int, int]] = {}
    """Journey → version → runs."""


class Censuses:
    """The latest count of one store."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._kept: tuple[tuple[int, int], int, Census] | None = None

    def latest(self, tx: Transaction, world: World, now: Instant) -> Census:
        """A count that is not older than it may be."""
        last = tx.journal.last()
        mark = (last.turn if last else 0, world.programme.version)
        with self._lock:
            started = self._app.system_now()
            if self._kept is not None:
                known, cost, census = self._kept
                if known == mark or started < census.counted_at + PATIENCE * cost:
                    return census
            census = take_census(tx, world, now, started)
            cost = max(self._app.system_now() - started, 0)
            self._kept = (mark, cost if cost > SECOND // 4 else 0, census)
            return census


def take_census(tx: Transaction, world: World, now: Instant, counted_at: Instant) -> Census:
    """Count every customer that has a state."""
    census = Census(counted_at, now)
    stages: Counter[str] = Counter()
    after = 0
    while rows := tx.states.page(after, 2_000):
        for row in rows:
            state = decode(row.blob)
            reading = reading_of(state, world, now)
            stages[lifecycle.stage(reading.bought, reading.rhythm, now)] += 1
            _count_orders(census, reading, now)
            _count_runs(census, state, world)
        census.customers += len(rows)
        after = rows[-1].customer
    census.stages = {stage: stages[stage] for stage in lifecycle.STAGES}
    return census


def _count_orders(census: Census, reading: Reading, now: Instant) -> None:
    bought = reading.bought
    for purchase in bought.kept:
        if now - 30 * DAY < purchase.at <= now:
            census.orders += 1
        elif now - 60 * DAY < purchase.at <= now - 30 * DAY:
            census.orders_before += 1
    if bought.count and now - 455 * DAY < bought.first_at <= now - 90 * DAY:
        census.first_orders += 1
        if len(bought.gaps) == bought.count - 1 and bought.gaps and bought.gaps[0] < 90:
            census.second_orders += 1


def _count_runs(census: Census, state: State, world: World) -> None:
    for run in state.runs:
        versions = census.versions.setdefault(run.journey, {})
        versions[run.version] = versions.get(run.version, 0) + 1
        graph = world.programme.graph(run.journey, run.version)
        if graph is None or not 0 <= run.step < len(graph.steps):
            continue
        steps = census.waiting.setdefault(run.journey, {})
        name = graph.steps[run.step].id
        steps[name] = steps.get(name, 0) + 1
