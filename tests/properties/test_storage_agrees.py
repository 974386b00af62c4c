"""Is there any order of operations in which two stores tell different things?"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aftersale.adapters.storage.memory import MemoryStore
from aftersale.adapters.storage.postgres.store import PostgresStore
from aftersale.adapters.storage.sqlite.store import SqliteStore
from aftersale.delivery.life import LIFE
from aftersale.events.event import Ref
from aftersale.ledger.ports import Conflict, PersonalRow
from aftersale.programme.ports import Deployment, Store, Transaction
from aftersale.testing.storage_examples import (
    everything,
    new_decision,
    new_entry,
    new_mail,
    new_send,
    new_turn,
)
from aftersale.turn.ports import StaleState, StateRow
from databases import empty

Operation = Callable[[Transaction], Any]

CUSTOMERS = st.integers(0, 6)
SOMEBODY = st.integers(1, 6)
"""Customer 0 is everybody, and never becomes one of them."""
INSTANTS = st.integers(0, 9)
NAMES = st.sampled_from(["a", "b", "ä", "\U0001f381", ""])
KINDS = st.sampled_from(["send", "hold"])
JOURNEYS = st.sampled_from(["", "refill", "review"])
REFS = st.builds(Ref, st.sampled_from(["email", "phone"]), NAMES)
KEYS = st.sampled_from(["a", "b", "ä", "\U0001f381"])
VALUES = st.dictionaries(
    NAMES, st.one_of(st.none(), st.integers(-(2**63), 2**63), st.tuples(NAMES)), max_size=2
)

ENTRIES = st.builds(
    lambda name, customer, at, kind: new_entry(name, customer, at, type=kind),
    st.text("abcdefgh", min_size=1, max_size=2),
    CUSTOMERS,
    INSTANTS,
    st.sampled_from(["order.shipped", "unheard.of"]),
)
CONFLICTS = st.builds(
    lambda position, at, data: Conflict(position, "shop", "x", at, "t", 1, data),
    INSTANTS,
    INSTANTS,
    st.binary(max_size=1),
)
PERSONAL = st.builds(
    lambda customer, position, at, told: PersonalRow(
        customer, position, at, msgspec.msgpack.encode(told)
    ),
    CUSTOMERS,
    INSTANTS,
    INSTANTS,
    VALUES,
)
STATES = st.builds(
    StateRow, CUSTOMERS, st.integers(0, 2), st.binary(max_size=2), st.none() | INSTANTS
)
DECISIONS = st.builds(
    lambda customer, seq, now, kind, journey, values: new_decision(
        customer, seq, now=now, kind=kind, journey=journey, values=tuple(values.items())
    ),
    CUSTOMERS,
    st.integers(1, 4),
    INSTANTS,
    KINDS,
    JOURNEYS,
    VALUES,
)
STATUSES = st.sampled_from(sorted(LIFE))
SENDS = st.builds(
    lambda key, customer, status, at, not_before, values: new_send(
        key,
        customer,
        status=status,
        status_at=at,
        decided_at=9 - at,
        not_before=not_before,
        values=values,
    ),
    KEYS,
    CUSTOMERS,
    STATUSES,
    INSTANTS,
    INSTANTS,
    VALUES,
)


def told(part: str, method: str, *arguments: st.SearchStrategy[Any], **named: Any) -> Any:
    """Operations that call one method with drawn arguments."""

    def operation(drawn: tuple[tuple[Any, ...], dict[str, Any]]) -> Operation:
        def run(tx: Transaction) -> Any:
            result = getattr(getattr(tx, part), method)(*drawn[0], **drawn[1])
            return (part, method, list(result) if hasattr(result, "__next__") else result)

        return run

    return st.tuples(st.tuples(*arguments), st.fixed_dictionaries(named)).map(operation)


def some(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, max_size=4)


TYPES = ["order.shipped", "unheard.of", "never"]
OPERATIONS = st.one_of(
    told("ledger", "append", some(ENTRIES)),
    told("ledger", "seen", some(ENTRIES.map(lambda entry: entry.key))),
    told("ledger", "add_conflicts", some(CONFLICTS)),
    told("ledger", "read", INSTANTS, INSTANTS, upto=st.none() | INSTANTS),
    told("ledger", "entries", some(INSTANTS)),
    told("ledger", "of_customers", CUSTOMERS, CUSTOMERS, until=st.none() | INSTANTS),
    told("ledger", "everybodys", st.sampled_from(TYPES)),
    told("ledger", "next_of_everybody", INSTANTS, some(st.sampled_from(TYPES))),
    told("ledger", "oldest_after", INSTANTS),
    told("identities", "create", st.integers(1, 3), INSTANTS),
    told("identities", "bind", some(st.tuples(REFS, CUSTOMERS))),
    told("identities", "find", some(REFS)),
    told("identities", "refs_of_many", some(CUSTOMERS)),
    told("identities", "point", SOMEBODY, SOMEBODY),
    told("personal", "put", some(PERSONAL)),
    told("personal", "of_events", some(INSTANTS)),
    told("personal", "erase", CUSTOMERS, INSTANTS, some(st.binary(max_size=1))),
    told("personal", "suppressed", some(st.binary(max_size=1))),
    told("states", "save", some(STATES)),
    told("states", "load", some(CUSTOMERS)),
    told("states", "remove", CUSTOMERS),
    told("states", "due", INSTANTS, INSTANTS),
    told("states", "wake_all", INSTANTS),
    told("journal", "append", INSTANTS.map(new_turn)),
    told("journal", "read", INSTANTS),
    told("decisions", "append", INSTANTS, some(DECISIONS)),
    told("decisions", "of", CUSTOMERS),
    told("decisions", "newest", journey=JOURNEYS, kind=st.just("") | KINDS, limit=INSTANTS),
    told("decisions", "counts", since=INSTANTS, until=st.none() | INSTANTS),
    told("decisions", "read_upto"),
    told("identities", "ending", NAMES),
    told("outbox", "put", some(SENDS)),
    told("outbox", "move", KEYS, STATUSES, INSTANTS, reason=NAMES, provider_id=NAMES),
    told("outbox", "move", KEYS, STATUSES, INSTANTS, not_before=INSTANTS, tried=INSTANTS),
    told("outbox", "move", KEYS, STATUSES, INSTANTS, repeated=INSTANTS),
    told("outbox", "put_in_doubt", INSTANTS, NAMES),
    told("outbox", "queued", INSTANTS, INSTANTS),
    told("outbox", "queued", INSTANTS, INSTANTS, passing_by=some(st.just("email"))),
    told("outbox", "in_state", STATUSES, limit=INSTANTS),
    told("outbox", "of", CUSTOMERS),
    told("outbox", "sent_since", INSTANTS),
    told("mailbox", "catch", st.builds(new_mail, KEYS, CUSTOMERS)),
    told("mailbox", "newest", limit=INSTANTS, customer=st.none() | CUSTOMERS),
    told("deployments", "add", st.builds(Deployment, INSTANTS, NAMES, INSTANTS, st.just({}))),
    told("meta", "set", NAMES, VALUES),
    told("meta", "get", NAMES),
)
BLOCKS = st.lists(st.tuples(st.booleans(), st.lists(OPERATIONS, max_size=8)), max_size=6)


class _Enough(Exception):
    """Ends a block that shall be undone."""


def _go_on(*, kept: bool) -> None:
    if not kept:
        raise _Enough


def observed(store: Store, blocks: list[tuple[bool, list[Operation]]]) -> list[Any]:
    """What somebody sees who does all of it: results, errors, and the store after each block."""
    seen: list[Any] = []
    for kept, operations in blocks:
        try:
            with store.write() as tx:
                seen.extend(operation(tx) for operation in operations)
                seen.append(everything(tx))
                _go_on(kept=kept)
        except (_Enough, ValueError, StaleState) as error:
            seen.append(type(error))
        with store.read() as tx:
            seen.append(everything(tx))
    return seen


@pytest.fixture(scope="module")
def empty_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "store.db"
    SqliteStore(path, create=True).close()
    return path


@pytest.fixture(scope="module")
def emptied(database_server) -> Iterator[Callable[[], Store]]:
    """A store in a database, empty again at every call."""
    address = database_server.new_schema("agrees")
    store = PostgresStore(address, create=True, shards=1)

    def emptied() -> Store:
        empty(address)
        return store

    yield emptied
    store.close()


@pytest.mark.slow
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(blocks=BLOCKS)
def test_whatever_is_done_a_database_tells_the_same(emptied, blocks) -> None:
    assert observed(emptied(), blocks) == observed(MemoryStore(), blocks)


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(blocks=BLOCKS)
def test_whatever_is_done_both_stores_tell_the_same(empty_file, blocks) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        shutil.copy(empty_file, path)
        on_disk = SqliteStore(path, synchronous="OFF")
        try:
            assert observed(on_disk, blocks) == observed(MemoryStore(), blocks)
        finally:
            on_disk.close()
