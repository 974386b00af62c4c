"""What does the store on disk do when things go wrong around it?"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import msgspec
import pytest

from aftersale.adapters.storage.sqlite import schema
from aftersale.adapters.storage.sqlite.backup import restore
from aftersale.adapters.storage.sqlite.connection import CHUNK, insert
from aftersale.adapters.storage.sqlite.erasure import IMPERSONAL, PERSONAL
from aftersale.adapters.storage.sqlite.schema import MIGRATIONS, NEWEST, migrate
from aftersale.adapters.storage.sqlite.store import SqliteStore
from aftersale.events.event import Ref
from aftersale.kernel.errors import Operational, Refusal
from aftersale.ledger.ports import PersonalRow
from aftersale.testing.storage_examples import (
    everything,
    fill,
    new_decision,
    new_entry,
    new_mail,
    new_send,
)
from aftersale.turn.ports import StateRow


@pytest.fixture(scope="module")
def empty_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "store.db"
    SqliteStore(path, create=True).close()
    return path


@pytest.fixture
def path(tmp_path, empty_file) -> Path:
    return Path(shutil.copy(empty_file, tmp_path / "store.db"))


def version_in(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        ((version,),) = connection.execute("PRAGMA user_version")
    connection.close()
    return version


def shape(path: Path) -> list[tuple]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
    connection.close()
    return found


def make_older(path: Path) -> None:
    """A store as the first release left it."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in schema.statements(MIGRATIONS[0].read_text(encoding="utf-8")):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
    connection.execute("PRAGMA user_version=1")
    connection.close()


def content(path: Path) -> dict:
    store = SqliteStore(path)
    with store.read() as tx:
        found = everything(tx)
    store.close()
    return found


# --- statements for many rows -------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, CHUNK // 2 - 1, CHUNK // 2, CHUNK // 2 + 1, 2 * CHUNK])
def test_every_row_is_written_however_many_there_are(count) -> None:
    """A number of rows that fills no statement, fills some, or leaves a rest: all are there."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE told (place INTEGER, word TEXT)")
    rows = [(n, f"word {n}") for n in range(count)]
    insert(connection, "INSERT INTO told", 2, iter(rows))
    assert connection.execute("SELECT * FROM told ORDER BY rowid").fetchall() == rows
    connection.close()


def test_of_rows_that_meet_the_later_stands_wherever_a_statement_ends() -> None:
    """Rows are taken in order, within one statement as from one to the next."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE told (key INTEGER PRIMARY KEY, word INTEGER)")
    rows = [(n % 7, n) for n in range(2 * CHUNK + 3)]
    upsert = "ON CONFLICT DO UPDATE SET word = excluded.word"
    insert(connection, "INSERT INTO told", 2, rows, upsert)
    assert dict(connection.execute("SELECT * FROM told")) == dict(rows)
    connection.close()


# --- the schema ---------------------------------------------------------------------------


def test_a_store_of_an_older_schema_is_migrated_when_asked(tmp_path, empty_file) -> None:
    older = tmp_path / "older.db"
    make_older(older)
    with pytest.raises(Refusal, match="older aftersale") as refusal:
        SqliteStore(older)
    assert "aftersale db migrate" in refusal.value.hint
    with pytest.raises(Refusal, match="older aftersale"):
        SqliteStore(older, create=True)
    assert migrate(older) == [migration.stem for migration in MIGRATIONS[1:]]
    assert migrate(older) == []
    assert shape(older) == shape(empty_file)
    SqliteStore(older).close()


