"""What is left after a kill -9?

A child process works on a real store and is killed at a drawn moment, again and again. After
every kill the invariants hold; at the end the decisions are those of a run that was never killed.
AFTERSALE_KILLS sets how many kills all scenarios have together (20).
"""

import json
import os
import secrets
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from aftersale import bootstrap
from aftersale.adapters.sources.jsonl import JsonEventSource
from aftersale.adapters.storage.postgres.schema import create as create_database
from aftersale.adapters.storage.postgres.store import PostgresStore
from aftersale.adapters.storage.sqlite.schema import MIGRATIONS, NEWEST, migrate
from aftersale.kernel.draw import draw
from aftersale.kernel.instants import DAY, format_instant
from aftersale.runtime.app import App, admit_batch, import_report
from aftersale.runtime.digest import digest
from aftersale.runtime.importing import run_import
from aftersale.runtime.replay import replay
from aftersale.runtime.verify import verify
from aftersale.settings import Settings
from aftersale.testing.postgres_server import PostgresServer
from aftersale.testing.shop import simulate
from kills import Tally, share
from recordings import END, LIVE, events, programme, take_arrivals, take_history

pytestmark = pytest.mark.crash

Copy = Callable[[], Settings]


class Place:
    """Where stores are made: each begins empty or as a copy of the one that was made ready."""

    def __init__(self, folder: Path, server: PostgresServer | None) -> None:
        self._folder = folder
        self._server = server
        self._names: list[str] = []
        self._prefix = f"crash_{secrets.token_hex(4)}"

    def ready(self) -> Settings:
        """Where the store is made that others are copies of."""
        home = self._folder / "ready"
        programme(home)
        return self._settings(home, like="")

    def copy(self) -> Settings:
        """A copy of the one that is ready, which must be closed."""
        home = self._folder / f"copy-{len(self._names)}"
        shutil.copytree(self._folder / "ready", home)
        return self._settings(home, like=self._names[0] if self._names else "")

    def _settings(self, home: Path, like: str) -> Settings:
        name = f"{self._prefix}_{len(self._names)}"
        self._names.append(name)
        address = self._server.new_database(name, like=like) if self._server is not None else ""
        return Settings(home=home, database=address, shards=4, batch=100)

    def clear(self) -> None:
        if self._server is not None:
            for name in self._names:
                self._server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    found = None
    if request.param == "postgresql":
        found = request.getfixturevalue("database_server")
    made = Place(tmp_path, found)
    yield made
    made.clear()


def _made(settings: Settings) -> App:
    app, _ = bootstrap.init(settings)
    return app


