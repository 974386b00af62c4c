"""What does the store in a database do beyond what every store does?"""

import multiprocessing
import os
import threading

import psycopg
import pytest

from aftersale.adapters.storage.postgres import connection, schema
from aftersale.adapters.storage.postgres.erasure import IMPERSONAL, PERSONAL
from aftersale.adapters.storage.postgres.store import PostgresStore
from aftersale.kernel.errors import Operational, Refusal
from aftersale.testing.postgres_server import NoServer, PostgresServer
from aftersale.testing.storage_examples import fill, new_entry, raises
from aftersale.turn.shards import LeaseLost


@pytest.fixture
def store(database):
    made = PostgresStore(database, create=True, shards=4, wait=0.3)
    yield made
    made.close()


def run(address: str, statement: str) -> list[tuple]:
    with psycopg.connect(address, autocommit=True) as link:
        cursor = link.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_every_column_either_names_nobody_or_is_erased(store, database) -> None:
    columns = run(
        database,
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema()",
    )
    found: dict[str, set[str]] = {}
    for table, column in columns:
        found.setdefault(table, set()).add(column)
    named = {
        table: set(IMPERSONAL.get(table, ()) | PERSONAL.get(table, frozenset()))
        for table in IMPERSONAL.keys() | PERSONAL.keys()
    }
    assert found == named
    assert all(not PERSONAL[table] & IMPERSONAL[table] for table in PERSONAL)


def test_an_empty_database_is_no_store(database) -> None:
    with pytest.raises(Refusal, match="there is no store"):
        PostgresStore(database)


def test_making_a_store_that_is_there_changes_nothing(store, database) -> None:
    with store.write() as tx:
        fill(tx)
    again = PostgresStore(database, create=True, shards=9)
    with again.read() as tx:
        assert (tx.shards.count, tx.states.count()) == (4, 2)
    again.close()


def test_tables_of_another_program_are_left_alone(database) -> None:
    run(database, "CREATE TABLE invoices (id integer)")
    with pytest.raises(Refusal, match="not of aftersale"):
        PostgresStore(database, create=True)
    assert run(database, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()") == [
        ("invoices",)
    ]


@pytest.mark.parametrize("shards", [0, 64])
def test_a_number_of_shards_that_cannot_be_is_refused(database, shards) -> None:
    with pytest.raises(Refusal, match="shards"):
        PostgresStore(database, create=True, shards=shards)


def test_an_older_program_stops_when_the_store_is_migrated_beside_it(store, database) -> None:
    """A worker of an older version beside a newer one writes nothing more."""
    run(database, f"INSERT INTO aftersale_schema (version) VALUES ({schema.NEWEST + 1})")
    with pytest.raises(Refusal, match="newer aftersale"), store.work() as tx:
        tx.shards.passed([0], 1, 1)
    with pytest.raises(Refusal, match="newer aftersale"):
        PostgresStore(database)
    run(database, f"DELETE FROM aftersale_schema WHERE version > {schema.NEWEST}")
    with store.read() as tx:
        assert tx.shards.all()[0].upto == 0


def test_a_store_of_an_older_schema_is_migrated_when_asked(store, database, monkeypatch) -> None:
    run(database, "DELETE FROM aftersale_schema")
    run(database, "INSERT INTO aftersale_schema (version) VALUES (0)")
    with pytest.raises(Refusal, match="older aftersale"), store.read():
        pass
    run(database, "DROP TABLE api_keys, requests, request_customers")
    run(database, "UPDATE aftersale_schema SET version = 1")
    assert schema.migrate(database) == [path.stem for path in schema.MIGRATIONS[1:]]
    assert schema.migrate(database) == []
    with store.read() as tx:
        assert tx.api_keys.all() == []
        assert tx.requests.counts() == []