def test_a_store_of_a_newer_schema_is_refused(path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={NEWEST + 1}")
    connection.close()
    for attempt in (lambda: SqliteStore(path), lambda: migrate(path)):
        with pytest.raises(Refusal, match="newer aftersale") as refusal:
            attempt()
        assert str(path) in str(refusal.value)


def test_a_store_that_is_migrated_while_it_is_open_is_no_longer_written(path) -> None:
    store = SqliteStore(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={NEWEST + 1}")
    connection.close()
    with pytest.raises(Refusal, match="newer aftersale"), store.write():
        pass
    store.close()


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from aftersale.adapters.storage.sqlite import schema

    left = int(sys.argv[2])
    told = schema.statements

    def statements(script):
        global left
        for statement in told(script):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            yield statement
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    schema.statements = statements
    if sys.argv[3] == "create":
        schema.create(Path(sys.argv[1]))
    else:
        schema.migrate(Path(sys.argv[1]))
""")


@pytest.mark.crash
@pytest.mark.parametrize("how", ["create", "migrate"])
def test_a_migration_that_is_killed_leaves_the_old_schema_or_the_new_one(
    tmp_path, empty_file, how
) -> None:
    scripts = MIGRATIONS if how == "create" else MIGRATIONS[1:]
    steps = [len(list(schema.statements(s.read_text(encoding="utf-8")))) for s in scripts]
    for kill_at in {0, 1, steps[0] // 2, steps[0], sum(steps) - 1, sum(steps)}:
        path = tmp_path / f"{kill_at}.db"
        if how == "migrate":
            make_older(path)
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(kill_at), how], check=False
        )
        assert ended.returncode == -signal.SIGKILL
        version = version_in(path)
        assert version in range(NEWEST)
        assert bool(shape(path)) == bool(version)
        if version == 0:
            SqliteStore(path, create=True).close()
        else:
            assert len(migrate(path)) == NEWEST - version
        assert shape(path) == shape(empty_file)


@pytest.mark.crash
def test_a_writer_that_is_killed_leaves_only_what_it_committed(path) -> None:
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from aftersale.adapters.storage.sqlite.store import SqliteStore
        from aftersale.testing.storage_examples import new_entry

        store = SqliteStore(Path(sys.argv[1]))
        with store.write() as tx:
            tx.ledger.append([new_entry("kept")])
        with store.write() as tx:
            tx.ledger.append([new_entry(str(n)) for n in range(3000)])
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    ended = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    store = SqliteStore(path)
    with store.read() as tx:
        assert [entry.id for entry in tx.ledger.read(0, 10)] == ["kept"]
    store.close()


def test_every_column_either_names_nobody_or_is_erased(path) -> None:
    """A new column fails here until erasure.py says which of the two it is."""
    connection = sqlite3.connect(path)
    tables = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    ]
    columns = {
        table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for table in tables
    }
    connection.close()
    assert columns == {
        table: IMPERSONAL.get(table, frozenset()) | PERSONAL.get(table, frozenset())
        for table in IMPERSONAL.keys() | PERSONAL.keys()
    }
    assert all(not PERSONAL[table] & IMPERSONAL[table] for table in PERSONAL)


def test_after_an_erasure_no_byte_on_disk_names_the_person(path) -> None:
    store = SqliteStore(path)
    name = "Persephone"
    with store.write() as tx:
        tx.identities.create(2, 1)
        tx.identities.bind([(Ref("email", f"{name}@example.com"), 1)])
        for n in range(1, 400):
            tx.personal.put([PersonalRow(1, n, 1, msgspec.msgpack.encode({"name": name, "n": n}))])
            tx.outbox.put([new_send(f"k{n}", values={"text": name * 9})])
        tx.mailbox.catch(
            new_mail("m", to=name, subject=name, html=name * 9_000, text=name, headers={"To": name})
        )
    with store.write() as tx:
        for n in range(1, 400):
            tx.outbox.move(f"k{n}", "claimed", 5)
    everywhere = [path, path.with_name(path.name + "-wal")]
    assert any(name.encode() in file.read_bytes() for file in everywhere)
    with store.write() as tx:
        tx.personal.erase(1, 9, [b"hash"])
    assert not any(name.encode() in file.read_bytes() for file in everywhere)
    store.close()


# --- what is wrong with the file ------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (None, "there is no store"),
        (b"", "there is no store"),
        (b"this is a text, and long enough to be looked at\n" * 40, "the file is not a store"),
    ],
)
def test_what_is_no_store_is_refused_by_its_name(tmp_path, made, told) -> None:
    path = tmp_path / "store.db"
    if made is not None:
        path.write_bytes(made)
    for attempt in (lambda: SqliteStore(path), lambda: migrate(path)):
        with pytest.raises(Refusal, match=told) as refusal:
            attempt()
        assert str(path) in str(refusal.value)
        assert refusal.value.hint


def test_a_database_of_another_program_is_refused(tmp_path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE things (id INTEGER)")
    connection.close()
    for attempt in (
        lambda: SqliteStore(path),
        lambda: SqliteStore(path, create=True),
        lambda: migrate(path),
    ):
        with pytest.raises(Refusal, match="not a store of aftersale"):
            attempt()


def test_a_damaged_store_is_refused_with_the_way_out(path) -> None:
    store = SqliteStore(path)
    with store.write() as tx:
        fill(tx)
    store.close()
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(Refusal, match="damaged") as refusal:
        SqliteStore(path)
    assert "aftersale restore" in refusal.value.hint


def test_a_folder_that_is_absent_is_named(tmp_path) -> None:
    with pytest.raises(Refusal, match="cannot be made") as refusal:
        SqliteStore(tmp_path / "no" / "store.db", create=True)
    assert "folder" in refusal.value.hint


def test_a_store_in_use_elsewhere_is_operational_after_a_short_wait(path) -> None:
    store = SqliteStore(path, wait=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Operational, match="in use by another process"), store.write():
        pass
    with store.read() as tx:
        assert tx.ledger.last() == 0
    other.execute("ROLLBACK")
    other.close()
    with store.write() as tx:
        tx.ledger.append([new_entry("a")])
    store.close()


def test_a_thread_that_writes_for_too_long_makes_the_next_one_give_up(path) -> None:
    store = SqliteStore(path, wait=0.05)
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.write():
            inside.set()
            done.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(5)
    with pytest.raises(Operational, match="another thread"), store.write():
        pass
    done.set()
    holder.join()
    store.close()


def test_a_full_disk_keeps_nothing_of_the_block_and_the_store_goes_on(path) -> None:
    store = SqliteStore(path)
    with store.write() as tx:
        tx.ledger.append([new_entry("kept")])
    assert store._writer is not None
    ((pages,),) = store._writer.connection.execute("PRAGMA page_count")
    store._writer.connection.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(Operational, match="disk is full"), store.write() as tx:
        tx.states.save([StateRow(n, 0, bytes(600), None) for n in range(1000)])
    store._writer.connection.execute("PRAGMA max_page_count=1000000")
    with store.write() as tx:
        assert (tx.ledger.last(), tx.states.count()) == (1, 0)
        tx.states.save([StateRow(n, 0, bytes(600), None) for n in range(1000)])
    store.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write every file")
def test_a_store_that_may_only_be_read_is_refused(path) -> None:
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        with pytest.raises(Refusal, match="cannot be"), SqliteStore(path).write() as tx:
            tx.meta.set("mode", "live")
    finally:
        path.parent.chmod(0o755)


def test_a_reader_sees_the_store_as_it_was_when_its_block_began(path) -> None:
    """And does not hold up the writer."""
    store = SqliteStore(path)
    with store.read() as view:
        with store.write() as tx:
            tx.ledger.append([new_entry("a")])
        assert view.ledger.last() == 0
        with store.read() as later:
            assert later.ledger.last() == 1
    store.close()


def test_several_processes_write_one_after_the_other(path) -> None:
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from aftersale.adapters.storage.sqlite.store import SqliteStore
        from aftersale.testing.storage_examples import new_entry

        store = SqliteStore(Path(sys.argv[1]))
        for n in range(20):
            with store.write() as tx:
                tx.ledger.append([new_entry(f"{sys.argv[2]}{n}", type=f"type.{n}")])
        store.close()
    """)
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path), name]) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    store = SqliteStore(path)
    with store.read() as tx:
        entries = tx.ledger.read(0, 100)
    store.close()
    assert [entry.position for entry in entries] == list(range(1, 41))
    assert sorted((entry.id, entry.type) for entry in entries) == sorted(
        (f"{name}{n}", f"type.{n}") for name in "ab" for n in range(20)
    )