def _killed(work: Callable[[], None], after: float) -> bool:
    """Run the work in a child and kill it after so many seconds; True if it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + after
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, "the work failed by itself"
            return True
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _sound(settings: Settings) -> None:
    """Every invariant holds in the store as the kill left it."""
    app = bootstrap.open_app(settings)
    with app.store.read() as tx:
        assert verify(tx, app.worlds).violations == ()
    app.store.close()


class Outcome(msgspec.Struct, frozen=True):
    """What a run came to."""

    digest: str
    decisions: int
    entries: int
    sends: int
    caught: int


def _outcome(settings: Settings) -> Outcome:
    app = bootstrap.open_app(settings)
    with app.store.read() as tx:
        found = replay(tx, app.worlds)
        assert (found.different, found.states_different) == (0, 0)
        sent = [send for send in tx.outbox.all() if send.kind == "message"]
        assert all(send.status in {"sent", "dropped"} for send in sent)
        result = Outcome(
            digest(tx.decisions.ordered()),
            tx.decisions.total(),
            tx.ledger.last(),
            len(sent),
            tx.mailbox.total(),
        )
    app.store.close()
    return result


def _until_killed(
    work: Callable[[Settings], None], place: Place, kills: int, longest: float, tally: Tally
) -> Settings:
    """Kill the work so often, each time going on from what was left; then let it finish.

    Where it comes to its end before, it begins anew on a fresh copy.
    """
    settings = place.copy()
    while tally.kills < kills:
        moment = 0.02 + draw("kill", tally.scenario, tally.kills, tally.runs) * longest
        if _killed(lambda: work(settings), moment):  # noqa: B023 - runs before the loop goes on
            settings = place.copy()
            tally.runs += 1
            continue
        tally.kills += 1
        _sound(settings)
    work(settings)
    _sound(settings)
    return settings


def test_a_driven_worker_killed_again_and_again_decides_and_sends_the_same(
    place: Place, tally: Tally
) -> None:
    """kill -9 in a driven run loses nothing, repeats nothing and changes no decision."""
    app = _made(place.ready())
    past, rows = events(60, seed=5)
    until = LIVE + 40 * DAY
    take_history(app, past)
    app.worker.drive(LIVE)
    take_arrivals(app, [row for row in rows if row[0] < until])
    app.store.close()

    def work(settings: Settings) -> None:
        mine = bootstrap.open_app(settings)
        mine.worker.drive(until)
        mine.store.close()

    never = place.copy()
    started = time.monotonic()
    work(never)
    longest = (time.monotonic() - started) / 2
    whole = _outcome(never)
    assert whole.decisions > 200
    assert whole.sends == whole.caught > 50
    killed = _outcome(_until_killed(work, place, share(0.05), longest, tally))
    tally.events, tally.decisions, tally.messages = killed.entries, killed.decisions, killed.sends
    tally.copies, tally.equal = killed.caught, killed == whole
    assert killed == whole


def test_an_import_killed_again_and_again_is_the_same_import(
    place: Place, tmp_path: Path, tally: Tally
) -> None:
    """kill -9 in an import leaves whole batches; run again it ends where it would have ended."""
    _made(place.ready()).store.close()
    shop = simulate(seed=5, customers=150, start=LIVE - 300 * DAY, end=END)
    lines = tmp_path / "events.jsonl"
    lines.write_text(
        "".join(json.dumps(raw) + "\n" for _, raw in shop.events()) + "{broken\n", "utf-8"
    )

    def work(settings: Settings) -> None:
        app = bootstrap.open_app(settings)
        source = JsonEventSource(lines, source="shop", zone="UTC", size=100)
        name = source.fingerprint()
        run_import(
            source,
            admit=admit_batch(app, name, history=True),
            progress=lambda done, total: None,
            start_after=import_report(app, name),
        )
        app.store.close()

    def counted(settings: Settings) -> tuple[object, ...]:
        app = bootstrap.open_app(settings)
        with app.store.read() as tx:
            entries = [(e.source, e.id, e.customer) for e in tx.ledger.read(0, 10**7)]
            people = tx.identities.last()
        report = import_report(app, JsonEventSource(lines, source="shop", zone="UTC").fingerprint())
        app.store.close()
        tally.events = len(entries)
        return entries, people, report

    never = place.copy()
    started = time.monotonic()
    work(never)
    longest = (time.monotonic() - started) / 2
    whole = counted(never)
    killed = _until_killed(work, place, share(0.05), longest, tally)
    found = counted(killed)
    tally.equal = found == whole
    assert found == whole
    report = whole[2]
    assert report is not None
    assert report.rows == report.used + report.rejected + report.ignored
    assert report.rejected == 1


def test_a_migration_killed_again_and_again_leaves_one_schema_or_the_other(
    tmp_path: Path, tally: Tally
) -> None:
    """kill -9 in a migration leaves the old store or the new one, with everything in it."""
    place = Place(tmp_path, None)
    settings = place.ready()
    app = _made(settings)
    past, _ = events(60, seed=5)
    take_history(app, past)
    app.worker.drive(LIVE)
    app.store.close()
    whole = _outcome(settings)
    tally.events = whole.entries
    _to_first_schema(bootstrap.store_path(settings.home))

    while tally.kills < share(0.05):
        copy = place.copy()
        path = bootstrap.store_path(copy.home)
        moment = draw("migration", tally.runs) * 0.03
        tally.kills += not _killed(lambda: _migrate(path), moment)  # noqa: B023
        tally.runs += 1
        with sqlite3.connect(path) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.close()
        assert 1 <= version <= NEWEST
        assert len(migrate(path)) == NEWEST - version
        _sound(copy)
        assert _outcome(copy) == whole, format_instant(LIVE)
    tally.equal = True


def test_a_store_killed_while_it_is_made_in_a_database_is_there_or_not(
    database_server: PostgresServer, database: str, tally: Tally
) -> None:
    """kill -9 in the making leaves an empty database or a whole store, never half of one."""
    create_database(database, shards=4)
    whole = _tables(database)
    while tally.kills < share(0.05):
        name = f"crash_{secrets.token_hex(6)}"
        address = database_server.new_database(name)
        moment = draw("making", tally.runs) * 0.08
        tally.kills += not _killed(lambda: create_database(address, shards=4), moment)  # noqa: B023
        tally.runs += 1
        assert _tables(address) in {0, whole}
        create_database(address, shards=4)
        store = PostgresStore(address)
        with store.read() as tx:
            assert tx.shards.count == 4
        store.close()
        database_server.drop_database(name)


def _tables(address: str) -> int:
    with psycopg.connect(address) as connection:
        ((count,),) = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchall()
    return int(count)


def _migrate(path: Path) -> None:
    migrate(path)


def _to_first_schema(path: Path) -> None:
    """Take back what the later migrations added: tables, columns and indexes."""
    with sqlite3.connect(":memory:") as first:
        first.executescript(MIGRATIONS[0].read_text("utf-8"))
        wanted = dict(first.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index'"))
        tables = [row[0] for row in first.execute("SELECT name FROM sqlite_schema WHERE sql <> ''")]
        columns = {table: _columns(first, table) for table in tables}
    first.close()
    with sqlite3.connect(path) as connection:
        connection.executescript("PRAGMA journal_mode=DELETE")
        indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql <> ''"
        newer = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql <> ''"
        for (name,) in connection.execute(newer).fetchall():
            if name not in columns:
                connection.execute(f"DROP TABLE {name}")
        there = {row[0] for row in connection.execute(indexes)}
        for name in there - wanted.keys():
            connection.execute(f"DROP INDEX {name}")
        for table, first_columns in columns.items():
            for column in _columns(connection, table) - first_columns:
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        for name, sql in wanted.items():
            if sql and name not in there:
                connection.execute(sql)
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
