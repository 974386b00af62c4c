"""How is a store copied while it is in use, and what may a copy assume when it is put back?"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aftersale.adapters.disk import appear
from aftersale.adapters.storage.sqlite import schema
from aftersale.adapters.storage.sqlite.connection import connect, faults
from aftersale.adapters.storage.sqlite.deployments import SqliteMeta
from aftersale.adapters.storage.sqlite.erasure import erase
from aftersale.adapters.storage.sqlite.outbox import SqliteOutbox
from aftersale.adapters.storage.sqlite.session import Session
from aftersale.adapters.storage.sqlite.words import Words
from aftersale.delivery.reasons import RESTORED
from aftersale.kernel.errors import Operational, Refusal
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant

_WAIT = 10.0  # seconds


def copy_to(target: Path, source: sqlite3.Connection) -> dict[str, Any]:
    """Copy everything that the connection sees into a new file, and prove the copy sound.

    The file appears under its name only when it is complete and on the disk.
    """
    if target.exists():
        raise Refusal(
            "the backup was not made",
            where=str(target),
            why="a file is there already",
            hint="name a file that does not exist yet",
        )
    partial = _beside(target, "partial")
    with faults(target), _removed_on_failure(partial):
        _copy(source, partial)
        copy = sqlite3.connect(partial, isolation_level=None)
        try:
            _be_sound(copy, target)
            ((position,),) = copy.execute("SELECT coalesce(max(position), 0) FROM events")
            ((customers,),) = copy.execute("SELECT coalesce(max(id), 0) FROM customers")
            ((version,),) = copy.execute("PRAGMA user_version")
        finally:
            copy.close()
        appear(partial, target)
    return {
        "path": str(target),
        "bytes": target.stat().st_size,
        "position": position,
        "customers": customers,
        "schema": version,
    }


def restore(
    backup: Path,
    path: Path,
    *,
    at: Instant,
    overwrite: bool = False,
    erasures: Sequence[tuple[CustomerId, Instant]] = (),
    suppressed: Sequence[bytes] = (),
) -> dict[str, Any]:
    """Put a backup in the place of the store at `path`; what was changed in it.

    The restored store is in mode `stopped`, and every send that waited or was claimed is
    `unknown`: it may have gone out since. Erasures made since the backup are applied again:
    those given, and those of a store that is replaced, where that one can still be read. Ids
    that the backup has not given yet belong to nobody in it and are left out.
    """
    if not backup.is_file():
        raise schema.absent(backup)
    if path.exists() and not overwrite:
        raise Refusal(
            "the backup was not put back",
            where=str(path),
            why="a store is there already, and what it knows since the backup would be lost",
            hint="stop the worker, then say that the store may be overwritten",
        )
    partial = _beside(path, "restoring")
    with _removed_on_failure(partial):
        with faults(backup):
            source = connect(backup, wait=_WAIT, writable=False)
            try:
                if not schema.version_of(source, backup):
                    raise schema.absent(backup)
                _be_sound(source, backup)
                with faults(path):
                    _copy(source, partial)
            finally:
                source.close()
        replaced = _stand_alone(path) if path.exists() else ([], [])
        with faults(partial):
            done = _amend(partial, at, [*replaced[0], *erasures], [*replaced[1], *suppressed])
        for rest in ("-wal", "-shm"):  # of the replaced store: they would be taken for ours
            path.with_name(path.name + rest).unlink(missing_ok=True)
        appear(partial, path)
    return {"path": str(path), "bytes": path.stat().st_size, **done}


def _amend(
    path: Path,
    at: Instant,
    erasures: Sequence[tuple[CustomerId, Instant]],
    suppressed: Sequence[bytes],
) -> dict[str, Any]:
    connection = connect(path, wait=_WAIT)
    try:
        migrations = schema.apply(connection, path)
        connection.execute("BEGIN IMMEDIATE")
        session = Session(connection, Words(connection), writable=True)
        meta = SqliteMeta(session)
        meta.set("mode", "stopped")
        meta.set("restored_at", at)
        unknown = SqliteOutbox(session).put_in_doubt(at, RESTORED)
        known = set(connection.execute("SELECT customer, at FROM erasures"))
        ((last,),) = connection.execute("SELECT coalesce(max(id), 0) FROM customers")
        again = sorted({(c, when) for c, when in erasures if c <= last} - known)
        for customer, when in again:
            erase(session, customer, when, ())
        connection.executemany(
            "INSERT OR IGNORE INTO suppressions VALUES (?)",
            [(hashed,) for hashed in suppressed],
        )
        ((position,),) = connection.execute("SELECT coalesce(max(position), 0) FROM events")
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=DELETE")  # one file, complete in itself
    finally:
        connection.close()
    return {
        "position": position,
        "unknown": unknown,
        "erased": len(again),
        "migrations": migrations,
    }


def _stand_alone(path: Path) -> tuple[list[tuple[CustomerId, Instant]], list[bytes]]:
    """Close the store that will be replaced, and tell its erasures and suppressed hashes.

    A damaged one tells nothing. One that somebody has open is left alone: Operational.
    """
    erasures: list[tuple[CustomerId, Instant]] = []
    hashes: list[bytes] = []
    try:
        with faults(path):
            connection = connect(path, wait=1.0)
            try:
                connection.execute("PRAGMA journal_mode=DELETE")  # only without other users
                erasures = list(connection.execute("SELECT customer, at FROM erasures"))
                hashes = [row[0] for row in connection.execute("SELECT hash FROM suppressions")]
            finally:
                connection.close()
    except Operational:
        raise
    except (Refusal, sqlite3.Error):
        return erasures, hashes
    return erasures, hashes


def _copy(source: sqlite3.Connection, partial: Path) -> None:
    partial.unlink(missing_ok=True)
    copy = sqlite3.connect(partial, isolation_level=None)
    try:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    finally:
        copy.close()


def _be_sound(connection: sqlite3.Connection, path: Path) -> None:
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
    if found != ["ok"]:
        raise Refusal(
            "the copy of the store is damaged",
            where=str(path),
            why="; ".join(found),
            hint="use an older backup, and see the disk",
        )


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.name}.{what}")


@contextlib.contextmanager
def _removed_on_failure(partial: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for rest in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + rest).unlink(missing_ok=True)
        raise