def test_a_forked_process_opens_its_own_connections(path) -> None:
    store = SqliteStore(path)
    with store.write() as tx:
        tx.ledger.append([new_entry("parent")])
    child = os.fork()
    if child == 0:
        with store.write() as tx:
            tx.ledger.append([new_entry("child")])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with store.write() as tx:
        tx.ledger.append([new_entry("parent again")])
        assert tx.ledger.last() == 3
    store.close()


# --- backup and restore -------------------------------------------------------------------


def test_a_backup_is_a_whole_store_though_it_is_made_while_others_write(path, tmp_path) -> None:
    store = SqliteStore(path, synchronous="OFF")
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            with store.write() as tx:
                tx.ledger.append([new_entry(f"{n}-{k}", n) for k in range(50)])
                tx.states.save([StateRow(n, 0, bytes(600), n)])

    writer = threading.Thread(target=write)
    writer.start()
    targets = [tmp_path / f"{n}.backup" for n in range(4)]
    made = [(target, store.backup(target)) for target in targets]
    stop.set()
    writer.join()
    store.close()
    for target, told in made:
        assert told["bytes"] == target.stat().st_size
        copy = SqliteStore(target)
        with copy.read() as tx:
            assert tx.ledger.last() == told["position"] == 50 * tx.states.count()
        copy.close()
    assert sorted(p.suffix for p in tmp_path.iterdir() if "partial" in p.name) == []


def test_a_backup_overwrites_nothing(path, tmp_path) -> None:
    (tmp_path / "there").write_text("x", encoding="utf-8")
    store = SqliteStore(path)
    with pytest.raises(Refusal, match="not made"):
        store.backup(tmp_path / "there")
    store.close()


