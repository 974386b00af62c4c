"""How does a store get from a file into a database, complete and once?"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from aftersale.adapters.storage.postgres import connection as postgres
from aftersale.adapters.storage.postgres import schema
from aftersale.adapters.storage.sqlite import connection as sqlite
from aftersale.kernel.errors import Refusal
from aftersale.turn.shards import bits

_WAIT = 10.0  # seconds
_ROWS = 5_000


class Table(msgspec.Struct, frozen=True):
    """One table of the database and where its rows lie in the file."""

    name: str
    columns: str
    rows: str
    """What follows SELECT, where it is not the columns of the table of the same name."""
    numbered: bool = False
    """Whether the database goes on counting its column `number`."""


def _word(column: str) -> str:
    """A word that the file keeps as a number."""
    return f"(SELECT word FROM words WHERE id = {column}_word)"


def _same(name: str, columns: str, *, numbered: bool = False) -> Table:
    return Table(name, columns, f"{columns} FROM {name}", numbered)


_EVENT = (
    "position, customer, at, received_at, history, key, digest, type, shop, source, id, payload"
)
_TURN = "turn, now, after_position, upto_position, rings, programme, own, engine, woken"
_DECISION = (
    "number, turn, customer, seq, at, now, version, cause, kind, journey, run, step, reason, data"
)

TABLES = (
    Table(
        "events",
        _EVENT,
        "e.position, customer, at, received_at, history, s.key, digest,"
        f" {_word('type')}, {_word('shop')}, {_word('source')}, id, payload"
        " FROM events e JOIN seen s ON s.position = e.position ORDER BY e.position",
    ),
    _same(
        "conflicts", "number, position, received_at, at, source, id, type, payload", numbered=True
    ),
    _same("customers", "id, created_at"),
    _same("pointers", "absorbed, survivor"),
    _same("identities", "customer, kind, value"),
    _same("personal", "position, customer, at, data"),
    _same("erasures", "customer, at"),
    _same("suppressions", "hash"),
    _same("states", "customer, version, wakes_at, blob"),
    Table("turns", f"{_TURN}, shards", f"{_TURN}, 1 FROM turns"),
    Table(
        "decisions",
        _DECISION,
        "number, turn, customer, seq, at, now, version, cause,"
        f" {_word('kind')}, {_word('journey')}, run, {_word('step')}, {_word('reason')}, data"
        " FROM decisions ORDER BY number",
        numbered=True,
    ),
    _same(
        "outbox",
        "number, customer, seq, version, decided_at, useful_until, state_version, status_at, key,"
        " journey, run, step, channel, purpose, template, shop, data, status, reason, provider_id,"
        " kind, attempts, not_before, repeats",
        numbered=True,
    ),
    _same(
        "mailbox",
        "number, customer, at, key, recipient, subject, html, text, headers, channel",
        numbered=True,
    ),
    _same("deployments", "version, digest, deployed_at, files, note"),
    _same("meta", "name, value"),
    _same("api_keys", "created_at, ends_at, id, name, kind, scopes, shop, digest"),
    _same(
        "requests",
        "number, received_at, last_at, times, key, provider, shop, state, passed, headers, body",
    ),
    _same("request_customers", "customer, request"),
)
"""Every table with rows of a store. Leases and workers are of processes and stay behind."""

_TRUTHS = {"events": 4, "turns": 6}
"""Table → the place of a column that the file keeps as 0 or 1 and the database as a truth."""


def move(
    path: Path, address: str, *, shards: int, progress: Callable[[int, int], None]
) -> dict[str, int]:
    """Copy everything that lies in the file into a new store; rows per table.

    In one transaction: the database has all of it or nothing. A database that holds a store
    already is refused.
    """
    where = postgres.shown(address)
    with sqlite.faults(path), closing(_opened(path)) as source:
        total = sum(_count(source, table.name) for table in TABLES)
        done = 0
        with (
            postgres.faults(where),
            postgres.connect(address, wait=_WAIT) as target,
            target.transaction(),
        ):
            _be_absent(target, address)
            schema.lay_out(target, address, shards=shards)
            target.execute("SET LOCAL synchronous_commit = on")
            counts = {}
            for table in TABLES:
                counts[table.name] = 0
                for rows in _rows(source, table):
                    postgres.copy(target, table.name, table.columns, rows)
                    counts[table.name] += len(rows)
                    done += len(rows)
                    progress(done, total)
            _finish(source, target, shards)
    return counts


def counted(path: Path) -> dict[str, int]:
    """Rows per table of the file, named as in the database."""
    with sqlite.faults(path), closing(_opened(path)) as source:
        return {table.name: _count(source, table.name) for table in TABLES}


def _opened(path: Path) -> sqlite3.Connection:
    source = sqlite.connect(path, wait=_WAIT, writable=False)
    source.execute("BEGIN")  # one view of everything
    return source


def _count(source: sqlite3.Connection, table: str) -> int:
    ((count,),) = source.execute(f"SELECT count(*) FROM {table}")
    return int(count)


def _rows(source: sqlite3.Connection, table: Table) -> Iterator[list[tuple[Any, ...]]]:
    cursor = source.execute(f"SELECT {table.rows}")
    truth = _TRUTHS.get(table.name)
    while rows := cursor.fetchmany(_ROWS):
        if truth is not None:
            rows = [(*row[:truth], bool(row[truth]), *row[truth + 1 :]) for row in rows]
        yield rows


def _be_absent(target: psycopg.Connection[Any], address: str) -> None:
    if schema.version_of(target):
        raise Refusal(
            "the database holds a store already",
            where=postgres.shown(address),
            hint="name an empty database: nothing is ever moved over a store",
        )


def _finish(source: sqlite3.Connection, target: psycopg.Connection[Any], shards: int) -> None:
    """Let every shard stand where the one of the file stood, and the numbers go on from there."""
    ((upto, now, sweep),) = source.execute("SELECT upto, now, sweep FROM shards")
    target.execute("UPDATE shards SET upto = %s, now = %s, sweep = %s", (upto, now, bool(sweep)))
    target.execute("UPDATE turns SET shards = %s", (bits(range(shards)),))
    ((at,),) = source.execute("SELECT value FROM counters WHERE name = 'newest_at'")
    target.execute("UPDATE newest SET at = %s", (at,))
    target.execute("SELECT setval('turn_numbers', (SELECT max(turn) FROM turns))")
    for table in TABLES:
        if table.numbered:
            name = sql.Identifier(table.name)
            target.execute(
                sql.SQL(
                    "SELECT setval(pg_get_serial_sequence({}, 'number'), max(number)) FROM {}"
                ).format(sql.Literal(table.name), name)
            )
