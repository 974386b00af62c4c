"""How do several worker processes live through a recorded history, step by step?

The workers are processes of their own that run what `aftersale worker` runs. Only their clock is
ours: an instant in a file, with a lock. A step moves the clock and lets events arrive while no
turn is under way, so every input has one `now` whoever takes it, and decisions can be compared
with those of a run that nobody ever interrupted.
"""

import contextlib
import fcntl
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Self

import msgspec

from aftersale import bootstrap
from aftersale.adapters.telemetry.log import Log
from aftersale.delivery.ports import CLAIMED, SENT
from aftersale.events.event import Event
from aftersale.kernel.draw import draw
from aftersale.kernel.errors import Operational
from aftersale.kernel.ids import Position
from aftersale.kernel.instants import HOUR, Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.digest import digest
from aftersale.runtime.intake import take_in
from aftersale.runtime.replay import replay
from aftersale.runtime.sending import troubles_of
from aftersale.runtime.turns import Turned, Turns
from aftersale.runtime.verify import verify
from aftersale.runtime.worker import Worker
from aftersale.settings import Settings
from aftersale.testing.checker import by_key, check_copies
from aftersale.turn.shards import Lease
from kills import Tally
from recordings import LIVE, app_in_memory, take_arrivals, take_history

LEASE = 0.5
PATIENCE = 60.0
"""Seconds after which something that should come about has not."""

_forked = multiprocessing.get_context("forkserver")
_forked.set_forkserver_preload(
    ["living", "aftersale.adapters.storage.postgres.store", "aftersale.cli.working"]
)


class Clock:
    """An instant in a file that all processes read; who holds it alone may move it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)

    def now(self) -> Instant:
        return int.from_bytes(os.pread(self._file, 8, 0), "big")

    def set(self, now: Instant) -> None:
        os.pwrite(self._file, now.to_bytes(8, "big"), 0)

    @contextlib.contextmanager
    def held(self, *, alone: bool = False) -> Iterator[None]:
        """Let nobody move it; alone: let no turn be under way. Who is killed holds nothing."""
        fcntl.flock(self._file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)


class _Turns(Turns):
    """Turns during which nobody moves the clock."""

    clock: Clock

    def turn(self, horizon: Instant, *, own: bool, lease: Lease | None = None) -> Turned | None:
        with self.clock.held():
            return super().turn(self.clock.now(), own=own, lease=lease)


class _Worker(Worker):
    """Fits thresholds only where everybody has come to rest, so that all see the same customers."""

    clock: Clock

    def know_more(self, now: Instant, lease: Lease | None = None) -> bool:
        with self.clock.held():
            now = self.clock.now()
            with self._store.read() as tx:
                if not has_read_all(tx, now):
                    return False
            return super().know_more(now, lease)


def installation(settings: Settings, clock: Clock, *, stepped: bool) -> App:
    """The installation by that clock; `stepped`: turns and steps exclude each other."""
    app = bootstrap.open_app(settings)
    turns: Turns = app.turns
    worker: Worker = app.worker
    if stepped:
        turns = _Turns(app.store, app.worlds, engine="test", batch=settings.batch)
        turns.clock = clock
        worker = _Worker(app.store, app.worlds, turns, app.sending)
        worker.clock = clock
    return msgspec.structs.replace(app, system_now=clock.now, turns=turns, worker=worker)


def _be_a_worker(settings: Settings, clock_at: Path, log: Path, stepped: bool) -> None:
    wanted = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: wanted.set())
    with log.open("a", encoding="utf-8") as said:
        os.dup2(said.fileno(), sys.stderr.fileno())
    clock = Clock(clock_at)
    while True:
        try:
            app = installation(settings, clock, stepped=stepped)
            break
        except Operational:  # the database is away; a supervisor would start us again
            time.sleep(0.1)
    told = Log(_say, app.system_now, worker="live", json=False)
    bootstrap.live(app, settings, telemetry=told).run(wanted)
    app.sending.close()
    app.store.close()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Crew:
    """Some workers of one installation."""

    def __init__(
        self, settings: Settings, folder: Path, *, size: int = 2, stepped: bool = True
    ) -> None:
        self.settings = msgspec.structs.replace(settings, lease_seconds=LEASE, poll_seconds=0.02)
        self.clock = Clock(folder / "clock")
        self.kills = 0
        self._clock_at = folder / "clock"
        self._log = folder / "log"
        self._stepped = stepped
        self._workers: list[BaseProcess | None] = [None] * size

    def __enter__(self) -> Self:
        for n in range(len(self._workers)):
            self.start(n)
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            if worker is not None and worker.is_alive():
                worker.kill() if error[0] else worker.terminate()
        for worker in self._workers:
            if worker is not None:
                worker.join(PATIENCE)
                assert error[0] or worker.exitcode in {0, -signal.SIGTERM}, self.said()
        self.clock.close()

    def start(self, number: int) -> None:
        arguments = (self.settings, self._clock_at, self._log, self._stepped)
        worker = _forked.Process(target=_be_a_worker, args=arguments)
        worker.start()
        self._workers[number] = worker

    def processes(self) -> list[int]:
        return [worker.pid for worker in self._workers if worker is not None and worker.pid]

    def kill(self, number: int) -> None:
        """kill -9, and start another one in its place."""
        self.be_alive()
        worker = self._workers[number]
        assert worker is not None
        worker.kill()
        worker.join()
        assert worker.exitcode == -signal.SIGKILL, self.said()
        self.kills += 1
        self.start(number)

    def kill_drawn(self, *key: object) -> None:
        self.kill(int(draw("whom", *key) * len(self._workers)))

    def be_alive(self) -> None:
        """Nobody has ended by itself."""
        assert all(worker is not None and worker.is_alive() for worker in self._workers), (
            self.said()
        )

    def said(self) -> str:
        return self._log.read_text("utf-8") if self._log.exists() else ""


# --- at rest ----------------------------------------------------------------------------------


def has_read_all(tx: Transaction, now: Instant) -> bool:
    """Whether every event was taken and every alarm due has rung."""
    last = tx.ledger.last()
    shards = tx.shards.all()
    alarm = tx.states.next_alarm()
    return all(shard.upto == last for shard in shards) and (alarm is None or alarm > now)


def is_at_rest(app: App, now: Instant) -> bool:
    """Whether nothing at all is left to do at that instant."""
    with app.store.read() as tx:
        if not has_read_all(tx, now) or any(shard.sweep for shard in tx.shards.all()):
            return False
        fit = app.worker._calibrate_at(tx)
        if fit is None or fit <= now:
            return False
        rests = any(trouble.until > now for trouble in troubles_of(tx).values())
        return not tx.outbox.in_state(CLAIMED, limit=1) and (rests or not tx.outbox.queued(now, 1))


def wait_until(true: Callable[[], bool], crew: Crew | None = None) -> None:
    """Wait for it; where the store cannot be asked at the moment, ask again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(Operational):
            if true():
                return
        assert time.monotonic() < deadline, crew.said() if crew else "it did not come about"
        if crew is not None:
            crew.be_alive()
        time.sleep(0.01)


