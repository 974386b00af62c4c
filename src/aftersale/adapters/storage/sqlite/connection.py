"""How does a connection to the file behave, and what do its faults mean to people?"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from aftersale.kernel.errors import AftersaleError, Operational, Refusal

T = TypeVar("T")

APPLICATION_ID = 0x61667473
"""In the header of each of our files: the letters `afts`."""

CHUNK = 500
"""Values bound in one statement; more is not faster (measured on 2,000 keys of 400,000)."""

blob = bytearray
"""As what bytes are bound: for everything but numbers, texts and this the driver first looks for
an adapter, which takes as long as the rest of a small row (so does None, or a bool)."""

_WRITER_CACHE_KB = 131_072
_READER_CACHE_KB = 16_384
_CHECKPOINT_PAGES = 40_000  # a state's page is often written again before it must move

_HINTS = {
    sqlite3.SQLITE_NOTADB: (
        "the file is not a store",
        "name the store that `aftersale init` made",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "the store is damaged",
        "keep the file, and put back the newest backup with `aftersale restore`",
    ),
    sqlite3.SQLITE_READONLY: (
        "the store cannot be written",
        "give this user the right to write the file and its folder",
    ),
    sqlite3.SQLITE_PERM: ("the store cannot be opened", "give this user the right to read it"),
    sqlite3.SQLITE_AUTH: ("the store cannot be opened", "give this user the right to read it"),
    sqlite3.SQLITE_CANTOPEN: (
        "the store cannot be opened",
        "see that its folder exists and that this user may read and write it",
    ),
}
_PASSING = {
    sqlite3.SQLITE_BUSY: (
        "is in use by another process",
        "wait until that one is done, or stop it; then try again",
    ),
    sqlite3.SQLITE_LOCKED: (
        "is in use by another process",
        "wait until that one is done, or stop it; then try again",
    ),
    sqlite3.SQLITE_FULL: (
        "has no room to grow: the disk is full",
        "nothing of this change was kept; make room, then try again",
    ),
    sqlite3.SQLITE_IOERR: (
        "could not be read or written",
        "nothing of this change was kept; see the disk and the system's log, then try again",
    ),
}


def explained(error: sqlite3.Error, path: Path) -> AftersaleError | None:
    """What a fault of SQLite means to the user; None where it can only be a bug of ours."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    name = getattr(error, "sqlite_errorname", "")
    main = code & 0xFF
    if main in _PASSING:
        what, hint = _PASSING[main]
        return Operational(f"the store {path} {what} ({error}, {name})", hint=hint)
    if main in _HINTS:
        what, hint = _HINTS[main]
        return Refusal(what, where=str(path), why=f"{error} ({name})", hint=hint)
    return None


@contextlib.contextmanager
def faults(path: Path) -> Iterator[None]:
    """Turn SQLite's faults inside the block into refusals or operational errors."""
    try:
        yield
    except sqlite3.Error as error:
        told = explained(error, path)
        if told is None:
            raise
        raise told from error


def connect(
    path: Path,
    *,
    wait: float,
    writable: bool = True,
    synchronous: str = "FULL",
) -> sqlite3.Connection:
    """An open connection to an existing file; `wait` is in seconds, for a lock of others."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=wait,
        isolation_level=None,  # we say BEGIN ourselves
        check_same_thread=False,  # the store hands a connection to one thread at a time
    )
    cache = _WRITER_CACHE_KB if writable else _READER_CACHE_KB
    try:
        for pragma in (
            f"synchronous={synchronous}",
            "temp_store=MEMORY",
            f"cache_size=-{cache}",
            f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
            "secure_delete=ON",  # what is deleted is overwritten, not only forgotten
            f"query_only={int(not writable)}",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def marks(items: Sequence[Any]) -> str:
    """As many question marks as there are items, for `IN (…)`."""
    return ",".join("?" * len(items))


def insert(
    connection: sqlite3.Connection,
    into: str,
    width: int,
    rows: Iterable[tuple[Any, ...]],
    then: str = "",
) -> None:
    """Run `{into} VALUES (…), (…) {then}` for all rows, in order, each of `width` values.

    Many rows a statement, for a statement of its own costs a third of a row. Rows that are made
    while they are asked for are gone again before the collector of garbage counts them.
    """
    row = f"({','.join('?' * width)})"
    many = CHUNK // width
    statement = f"{into} VALUES {','.join([row] * many)} {then}"
    for part in chunks(rows, many):
        if len(part) == many:
            connection.execute(statement, list(chain.from_iterable(part)))
        else:
            connection.executemany(f"{into} VALUES {row} {then}", part)
