"""How does a backtest use every processor?

Customers are independent of each other, so ranges of them are played in processes of their own
and their sums added. One process or several give the same result.
"""

import multiprocessing
from collections.abc import Iterable, Mapping, Sequence

from aftersale.events.event import Entry
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.models.calibration import Calibration
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.backtest import (
    Backtested,
    Plan,
    added,
    backtest,
    calibrations_known,
    scoring_instants,
)
from aftersale.runtime.flowing import flow
from aftersale.runtime.jobs import Tell
from aftersale.turn.programme import World

WORTH_SPLITTING = 2_000
"""Customers above which a second process pays for its start."""
PART = 1_000
"""Customers after which is told how far it is."""


def backtest_in_parts(
    app: App,
    world: World,
    plan: Plan,
    *,
    processes: int = 1,
    tell: Tell = lambda phase, done, total: None,
) -> Backtested:
    """The backtest of every customer of the store, in up to that many processes."""
    scored = None
    if world.programme.scores and plan.calibrations == "refitted":
        # It brings the engine of the lake, which most backtests have no use for.
        from aftersale.runtime.scoring import scored_then  # noqa: PLC0415

        flow(
            app.store,
            app.lake,
            world.programme.policy.zone,
            progress=lambda done, total: tell("events laid out", done, total),
        )
        scored = scored_then(
            app.lake,
            world,
            scoring_instants(plan),
            lambda done, total: tell("scorings made as of then", done, total),
        )
    with app.store.read() as tx:
        known = calibrations_known(
            tx, world, plan, lambda done, total: tell("customers read", done, total)
        )
        last = tx.identities.last()
    task = _Part(app, world, plan, known, scored)
    ranges = [(first, min(first + PART - 1, last)) for first in range(1, last + 1, PART)]
    if processes < 2 or last <= WORTH_SPLITTING:
        with app.store.read() as tx:
            return _sum((task.played(tx, *part) for part in ranges), plan, last, tell)
    # A forked child has the world at hand; it opens the store anew, as SQLite wants.
    context = multiprocessing.get_context("fork")
    with context.Pool(processes, initializer=_begin, initargs=(task,)) as pool:
        return _sum(pool.imap(_play, ranges), plan, last, tell)


def _sum(parts: Iterable[Backtested], plan: Plan, last: CustomerId, tell: Tell) -> Backtested:
    found = []
    for part in parts:
        found.append(part)
        tell("customers played", min(len(found) * PART, last), last)
    return added(found, plan.keep)


class _Part:
    """What every process plays its customers with."""

    def __init__(
        self,
        app: App,
        world: World,
        plan: Plan,
        known: Sequence[tuple[Instant, Calibration]],
        scored: Mapping[CustomerId, Sequence[Entry]] | None,
    ) -> None:
        self._app = app
        self._world = world
        self._plan = plan
        self._known = known
        self._scored = scored

    def play(self, first: CustomerId, last: CustomerId) -> Backtested:
        store = self._app.reopen()
        try:
            with store.read() as tx:
                return self.played(tx, first, last)
        finally:
            store.close()

    def played(self, tx: Transaction, first: CustomerId, last: CustomerId) -> Backtested:
        return backtest(
            tx,
            self._world,
            self._plan,
            self._known,
            scored=self._scored,
            first=first,
            last=last,
        )


_parts: list[_Part] = []


def _begin(part: _Part) -> None:
    _parts[:] = [part]


def _play(customers: tuple[CustomerId, CustomerId]) -> Backtested:
    return _parts[0].play(*customers)