def test_a_restored_store_is_stopped_and_doubts_what_waited(path, tmp_path) -> None:
    store = SqliteStore(path)
    with store.write() as tx:
        tx.meta.set("mode", "live")
        tx.outbox.put([new_send(s, status=s) for s in ("queued", "claimed", "sent", "dropped")])
        tx.decisions.append(1, [new_decision(1, 1)])
    store.backup(tmp_path / "backup")
    store.close()
    told = restore(tmp_path / "backup", tmp_path / "new.db", at=777)
    assert (told["unknown"], told["erased"], told["migrations"]) == (2, 0, [])
    store = SqliteStore(tmp_path / "new.db")
    with store.read() as tx:
        assert (tx.meta.get("mode"), tx.meta.get("restored_at")) == ("stopped", 777)
        assert {s.key: (s.status, s.status_at, s.reason) for s in tx.outbox.all()} == {
            "queued": ("unknown", 777, "restored"),
            "claimed": ("unknown", 777, "restored"),
            "sent": ("sent", 0, ""),
            "dropped": ("dropped", 0, ""),
        }
        assert tx.decisions.total() == 1
    store.close()


def test_a_restore_overwrites_a_store_only_when_asked_and_nobody_has_it_open(
    path, tmp_path
) -> None:
    store = SqliteStore(path)
    store.backup(tmp_path / "backup")
    with store.write() as tx:
        tx.ledger.append([new_entry("since")])
    with pytest.raises(Refusal, match="not put back"):
        restore(tmp_path / "backup", path, at=1)
    with pytest.raises(Operational, match="in use"):
        restore(tmp_path / "backup", path, at=1, overwrite=True)
    with store.read() as tx:
        assert tx.ledger.last() == 1
    store.close()
    restore(tmp_path / "backup", path, at=1, overwrite=True)
    assert content(path)["entries"] == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["backup", "store.db"]


def test_a_restore_replaces_a_damaged_store(path, tmp_path) -> None:
    store = SqliteStore(path)
    store.backup(tmp_path / "backup")
    store.close()
    path.write_bytes(b"no longer a database" * 900)
    path.with_name("store.db-wal").write_bytes(b"remains of a log")
    restore(tmp_path / "backup", path, at=1, overwrite=True)
    assert content(path)["mode"] == "stopped"


def test_a_restore_erases_again_who_was_erased_since(path, tmp_path) -> None:
    """Of the replaced store and of the list given; an id not yet given belongs to nobody."""

    def known(customer: int) -> Ref:
        return Ref("email", f"{customer}@example.com")

    store = SqliteStore(path)
    with store.write() as tx:
        tx.identities.create(3, 1)
        tx.identities.bind([(known(customer), customer) for customer in (1, 2, 3)])
    store.backup(tmp_path / "backup")
    with store.write() as tx:
        tx.identities.create(1, 2)
        tx.identities.point(2, 1)
        tx.personal.erase(1, 50, [b"one"])
        tx.personal.erase(4, 60, [b"four"])
    store.close()
    told = restore(
        tmp_path / "backup", path, at=99, overwrite=True, erasures=[(3, 70)], suppressed=[b"x"]
    )
    assert told["erased"] == 3
    store = SqliteStore(path)
    with store.read() as tx:
        assert tx.identities.find([known(customer) for customer in (1, 2, 3)]) == {}
        assert tx.personal.erasures() == [(1, 50), (2, 50), (3, 70)]
        assert tx.personal.suppressed([b"one", b"four", b"x", b"y"]) == {b"one", b"four", b"x"}
    store.close()


def test_a_backup_of_an_older_release_is_migrated_on_its_way_back(tmp_path) -> None:
    make_older(tmp_path / "backup")
    told = restore(tmp_path / "backup", tmp_path / "store.db", at=1)
    assert told["migrations"] == [migration.stem for migration in MIGRATIONS[1:]]
    assert content(tmp_path / "store.db")["mode"] == "stopped"


@pytest.mark.parametrize("made", [None, b"", b"a text" * 500])
def test_what_is_no_backup_is_not_put_back(path, tmp_path, made) -> None:
    if made is not None:
        (tmp_path / "backup").write_bytes(made)
    with pytest.raises(Refusal):
        restore(tmp_path / "backup", path, at=1, overwrite=True)
    assert content(path)["entries"] == []
    assert not (tmp_path / "store.db.restoring").exists()


def test_a_store_that_was_closed_is_not_used_again(path) -> None:
    store = SqliteStore(path)
    store.close()
    store.close()
    with pytest.raises(RuntimeError, match="closed"), store.read():
        pass
