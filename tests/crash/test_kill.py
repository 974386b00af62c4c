"""What is left after a kill -9?

A child process works on a real store and is killed at a drawn moment, again and again. After
every kill the invariants hold; at the end the decisions are those of a run that was never killed.
AFTERSALE_KILLS sets how many kills (20).
"""

import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aftersale import bootstrap
from aftersale.adapters.sources.jsonl import JsonEventSource
from aftersale.adapters.storage.sqlite.schema import MIGRATIONS, NEWEST, migrate
from aftersale.kernel.draw import draw
from aftersale.kernel.instants import DAY, format_instant
from aftersale.runtime.app import App, admit_batch, import_report
from aftersale.runtime.digest import digest
from aftersale.runtime.importing import run_import
from aftersale.runtime.replay import replay
from aftersale.runtime.verify import verify
from aftersale.settings import Settings
from aftersale.testing.shop import simulate
from recordings import END, LIVE, events, programme, take_arrivals, take_history

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("AFTERSALE_KILLS", "20"))  # noqa: TID251 - of the test, not of aftersale


def _open(home: Path) -> App:
    return bootstrap.open_app(Settings(home=home, batch=100))


def _made(home: Path) -> App:
    programme(home)
    app, _ = bootstrap.init(Settings(home=home, batch=100))
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


def _sound(home: Path) -> None:
    """Every invariant holds in the store as the kill left it."""
    app = _open(home)
    with app.store.read() as tx:
        assert verify(tx, app.worlds).violations == ()
    app.store.close()


def _outcome(home: Path) -> tuple[str, int, int, int, int]:
    """Digest and number of decisions, entries, sends by their keys, caught messages."""
    app = _open(home)
    with app.store.read() as tx:
        found = replay(tx, app.worlds)
        assert (found.different, found.states_different) == (0, 0)
        sent = [send for send in tx.outbox.all() if send.kind == "message"]
        assert all(send.status in {"sent", "dropped"} for send in sent)
        result = (
            digest(tx.decisions.ordered()),
            tx.decisions.total(),
            tx.ledger.last(),
            len(sent),
            tx.mailbox.total(),
        )
    app.store.close()
    return result


def _until_killed(
    work: Callable[[Path], None], template: Path, tmp_path: Path, longest: float
) -> Path:
    """Kill the work KILLS times, each time going on from what was left; then let it finish.

    Where it comes to its end before, it begins anew on a fresh copy.
    """
    kills, copies = 0, 0
    home = tmp_path / "killed-0"
    shutil.copytree(template, home)
    while kills < KILLS:
        moment = 0.02 + draw("kill", template.name, kills, copies) * longest
        if _killed(lambda: work(home), moment):  # noqa: B023 - runs before the loop goes on
            copies += 1
            home = tmp_path / f"killed-{copies}"
            shutil.copytree(template, home)
            continue
        kills += 1
        _sound(home)
    work(home)
    _sound(home)
    return home


def test_a_worker_killed_again_and_again_decides_and_sends_the_same(tmp_path: Path) -> None:
    """kill -9 in a live run loses nothing, repeats nothing and changes no decision."""
    template = tmp_path / "ready"
    app = _made(template)
    past, rows = events(60, seed=5)
    until = LIVE + 40 * DAY
    take_history(app, past)
    app.worker.drive(LIVE)
    take_arrivals(app, [row for row in rows if row[0] < until])
    app.store.close()

    def work(home: Path) -> None:
        mine = _open(home)
        mine.worker.drive(until)
        mine.store.close()

    never = tmp_path / "never"
    shutil.copytree(template, never)
    started = time.monotonic()
    work(never)
    longest = (time.monotonic() - started) / 2
    whole = _outcome(never)
    assert whole[1] > 200
    assert whole[3] == whole[4] > 50
    assert _outcome(_until_killed(work, template, tmp_path, longest)) == whole


def test_an_import_killed_again_and_again_is_the_same_import(tmp_path: Path) -> None:
    """kill -9 in an import leaves whole batches; run again it ends where it would have ended."""
    template = tmp_path / "ready"
    _made(template).store.close()
    shop = simulate(seed=5, customers=150, start=LIVE - 300 * DAY, end=END)
    lines = tmp_path / "events.jsonl"
    lines.write_text(
        "".join(json.dumps(raw) + "\n" for _, raw in shop.events()) + "{broken\n", "utf-8"
    )

    def work(home: Path) -> None:
        app = _open(home)
        source = JsonEventSource(lines, source="shop", zone="UTC", size=100)
        name = source.fingerprint()
        run_import(
            source,
            admit=admit_batch(app, name, history=True),
            progress=lambda done, total: None,
            start_after=import_report(app, name),
        )
        app.store.close()

    def counted(home: Path) -> tuple[object, ...]:
        app = _open(home)
        with app.store.read() as tx:
            entries = [(e.source, e.id, e.customer) for e in tx.ledger.read(0, 10**7)]
            people = tx.identities.last()
        report = import_report(app, JsonEventSource(lines, source="shop", zone="UTC").fingerprint())
        app.store.close()
        return entries, people, report

    never = tmp_path / "never"
    shutil.copytree(template, never)
    started = time.monotonic()
    work(never)
    longest = (time.monotonic() - started) / 2
    whole = counted(never)
    killed = _until_killed(work, template, tmp_path, longest)
    assert counted(killed) == whole
    report = whole[2]
    assert report is not None
    assert report.rows == report.used + report.rejected + report.ignored
    assert report.rejected == 1


def test_a_migration_killed_again_and_again_leaves_one_schema_or_the_other(tmp_path: Path) -> None:
    """kill -9 in a migration leaves the old store or the new one, with everything in it."""
    template = tmp_path / "ready"
    app = _made(template)
    past, _ = events(60, seed=5)
    take_history(app, past)
    app.worker.drive(LIVE)
    app.store.close()
    whole = _outcome(template)
    _to_first_schema(bootstrap.store_path(template))

    for kill in range(KILLS):
        home = tmp_path / "killed"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(template, home)
        path = bootstrap.store_path(home)
        _killed(lambda: _migrate(path), draw("migration", kill) * 0.03)  # noqa: B023
        with sqlite3.connect(path) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.close()
        assert 1 <= version <= NEWEST
        assert len(migrate(path)) == NEWEST - version
        _sound(home)
        assert _outcome(home) == whole, format_instant(LIVE)


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
