"""How fast are complete turns on PostgreSQL, with one worker and with several?

The server is started here with its defaults for durability: every commit is flushed. A worker is a
process of its own that takes batches in and turns until nothing is left for the customers it holds.
All processes, the server's too, share this machine's processors.
"""

import multiprocessing
import multiprocessing.synchronize
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from aftersale.adapters.storage.postgres.store import PostgresStore
from aftersale.kernel.instants import HOUR, SECOND
from aftersale.runtime.app import App
from aftersale.runtime.intake import take_in
from aftersale.testing.postgres_server import NoServer, PostgresServer
from benchmarks.events import START, read_file
from benchmarks.figures import Clock, mebibytes, peak_memory, skipped, tidy, told
from benchmarks.live import (
    BACKFILL,
    BATCH,
    EVENTS_OF_ONE,
    Half,
    carry,
    deployed,
    events_file,
    half_in_bulk,
    newcomers,
    taken_singly,
)
from benchmarks.textbook import Postgres, Textbook, sqlite

SHARDS = 16
DURABILITY = "PostgreSQL, synchronous_commit on, fsync on"
_SETTINGS = ("shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min")
_LONG = 3_600.0
"""Seconds that no lease of a measurement outlives."""
_PROCESSES = multiprocessing.get_context("fork")


@contextmanager
def served(name: str) -> Iterator[PostgresServer | None]:
    """A server of our own; None, and the reason is printed, where there can be none."""
    try:
        server = PostgresServer(settings=_SETTINGS)
        server.start()
    except NoServer as reason:
        skipped(name, str(reason))
        yield None
        return
    try:
        yield server
    finally:
        server.remove()


def opened(
    server: PostgresServer, folder: Path, batch: int = BATCH, *, create: bool = False
) -> App:
    """The installation on the server's store."""
    store = PostgresStore(server.address("postgres"), create=create, shards=SHARDS)
    return deployed(store, folder, batch)


def live_postgres(events: int, folder: Path, *, workers: int, target: float) -> None:
    """The rate over the second half of the events, beside the textbook's way."""
    name = f"live-postgres-{workers}"
    customers = round(events / EVENTS_OF_ONE)
    path = events_file(folder, events, customers)
    with served(name) as server:
        if server is None:
            return
        app = opened(server, folder, create=True)
        for some in newcomers(customers):
            carry(app, some, Half())
        app.store.close()
        halves = _shared_out(server, folder, path, events, workers)
        seconds = max(half["end"] for half in halves) - min(half["begin"] for half in halves)
        kept = _sizes(server.address("postgres"))
    events_done = sum(half["events"] for half in halves)
    baseline, compared = None, {}
    if workers == 1:
        found = textbook(name, path, folder, customers, events)
        baseline = found.get("events_per_second")
        compared = {"textbook": {key: tidy(value) for key, value in found.items()}}
    told(
        name,
        events_done / seconds,
        "events/s",
        baseline=baseline,
        target=target,
        workers=workers,
        shards=SHARDS,
        customers=customers,
        events=events_done,
        seconds=seconds,
        **{
            key: sum(half[key] for half in halves)
            for key in (
                "decisions",
                "sends",
                "turns",
                "intake_seconds",
                "turn_seconds",
                "cpu_seconds",
            )
        },
        peak_mib=max(half["peak_mib"] for half in halves),
        bytes=kept,
        batch=BATCH,
        durability=f"{DURABILITY}, one commit for intake and one for each turn",
        **compared,
    )


def _shared_out(
    server: PostgresServer, folder: Path, path: Path, events: int, workers: int
) -> list[dict[str, Any]]:
    """Every worker takes every n-th batch; what each did in the second half."""
    together = _PROCESSES.Barrier(workers)
    answers: multiprocessing.Queue[dict[str, Any]] = _PROCESSES.Queue()  # type: ignore[assignment]
    started = [
        _PROCESSES.Process(
            target=_work, args=(server, folder, path, events, (n, workers), together, answers)
        )
        for n in range(workers)
    ]
    for process in started:
        process.start()
    halves = [answers.get() for _ in started]
    for process in started:
        process.join()
    return halves


def _work(
    server: PostgresServer,
    folder: Path,
    path: Path,
    events: int,
    mine: tuple[int, int],
    together: multiprocessing.synchronize.Barrier,
    answers: Any,
) -> None:
    number, workers = mine
    app = opened(server, folder)
    store, me = app.store, f"worker-{number}"
    for _ in range(3):  # until everybody has what is fair
        lease = store.lease(me, _LONG)
        together.wait()
    first, second = Half(), Half()
    half = events // 2 // BATCH
    batches = enumerate(read_file(path, BATCH))
    for n, some in islice(batches, half):
        if n % workers == number:
            carry(app, some, first, lease)
    together.wait()
    while app.turns.turn(START, own=False, lease=lease) is not None:
        pass
    together.wait()
    begin, last = time.time(), START
    for n, some in batches:
        last = max(event.at for event in some) + SECOND
        if n % workers == number:
            carry(app, some, second, lease)
    together.wait()  # what the others took in last is for us to decide about, too
    with second.turns.running():
        while (turned := app.turns.turn(last, own=False, lease=lease)) is not None:
            second.decisions += turned.decisions
            second.turned += 1
    end = time.time()
    answers.put(
        {
            "begin": begin,
            "end": end,
            "events": second.events,
            "decisions": second.decisions,
            "sends": second.sends,
            "turns": second.turned,
            "intake_seconds": second.intake.seconds,
            "turn_seconds": second.turns.seconds,
            "cpu_seconds": second.cpu_seconds,
            "peak_mib": mebibytes(peak_memory()),
        }
    )
    store.close()


