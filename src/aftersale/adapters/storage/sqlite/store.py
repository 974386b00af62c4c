"""How does one file serve a worker that writes and pages that read, at the same time?"""

import contextlib
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from aftersale.adapters.storage.sqlite import schema
from aftersale.adapters.storage.sqlite.api_keys import SqliteApiKeys
from aftersale.adapters.storage.sqlite.backup import copy_to
from aftersale.adapters.storage.sqlite.connection import connect, faults
from aftersale.adapters.storage.sqlite.decisions import SqliteDecisions, SqliteJournal
from aftersale.adapters.storage.sqlite.deployments import SqliteDeployments, SqliteMeta
from aftersale.adapters.storage.sqlite.erasure import IMPERSONAL
from aftersale.adapters.storage.sqlite.identities import SqliteIdentities
from aftersale.adapters.storage.sqlite.ledger import SqliteLedger
from aftersale.adapters.storage.sqlite.outbox import SqliteMailbox, SqliteOutbox
from aftersale.adapters.storage.sqlite.personal import SqlitePersonalData
from aftersale.adapters.storage.sqlite.requests import SqliteRequests
from aftersale.adapters.storage.sqlite.session import Session
from aftersale.adapters.storage.sqlite.shards import SqliteShards
from aftersale.adapters.storage.sqlite.states import SqliteStates
from aftersale.adapters.storage.sqlite.words import Words
from aftersale.kernel.errors import Operational
from aftersale.turn.shards import Lease

_QUICKLY_COUNTED = {
    "events": "SELECT coalesce(max(position), 0) FROM events",
    "decisions": "SELECT coalesce(max(number), 0) FROM decisions",
    "states": "SELECT value FROM counters WHERE name = 'states'",
}