# --- what arrives when ------------------------------------------------------------------------


class Step(msgspec.Struct, frozen=True):
    """The clock moves there, and these events are told."""

    now: Instant
    events: tuple[Event, ...]


def steps(
    rows: list[tuple[Instant, Event]], count: int, *, every: Instant = 8 * HOUR
) -> list[Step]:
    """So many steps from LIVE on; what was told between two of them arrives at the later one."""
    found, n = [], 0
    for number in range(1, count + 1):
        now = LIVE + number * every
        first = n
        while n < len(rows) and rows[n][0] <= now:
            n += 1
        found.append(Step(now, tuple(event for _, event in rows[first:n])))
    return found


def live_through(
    app: App,
    crew: Crew,
    plan: list[Step],
    seed: object,
    *,
    disturb: Callable[[int], None],
    times: int,
) -> None:
    """Step by step, disturbed so often at drawn moments that are spread over the steps."""
    span, done = 0.2, 0
    for n, step in enumerate(plan):
        with crew.clock.held(alone=True):
            tell(app, step.events, step.now)
            crew.clock.set(step.now)
        began = time.monotonic()
        while done < times * (n + 1) // len(plan):
            time.sleep(draw("moment", seed, done) * span)
            disturb(done)
            done += 1
        wait_until(lambda: is_at_rest(app, step.now), crew)  # noqa: B023 - waits here
        span = (3 * span + min(time.monotonic() - began, 1.0)) / 4


def tell(app: App, events: tuple[Event, ...], now: Instant) -> None:
    """The events arrive; told again after a fault, for they act once."""
    for _ in range(200):
        try:
            with app.store.write() as tx:
                take_in(tx, events, received_at=now)
        except Operational:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the store did not take the events")


def prepared(settings: Settings, past: list[Event], *, mode: str = "rehearse") -> None:
    """A new installation that has read its past and begins to live at LIVE."""
    app, _ = bootstrap.init(settings)
    take_history(app, past)
    app.worker.once(LIVE)
    with app.store.write() as tx:
        tx.meta.set("mode", mode)
        journeys = app.worlds.compiled(tx, app.worlds.newest(tx)).programme.journeys
        tx.meta.set("expected_hour", dict.fromkeys(sorted(journeys), 10_000))
    app.store.close()


class Lived(msgspec.Struct, frozen=True):
    """What came of a run, to be compared."""

    digest: str
    decisions: int
    last: Position
    keys: tuple[str, ...]
    outcomes: dict[str, str]
    """Key → sent, or why not."""


def lived(app: App) -> Lived:
    """The outcome of the installation's run so far."""
    with app.store.read() as tx:
        sends = [send for send in tx.outbox.all() if send.kind == "message"]
        return Lived(
            digest(tx.decisions.ordered()),
            tx.decisions.total(),
            tx.ledger.last(),
            tuple(send.key for send in sends),
            {s.key: s.status if s.status == SENT else s.reason for s in sends},
        )


def uninterrupted(files: dict[str, str], past: list[Event], plan: list[Step]) -> Lived:
    """One worker in this process on a store in memory, never disturbed."""
    app = app_in_memory(files)
    take_history(app, past)
    app.worker.once(LIVE)
    for step in plan:
        take_arrivals(app, [(step.now, event) for event in step.events])
        app.worker.once(step.now)
    return lived(app)


def examine(app: App, tally: Tally, message_ids: Mapping[str, int] | None = None) -> Lived:
    """Hold the store to all that must be true of it, and write down how much that was.

    `message_ids`: the log of the mail server; None: the mailbox caught all.
    """
    with app.store.read() as tx:
        sends = list(tx.outbox.all())
        caught = {message.key: 1 for message in tx.mailbox.newest(limit=1_000_000)}
        copies = caught if message_ids is None else by_key(sends, message_ids)
        checked = check_copies(sends, copies)
        violations = verify(tx, app.worlds).violations
        replayed = replay(tx, app.worlds)
        tally.events, tally.decisions = tx.ledger.last(), tx.decisions.total()
    tally.add(checked)
    tally.violations = len(violations) + len(checked.wrong)
    assert violations == ()
    assert checked.wrong == ()
    assert checked.promotions_twice == 0
    assert checked.orders_twice == checked.orders_explained
    assert (replayed.different, replayed.states_different) == (0, 0)
    return lived(app)