def test_a_wrong_password_is_refused_and_not_shown() -> None:
    try:
        server = PostgresServer(password="right-one")
        server.start()
    except NoServer as reason:
        pytest.skip(f"no PostgreSQL server: {reason}")
    try:
        wrong = server.address("postgres").replace("right-one", "wrong-one")
        with pytest.raises(Refusal, match="password") as told:
            PostgresStore(wrong, wait=2)
        words = f"{told.value.what} {told.value.where} {told.value.why} {told.value.hint}"
        assert "wrong-one" not in words
        PostgresStore(server.address("postgres"), create=True).close()
    finally:
        server.remove()


def test_what_cannot_be_reached_is_operational_and_says_what_to_look_at() -> None:
    with pytest.raises(Operational, match="cannot be reached") as told:
        PostgresStore("postgresql://ada:secret@127.0.0.1:1/shop", wait=2)
    assert "secret" not in told.value.what


def test_a_server_that_is_too_old_is_refused(database, monkeypatch) -> None:
    monkeypatch.setattr(connection, "OLDEST", 990000)
    with pytest.raises(Refusal, match="too old"):
        PostgresStore(database, create=True)


def test_a_store_in_use_elsewhere_is_operational_after_a_short_wait(store, database) -> None:
    other = PostgresStore(database)
    with other.write() as tx:
        tx.ledger.append([new_entry("a")])
        with pytest.raises(Operational, match="in use by another process"):
            _write_elsewhere(store)
    other.close()
    with store.write() as tx:
        assert tx.ledger.append([new_entry("b")]) == [2]


def _write_elsewhere(store: PostgresStore) -> None:
    with store.write():
        pass


def test_work_on_different_shards_goes_on_side_by_side(store, database) -> None:
    """Two workers are inside their blocks at the same time, and beside one that writes facts."""
    other = PostgresStore(database, wait=0.3)
    for holder in ("ada", "ben", "ada", "ben"):
        store.lease(holder, 60)
    ada, ben = store.lease("ada", 60), store.lease("ben", 60)
    together = threading.Barrier(3, timeout=5)

    def work(mine: PostgresStore, lease) -> None:
        with mine.work(lease) as tx:
            together.wait()
            tx.shards.passed(tx.shards.mine(), 5, 5)
            together.wait()

    threads = [
        threading.Thread(target=work, args=(store, ada)),
        threading.Thread(target=work, args=(other, ben)),
    ]
    for thread in threads:
        thread.start()
    with store.write() as tx:
        tx.ledger.append([new_entry("a")])
        together.wait()
        together.wait()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        assert {shard.upto for shard in tx.shards.all()} == {5}
    other.close()


def test_a_lease_that_is_lost_in_the_middle_of_a_turn_undoes_the_turn(store, database) -> None:
    lease = store.lease("ada", 60)
    steal = "UPDATE leases SET holder = 'thief', token = token + 1 WHERE shard = 2"
    with raises(LeaseLost), store.work(lease) as tx:
        tx.meta.set("mode", "live")
        run(database, steal)
        tx.shards.passed(tx.shards.mine(), 5, 5)
    with store.read() as tx:
        assert (tx.meta.get("mode"), tx.shards.all()[0].upto) == (None, 0)


def test_a_connection_that_breaks_before_the_commit_leaves_nothing(store, database) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'aftersale' AND state = 'idle in transaction'"
    )
    with raises(Operational), store.write() as tx:
        tx.ledger.append([new_entry("a")])
        run(database, cut)
    with store.read() as tx:
        assert tx.ledger.last() == 0


def test_a_pooled_connection_that_broke_off_is_replaced(store, database) -> None:
    run(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'aftersale'",
    )
    with store.read() as tx:
        assert tx.ledger.last() == 0


def test_a_forked_process_opens_its_own_connections(store) -> None:
    with store.write() as tx:
        tx.ledger.append([new_entry("a")])

    def child() -> None:
        with store.write() as tx:
            tx.ledger.append([new_entry("b")])
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(20)
    assert process.exitcode == 0
    with store.read() as tx:
        assert [entry.id for entry in tx.ledger.read(0, 9)] == ["a", "b"]


def test_a_store_that_was_closed_is_not_used_again(database) -> None:
    made = PostgresStore(database, create=True)
    made.close()
    with pytest.raises(RuntimeError), made.read():
        pass