def textbook(name: str, path: Path, folder: Path, customers: int, events: int) -> dict[str, Any]:
    """The textbook's way on a server of its own, filled from the same half of the events."""
    with served(f"{name}-textbook") as server:
        if server is None:
            return {}
        filling = sqlite(":memory:")
        rest = half_in_bulk(Textbook(filling), path, customers, events)
        database = Postgres(server.address("postgres"))
        database.fill(filling)
        filling.close()
        shop = Textbook(database)
        facts = taken_singly(shop, rest, max(events // 100, 1))
        shop.close()
    return {**facts, "durability": f"{DURABILITY}, one commit an event and one a delayed job"}


def _sizes(address: str) -> dict[str, int]:
    with psycopg.connect(address) as connection:
        rows = connection.execute(
            "SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables"
        ).fetchall()
    return {name: size for name, size in sorted(rows) if size > 1 << 20}


def latency(events: int, folder: Path, *, rate: float = 2_000.0) -> None:
    """How long an event that was taken in durably waits until it has been decided about.

    One process takes events in, at a quarter of the rate asked of one worker (8,000), and notes
    when each batch was committed; the worker is another one and turns as it does live.
    """
    customers = min(round(events / EVENTS_OF_ONE), 100_000)
    seconds = max(min(events / rate, 30.0), 2.0)
    path = events_file(folder, round(customers * EVENTS_OF_ONE), customers)
    with served("latency") as server:
        if server is None:
            return
        app = opened(server, folder, create=True)
        for some in newcomers(customers):
            carry(app, some, Half())
        app.store.close()
        halt = _PROCESSES.Event()
        decided: Any = _PROCESSES.Queue()
        worker = _PROCESSES.Process(target=_decide, args=(server, folder, halt, decided))
        worker.start()
        taken = _take_in(server, folder, path, rate, seconds)
        halt.set()
        turns = decided.get()
        worker.join()
    waits = []
    n = 0
    for position, count, at in taken:
        while n < len(turns) and turns[n][0] < position:
            n += 1
        if n < len(turns):
            waits += [turns[n][1] - at] * count
    waits.sort()
    at = {share: waits[int(share * (len(waits) - 1))] for share in (0.5, 0.95, 0.99)}
    told(
        "latency",
        at[0.95],
        "seconds (p95)",
        target=1.0,
        p50=at[0.5],
        p95=at[0.95],
        p99=at[0.99],
        events=len(waits),
        asked_per_second=rate,
        taken_per_second=len(waits) / seconds,
        durability=DURABILITY,
    )


def _take_in(
    server: PostgresServer, folder: Path, path: Path, rate: float, seconds: float
) -> list[tuple[int, int, float]]:
    """(last position, events, when they were durable) of every batch: ten a second."""
    app = opened(server, folder)
    size = int(rate / 10)
    taken = []
    began = time.monotonic()
    for n, some in enumerate(read_file(path, size)):
        wait = began + n / 10 - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        if n / 10 > seconds:
            break
        with app.store.write() as tx:
            take_in(tx, some, received_at=app.system_now())
            position = tx.ledger.last()
        taken.append((position, len(some), time.time()))
    time.sleep(2.0)
    app.store.close()
    return taken


def _decide(server: PostgresServer, folder: Path, halt: Any, decided: Any) -> None:
    """(position read, when that was committed) of every turn until told to stop."""
    app = opened(server, folder)
    lease = app.store.lease("worker", _LONG)
    turns = []
    while not halt.is_set():
        turned = app.turns.turn(app.system_now(), own=False, lease=lease)
        if turned is None:
            halt.wait(0.25)
        elif turned.events:
            turns.append((turned.upto, time.time()))
    decided.put(turns)
    app.store.close()


def due(events: int, folder: Path, *, target: float = 20_000) -> None:
    """How many alarms a second ring when every customer wakes in the same hour."""
    customers = events
    with served("due") as server:
        if server is None:
            return
        app = opened(server, folder, create=True)
        before = Half()
        for some in newcomers(customers):
            carry(app, some, before)
        now = app.system_now()
        with psycopg.connect(server.address("postgres")) as connection:
            connection.execute(
                "UPDATE states SET wakes_at = %s + (customer * 7919) %% %s", (now, HOUR)
            )
        with psycopg.connect(server.address("postgres"), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE states")
        clock, woken = Clock(), 0
        with clock.running():
            while (turned := app.turns.turn(now + HOUR, own=False)) is not None:
                woken += turned.customers
        app.store.close()
    told(
        "due",
        woken / clock.seconds,
        "alarms/s",
        target=target,
        customers=customers,
        alarms=woken,
        seconds=clock.seconds,
        cpu_seconds=clock.cpu_seconds,
        batch=BATCH,
        base=BACKFILL,
        durability=DURABILITY,
    )
