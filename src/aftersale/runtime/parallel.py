"""How does a backtest use every processor?

Customers are independent of each other, so ranges of them are played in processes of their own
and their sums added. One process or several give the same result.
"""

import multiprocessing
from collections.abc import Mapping, Sequence

from aftersale.events.event import Entry
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.models.calibration import Calibration
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
from aftersale.turn.programme import World

WORTH_SPLITTING = 2_000
"""Customers above which a second process pays for its start."""


def backtest_in_parts(app: App, world: World, plan: Plan, *, processes: int = 1) -> Backtested:
    """The backtest of every customer of the store, in up to that many processes."""
    scored = None
    if world.programme.scores and plan.calibrations == "refitted":
        # It brings the engine of the lake, which most backtests have no use for.
        from aftersale.runtime.scoring import scored_then  # noqa: PLC0415

        flow(app.store, app.lake, world.programme.policy.zone)
        scored = scored_then(app.lake, world, scoring_instants(plan))
    with app.store.read() as tx:
        known = calibrations_known(tx, world, plan)
        last = tx.identities.last()
        if processes < 2 or last <= WORTH_SPLITTING:
            return backtest(tx, world, plan, known, scored=scored)
    size = -(-last // processes)
    ranges = [(first, min(first + size - 1, last)) for first in range(1, last + 1, size)]
    task = _Part(app, world, plan, known, scored)
    # A forked child has the world at hand; it opens the store anew, as SQLite wants.
    context = multiprocessing.get_context("fork")
    with context.Pool(len(ranges), initializer=_begin, initargs=(task,)) as pool:
        return added(pool.map(_play, ranges, chunksize=1))


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
                return backtest(
                    tx,
                    self._world,
                    self._plan,
                    self._known,
                    scored=self._scored,
                    first=first,
                    last=last,
                )
        finally:
            store.close()


_parts: list[_Part] = []


def _begin(part: _Part) -> None:
    _parts[:] = [part]


def _play(customers: tuple[CustomerId, CustomerId]) -> Backtested:
    return _parts[0].play(*customers)
