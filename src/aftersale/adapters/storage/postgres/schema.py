"""Which shape does the database have, and how does it get from an older to the newest one?"""

from pathlib import Path
from typing import Any

import psycopg

from aftersale.adapters.storage.postgres.connection import connect, faults, shown
from aftersale.kernel.errors import Refusal
from aftersale.turn.shards import MOST

MIGRATIONS = tuple(sorted(Path(__file__).with_name("migrations").glob("[0-9]*.sql")))
"""One file a version of the schema, in order; the first makes version 1."""

NEWEST = len(MIGRATIONS)

_HELD = "SELECT pg_advisory_xact_lock(hashtext('aftersale'), hashtext(current_schema()))"
"""Two processes that migrate at once come one after the other."""


def create(address: str, *, shards: int, wait: float = 10.0) -> None:
    """Make an empty store where there is none; one that is there stays as it is."""
    with (
        faults(shown(address)),
        connect(address, wait=wait) as connection,
        connection.transaction(),
    ):
        connection.execute(_HELD)
        if not version_of(connection):
            lay_out(connection, address, shards=shards)


def lay_out(connection: psycopg.Connection[Any], address: str, *, shards: int) -> None:
    """Make the tables of an empty store, inside the transaction of the connection."""
    if not 1 <= shards <= MOST:
        raise Refusal(f"a store cannot have {shards} shards", hint=f"choose 1 to {MOST}", code=2)
    _be_empty(connection, address)
    connection.execute(
        "CREATE TABLE aftersale_schema"
        " (version integer NOT NULL, migrated_at timestamptz NOT NULL DEFAULT now())"
    )
    for number in range(1, NEWEST + 1):
        _apply(connection, number)
    every = (shards - 1,)
    connection.execute(
        "INSERT INTO shards SELECT n, 0, 0, false FROM generate_series(0, %s) n", every
    )
    connection.execute("INSERT INTO leases SELECT n, '', 0, 0 FROM generate_series(0, %s) n", every)


def migrate(address: str, *, wait: float = 10.0) -> list[str]:
    """Bring the store up to this version's schema; the names of the migrations applied.

    Each is one transaction that also sets the version, so a process killed at any instant
    leaves either the older or the newer schema, complete.
    """
    applied = []
    with faults(shown(address)), connect(address, wait=wait) as connection:
        if version_of(connection) == 0:
            raise absent(address)
        for number in range(1, NEWEST + 1):
            with connection.transaction():
                connection.execute(_HELD)
                if version_of(connection) < number:
                    _apply(connection, number)
                    applied.append(MIGRATIONS[number - 1].stem)
    return applied


def version_of(connection: psycopg.Connection[Any]) -> int:
    """Version of the schema, 0 where there is no store."""
    row = connection.execute("SELECT to_regclass('aftersale_schema')").fetchone()
    if row is None or row[0] is None:
        return 0
    row = connection.execute("SELECT coalesce(max(version), 0) FROM aftersale_schema").fetchone()
    return 0 if row is None else int(row[0])


def check(version: int, address: str) -> None:
    """Refuse a store that does not have exactly the schema this program works with."""
    if version > NEWEST:
        raise Refusal(
            "the store was written by a newer aftersale",
            where=shown(address),
            why=f"its schema is version {version}, this program knows {NEWEST}",
            hint="install the newer aftersale, or put back a backup made before the upgrade",
        )
    if version < NEWEST:
        raise Refusal(
            "the store was written by an older aftersale",
            where=shown(address),
            why=f"its schema is version {version}, this program works with {NEWEST}",
            hint="make a backup, then run `aftersale db migrate`",
        )


def absent(address: str) -> Refusal:
    """What to say where there is no store."""
    return Refusal(
        "there is no store",
        where=shown(address),
        why="the database has no tables of aftersale",
        hint="`aftersale init` makes one",
    )


def _apply(connection: psycopg.Connection[Any], number: int) -> None:
    script = MIGRATIONS[number - 1].read_text(encoding="utf-8")
    connection.execute(script.encode())
    connection.execute("INSERT INTO aftersale_schema (version) VALUES (%s)", (number,))


def _be_empty(connection: psycopg.Connection[Any], address: str) -> None:
    row = connection.execute(
        "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
    ).fetchone()
    if row is not None and row[0]:
        raise Refusal(
            "the database holds tables that are not of aftersale",
            where=shown(address),
            hint="name an empty database, or a schema of its own: ?options=-csearch_path%3Dname",
        )