class SqliteTransaction:
    """The store's parts inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.ledger = SqliteLedger(session)
        self.identities = SqliteIdentities(session)
        self.personal = SqlitePersonalData(session)
        self.states = SqliteStates(session)
        self.shards = SqliteShards(session)
        self.journal = SqliteJournal(session)
        self.decisions = SqliteDecisions(session)
        self.outbox = SqliteOutbox(session)
        self.mailbox = SqliteMailbox(session)
        self.deployments = SqliteDeployments(session)
        self.meta = SqliteMeta(session)
        self.api_keys = SqliteApiKeys(session)
        self.requests = SqliteRequests(session)


class _Link(msgspec.Struct):
    """A connection with the words it has learned."""

    connection: sqlite3.Connection
    words: Words


class SqliteStore:
    """One merchant's store in one file, for several threads and processes.

    Writing goes through one connection, whose cache stays warm, one thread at a time. Readers
    take a connection from a pool: each sees the store as it was when its block began.
    """

    def __init__(
        self, path: Path, *, create: bool = False, synchronous: str = "FULL", wait: float = 10.0
    ) -> None:
        """Open the store; `wait` is how many seconds to wait for somebody else's write."""
        self.path = path
        self._synchronous = synchronous
        self._wait = wait
        self._local = threading.local()
        self._inherited: list[object] = []
        self._closed = False
        self._process = os.getpid()
        self._writing = threading.Lock()
        self._writer: _Link | None = None
        self._idle: deque[_Link] = deque()
        self._scrub = False
        if create:
            schema.create(path, wait=wait)
        if not path.is_file():
            raise schema.absent(path)
        with self.read():
            pass  # what cannot be opened is refused here, not at the first use

    @contextlib.contextmanager
    def write(self) -> Iterator[SqliteTransaction]:
        """A transaction that may write; commits at the end of the block, undone on an error.

        Operational where others write for longer than `wait`.
        """
        with self._alone(alone=True, lease=Lease()) as transaction:
            yield transaction

    @contextlib.contextmanager
    def work(self, lease: Lease | None = None) -> Iterator[SqliteTransaction]:
        """A transaction that works on the shard, one at a time like every other that writes."""
        with self._alone(alone=False, lease=lease) as transaction:
            transaction.shards.check()
            yield transaction

    def lease(self, holder: str, seconds: float) -> Lease:
        """Hold the shard for so many seconds, where nobody else does."""
        with self.write() as tx:
            return tx.shards.take(holder, seconds)

    def renew(self, lease: Lease, seconds: float) -> None:
        """Hold for so many seconds more what is still held of the lease."""
        with self.write() as tx:
            tx.shards.renew(lease, seconds)

    def release(self, holder: str) -> None:
        """Give up everything: this worker ends."""
        with self.write() as tx:
            tx.shards.release(holder)

    @contextlib.contextmanager
    def _alone(self, *, alone: bool, lease: Lease | None) -> Iterator[SqliteTransaction]:
        self._be_outside_of_writing()
        self._leave_inherited()
        writing = self._writing
        if not writing.acquire(timeout=self._wait):
            raise Operational(
                f"the store {self.path} is in use by another thread",
                hint="try again; the other one has not finished its change",
            )
        self._local.writing = True
        try:
            with faults(self.path):
                if self._writer is None:
                    self._writer = self._open(writable=True)
                yield from self._written(self._writer, alone=alone, lease=lease)
        finally:
            self._local.writing = False
            writing.release()

    @contextlib.contextmanager
    def read(self) -> Iterator[SqliteTransaction]:
        """A consistent view, as of now, that does not block writers."""
        with self._view() as link:
            yield SqliteTransaction(Session(link.connection, link.words, writable=False))

    def backup(self, target: Path) -> dict[str, Any]:
        """Copy the whole store to a new file while it is in use; sizes and last position."""
        with self._view() as link:
            return copy_to(target, link.connection)

    def describe(self, *, rows: bool = True) -> dict[str, Any]:
        """Schema version, bytes on disk, rows per table: for doctor."""
        with self._view() as link:
            counted = {
                table: link.connection.execute(
                    _QUICKLY_COUNTED.get(table, f"SELECT count(*) FROM {table}")
                ).fetchone()[0]
                for table in (sorted(IMPERSONAL) if rows else ())
            }
            version = schema.version_of(link.connection, self.path)
        log = self.path.with_name(self.path.name + "-wal")
        return {
            "kind": "sqlite",
            "path": str(self.path),
            "schema": version,
            "bytes": self.path.stat().st_size,
            "log_bytes": log.stat().st_size if log.exists() else 0,
            "rows": counted,
        }

    def close(self) -> None:
        """Close what is open; blocks that still run close theirs when they end."""
        self._closed = True
        self._leave_inherited()
        with self._writing:
            if self._writer is not None:
                self._writer.connection.close()
                self._writer = None
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().connection.close()

    def _written(
        self, link: _Link, *, alone: bool, lease: Lease | None
    ) -> Iterator[SqliteTransaction]:
        session = Session(link.connection, link.words, writable=True, alone=alone, lease=lease)
        link.connection.execute("BEGIN IMMEDIATE")
        try:
            schema.check(link.connection, self.path)
            yield SqliteTransaction(session)
            session.be_sound()
            link.connection.execute("COMMIT")
        except BaseException:
            if link.connection.in_transaction:
                link.connection.execute("ROLLBACK")
            link.words.rolled_back()
            raise
        finally:
            session.writable = False
        link.words.committed()
        self._scrub = self._scrub or session.erased
        if self._scrub:
            self._scrub = not _empty_log(link.connection, self._wait)

    @contextlib.contextmanager
    def _view(self) -> Iterator[_Link]:
        self._be_outside_of_writing()
        self._leave_inherited()
        with faults(self.path):
            try:
                link = self._idle.pop()
            except IndexError:
                link = self._open(writable=False)
            idle = self._idle
            try:
                link.connection.execute("BEGIN")
                schema.check(link.connection, self.path)  # this look fixes what is seen
                yield link
            finally:
                if link.connection.in_transaction:
                    link.connection.execute("ROLLBACK")
                if self._closed:
                    link.connection.close()
                else:
                    idle.append(link)

    def _open(self, *, writable: bool) -> _Link:
        if self._closed:
            raise RuntimeError("the store was closed")
        connection = connect(
            self.path, wait=self._wait, writable=writable, synchronous=self._synchronous
        )
        return _Link(connection, Words(connection))

    def _be_outside_of_writing(self) -> None:
        if getattr(self._local, "writing", False):
            raise RuntimeError("no transaction may begin inside one that writes")

    def _leave_inherited(self) -> None:
        """In a forked process: the parent's connections may be neither used nor closed."""
        if os.getpid() != self._process:
            self._inherited += [self._writer, self._idle]
            self._process = os.getpid()
            self._writing = threading.Lock()
            self._writer = None
            self._idle = deque()


def _empty_log(connection: sqlite3.Connection, wait: float) -> bool:
    """Move everything from the log into the file and empty it; False while readers need it."""
    connection.execute("PRAGMA busy_timeout=100")
    try:
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError:
        return False  # the change itself is committed; the next one tries again
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(wait * 1000)}")
    return not busy
