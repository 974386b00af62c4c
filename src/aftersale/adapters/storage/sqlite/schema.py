"""Which shape does the file have, and how does it get from an older to the newest one?"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from aftersale.adapters.storage.sqlite.connection import APPLICATION_ID, connect, faults
from aftersale.kernel.errors import Refusal

MIGRATIONS = tuple(sorted(Path(__file__).with_name("migrations").glob("[0-9]*.sql")))
"""One file a version of the schema, in order; the first makes version 1."""

NEWEST = len(MIGRATIONS)


_PAGE_BYTES = 2048
"""Half of SQLite's default: a turn changes customers at random, one small row a page, so smaller
pages mean that less is written; a quarter more events a second were measured."""


def migrate(path: Path, *, wait: float = 10.0) -> list[str]:
    """Bring the store up to this version's schema; the names of the migrations applied.

    Each is one transaction that also sets the version, so a process killed at any instant
    leaves either the older or the newer schema, complete.
    """
    if not path.is_file():
        raise absent(path)
    with faults(path):
        connection = connect(path, wait=wait)
        try:
            if version_of(connection, path) == 0:
                raise absent(path)
            return apply(connection, path)
        finally:
            connection.close()


def create(path: Path, *, wait: float = 10.0) -> None:
    """Make an empty store where there is none; one that is there stays as it is."""
    try:
        path.touch()
    except OSError as error:
        raise Refusal(
            "the store cannot be made",
            where=str(path),
            why=error.strerror or str(error),
            hint="see that its folder exists and that this user may write it",
        ) from error
    with faults(path):
        connection = connect(path, wait=wait)
        try:
            if version_of(connection, path) == 0:
                apply(connection, path)
        finally:
            connection.close()


def apply(connection: sqlite3.Connection, path: Path) -> list[str]:
    """Apply what is missing; the names."""
    if version_of(connection, path) < NEWEST:
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")  # counts in an empty file only
        connection.execute("PRAGMA journal_mode=WAL")
    applied = []
    for number, script in enumerate(MIGRATIONS, start=1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if version_of(connection, path) < number:
                for statement in statements(script.read_text(encoding="utf-8")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={number}")
                applied.append(script.stem)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return applied


def statements(script: str) -> Iterator[str]:
    """The statements of a script one by one; the driver's own way would commit in between."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """Version of the schema, 0 for an empty file; a foreign or newer file is refused."""
    ((version,),) = connection.execute("PRAGMA user_version")
    if version == 0:
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema")
        if tables:
            raise _foreign(path)
        return 0
    ((application,),) = connection.execute("PRAGMA application_id")
    if application != APPLICATION_ID:
        raise _foreign(path)
    if version > NEWEST:
        raise Refusal(
            "the store was written by a newer aftersale",
            where=str(path),
            why=f"its schema is version {version}, this program knows {NEWEST}",
            hint="install the newer aftersale, or put back a backup made before the upgrade",
        )
    return int(version)


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a store that does not have exactly the schema this program works with."""
    version = version_of(connection, path)
    if version == 0:
        raise absent(path)
    if version < NEWEST:
        raise Refusal(
            "the store was written by an older aftersale",
            where=str(path),
            why=f"its schema is version {version}, this program works with {NEWEST}",
            hint="make a backup, then run `aftersale db migrate`",
        )


def absent(path: Path) -> Refusal:
    """What to say where there is no store."""
    return Refusal(
        "there is no store",
        where=str(path),
        why="the file is absent or empty",
        hint="`aftersale init` makes one",
    )


def _foreign(path: Path) -> Refusal:
    return Refusal(
        "the file is a database, but not a store of aftersale",
        where=str(path),
        hint="name the store that `aftersale init` made",
    )
