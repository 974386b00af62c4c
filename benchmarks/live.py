"""How many events a second does a store take in and decide about, durably?

A complete turn: the events of a batch are admitted (identity, ledger with payload, personal data)
in one transaction, then turns run until nothing is left to do: states, decisions, outbox and
journal in one transaction each. Every customer is known before, with an address and mostly a
consent, and already has a state. The clock is live: everything is taken at the instant at which
its batch arrived, and alarms that are due ring in turns of their own.
"""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from aftersale.adapters.storage.sqlite.store import SqliteStore
from aftersale.bootstrap import build
from aftersale.events.event import Event, Ref
from aftersale.events.vocabulary import Body, ConsentEvent, CustomerUpdated
from aftersale.kernel.draw import draw
from aftersale.kernel.instants import DAY, SECOND
from aftersale.programme.ports import Store
from aftersale.runtime.app import App
from aftersale.runtime.intake import take_in
from aftersale.settings import Settings
from aftersale.turn.shards import Lease
from aftersale.turn.state import decode
from benchmarks.decide import files
from benchmarks.events import COUNTRIES, START, event_of, read_file
from benchmarks.figures import Clock, mebibytes, peak_memory, spread, tidy, told
from benchmarks.textbook import Textbook, sqlite

BATCH, BACKFILL = 2_000, 10_000
EVENTS_OF_ONE = 2.5
"""Events for each customer. All customers are known before the first of them."""
CONSENTED = 0.6
DURABILITY = "SQLite WAL, synchronous FULL"
_TABLES = {
    "ledger": ("events", "seen", "words"),
    "identity": ("customers", "identities", "pointers"),
    "personal": ("personal",),
    "states": ("states",),
    "decisions": ("decisions",),
    "outbox": ("outbox",),
}


def events_file(folder: Path, events: int, customers: int, *, buying: bool = False) -> Path:
    """The file of that shop's events; written by another process where it is not there yet."""
    path = folder / f"events-{events}-{customers}{'-buying' if buying else ''}"
    if not path.exists():
        command = [sys.executable, "-m", "benchmarks.events", str(path)]
        command += ["--events", str(events), "--customers", str(customers)]
        command += ["--buying"] if buying else []
        subprocess.run(command, check=True)
    return path


class Half:
    """What a stretch of the events took."""

    def __init__(self) -> None:
        self.intake, self.turns = Clock(), Clock()
        self.orders = 0
        self.events = self.new = self.turned = self.decisions = self.sends = 0

    @property
    def seconds(self) -> float:
        """On the wall."""
        return self.intake.seconds + self.turns.seconds

    @property
    def cpu_seconds(self) -> float:
        """Of the processor."""
        return self.intake.cpu_seconds + self.turns.cpu_seconds


def carry(app: App, batch: list[Event], half: Half, lease: Lease | None = None) -> None:
    """Take a batch in and turn until nothing is left to do for the customers of the lease."""
    now = max(event.at for event in batch) + SECOND
    with half.intake.running(), app.store.write() as tx:
        taken = take_in(tx, batch, received_at=now)
    with half.turns.running():
        while (turned := app.turns.turn(now, own=False, lease=lease)) is not None:
            half.turned += 1
            half.decisions += turned.decisions
            half.sends += turned.sends
    half.events += len(batch)
    half.orders += sum(event.type == "order.completed" for event in batch)
    half.new += taken.new


def new_app(home: Path, batch: int) -> App:
    """An installation with the starter programme in an empty folder."""
    home.mkdir(parents=True)
    return deployed(SqliteStore(home / "aftersale.db", create=True), home, batch)


def deployed(store: Store, home: Path, batch: int) -> App:
    """An installation on that store."""
    app = build(store, Settings(home=home, batch=batch))
    app.deploy(files())
    return app


def newcomers(customers: int) -> Iterator[list[Event]]:
    """What makes every customer known, in batches."""
    batch = []
    for who in range(1, customers + 1):
        country, zone = COUNTRIES[who % 3]
        body: Body = CustomerUpdated(country=country, zone=zone)
        kind = "customer.updated"
        if draw("consent", who) < CONSENTED:
            kind, body = "consent.given", ConsentEvent(country=country, zone=zone)
        event = event_of(-who, START - DAY, who, kind, body)
        email = f"customer{who}@mail.example"
        refs = (*event.refs, Ref("email", email))
        batch.append(msgspec.structs.replace(event, refs=refs, personal={"email": email}))
        if len(batch) == BACKFILL:
            yield batch
            batch = []
    if batch:
        yield batch


def run(
    path: Path, home: Path, customers: int, events: int, batch: int
) -> tuple[Half, Half, dict[str, Any]]:
    """Carry the events of a file; both halves, and what the store looks like then."""
    app = new_app(home, batch)
    before, first, second = Half(), Half(), Half()
    for some in newcomers(customers):
        carry(app, some, before)
    for some in read_file(path, batch):
        carry(app, some, first if first.events < events // 2 else second)
    memory = peak_memory()
    app.store.close()
    total = before.new + first.new + second.new
    decisions = first.decisions + second.decisions
    found = _on_disk(home / "aftersale.db")
    kept = found["bytes"]
    facts = {
        "events": first.events + second.events,
        "new_events": first.new + second.new,
        "share_of_orders": (first.orders + second.orders) / (first.events + second.events),
        "decisions": decisions,
        "sends": first.sends + second.sends,
        "turns": first.turned + second.turned,
        "first_half_events_per_second": first.events / first.seconds,
        "intake_seconds": second.intake.seconds,
        "turn_seconds": second.turns.seconds,
        "seconds": second.seconds,
        "cpu_seconds": second.cpu_seconds,
        "per_cpu_second": second.events / second.cpu_seconds,
        "bytes_per_event": kept["all"] / total,
        "ledger_bytes_per_event": (kept["ledger"] + kept["identity"] + kept["personal"]) / total,
        "decision_bytes": kept["decisions"] / max(decisions, 1),
        "peak_mib": mebibytes(memory),
        "batch": batch,
        "durability": f"{DURABILITY}, one commit for intake and one for each turn",
        **found,
    }
    return first, second, facts


def live(
    name: str, events: int, folder: Path, *, batch: int, target: float, buying: bool = False
) -> None:
    """The rate over the second half of the events; for small batches beside the textbook's way."""
    customers = round(events / EVENTS_OF_ONE)
    path = events_file(folder, events, customers, buying=buying)
    _, second, facts = run(path, folder / name, customers, events, batch)
    baseline, compared = None, {}
    if batch == BATCH:
        found = textbook(path, folder / f"{name}-textbook.db", customers, events)
        baseline = found["events_per_second"]
        compared = {"textbook": {key: tidy(value) for key, value in found.items()}}
    told(
        name,
        second.events / second.seconds,
        "events/s",
        baseline=baseline,
        target=target,
        **facts,
        **compared,
    )


live_sqlite: Callable[[int, Path], None] = partial(live, "live-sqlite", batch=BATCH, target=8_000)
live_sqlite_buying: Callable[[int, Path], None] = partial(
    live, "live-sqlite-buying", batch=BATCH, target=8_000, buying=True
)
live_sqlite_backfill: Callable[[int, Path], None] = partial(
    live, "live-sqlite-backfill", batch=BACKFILL, target=12_000
)


def textbook(path: Path, database: Path, customers: int, events: int) -> dict[str, Any]:
    """The textbook's way on the same events: the first half in bulk, then some one by one."""
    shop = Textbook(sqlite(database))
    rest = half_in_bulk(shop, path, customers, events)
    facts = taken_singly(shop, rest, max(events * 3 // 100, 1))
    shop.close()
    return {**facts, "durability": f"{DURABILITY}, one commit an event and one a delayed job"}


def half_in_bulk(shop: Textbook, path: Path, customers: int, events: int) -> Iterator[Event]:
    """Let the textbook's way know all customers and half of the events; the other half."""
    for batch in newcomers(customers):
        for event in batch:
            shop.in_bulk(event)
    rest = (event for batch in read_file(path, BATCH) for event in batch)
    for event in islice(rest, events // 2):
        shop.in_bulk(event)
    shop.commit()
    return rest


def taken_singly(shop: Textbook, rest: Iterator[Event], measured: int) -> dict[str, Any]:
    """What it does with so many of the other half, one by one."""
    clock, jobs, done = Clock(), shop.jobs_done, 0
    for event in islice(rest, measured):
        with clock.running():
            shop.take(event)
        done += 1
    return {
        "events_per_second": done / clock.seconds,
        "per_cpu_second": done / clock.cpu_seconds,
        "events": done,
        "profiles": shop.count("profiles"),
        "delayed_jobs_done": shop.jobs_done - jobs,
        "sends": shop.count("sends"),
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu_seconds,
    }


def _on_disk(path: Path) -> dict[str, Any]:
    """Bytes of each part of the store with its indexes, and how large the states are."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        owners = dict(connection.execute("SELECT name, tbl_name FROM sqlite_schema"))
        sizes: dict[str, int] = {}
        for name, size in connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"):
            table = owners.get(name, name)
            sizes[table] = sizes.get(table, 0) + size
        blobs = [decoded for (decoded,) in connection.execute("SELECT blob FROM states")]
    parts = {part: sum(sizes.get(t, 0) for t in tables) for part, tables in _TABLES.items()}
    return {
        "bytes": {"all": path.stat().st_size, **parts},
        "customers": len(blobs),
        "state_bytes": spread([len(blob) for blob in blobs]),
        "live_runs": spread([len(decode(blob).runs) for blob in blobs]),
    }


def memory_sqlite(events: int, folder: Path, *, most: float = 1.2) -> None:
    """Whether a longer log needs more memory: the same customers, five times as many events."""
    customers = round(events / EVENTS_OF_ONE)
    peaks = []
    for count in (events, 5 * events):
        path = events_file(folder, count, customers)
        command = [sys.executable, "-m", "benchmarks.live", str(path)]
        command += [str(folder / f"memory-{count}"), str(customers), str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(json.loads(done.stdout))
    few, many = peaks
    told(
        "memory-sqlite",
        many["peak_mib"] / few["peak_mib"],
        "times the memory for five times the events",
        target=most,
        customers=customers,
        few=few,
        many=many,
        durability=DURABILITY,
    )


def main(path: str, home: str, customers: str, events: str) -> None:
    """Carry a file and print what was needed."""
    _, second, facts = run(Path(path), Path(home), int(customers), int(events), BATCH)
    chosen = ("events", "peak_mib", "bytes_per_event", "bytes")
    rate = tidy(second.events / second.seconds)
    print(json.dumps({**{key: tidy(facts[key]) for key in chosen}, "events_per_second": rate}))


if __name__ == "__main__":
    main(*sys.argv[1:])
