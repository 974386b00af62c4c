"""How does one database serve workers that write and pages that read, at the same time?"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from aftersale.adapters.storage.postgres import schema
from aftersale.adapters.storage.postgres.api_keys import PostgresApiKeys
from aftersale.adapters.storage.postgres.connection import connect, faults, shown
from aftersale.adapters.storage.postgres.decisions import PostgresDecisions, PostgresJournal
from aftersale.adapters.storage.postgres.deployments import PostgresDeployments, PostgresMeta
from aftersale.adapters.storage.postgres.identities import PostgresIdentities
from aftersale.adapters.storage.postgres.ledger import PostgresLedger
from aftersale.adapters.storage.postgres.outbox import PostgresMailbox, PostgresOutbox
from aftersale.adapters.storage.postgres.personal import PostgresPersonalData
from aftersale.adapters.storage.postgres.requests import PostgresRequests
from aftersale.adapters.storage.postgres.session import TEMPORARY, Session
from aftersale.adapters.storage.postgres.shards import PostgresShards
from aftersale.adapters.storage.postgres.states import PostgresStates
from aftersale.kernel.errors import Refusal
from aftersale.turn.shards import Lease

_BEGIN = "BEGIN; SELECT version FROM aftersale_schema ORDER BY version DESC LIMIT 1"
_VIEW = _BEGIN.replace("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_ALONE = "SELECT pg_advisory_xact_lock('aftersale_schema'::regclass::oid::integer, 0)"
"""Whoever writes facts: one at a time in the store, so positions come in the order of commits."""

_TABLES = (
    "SELECT c.relname, pg_total_relation_size(c.oid), greatest(c.reltuples, 0)::bigint"
    " FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
    " ORDER BY c.relname"
)
_COUNTED = 100_000
"""Rows up to which a table is counted."""


class PostgresTransaction:
    """The store's parts inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.ledger = PostgresLedger(session)
        self.identities = PostgresIdentities(session)
        self.personal = PostgresPersonalData(session)
        self.states = PostgresStates(session)
        self.shards = PostgresShards(session)
        self.journal = PostgresJournal(session)
        self.decisions = PostgresDecisions(session)
        self.outbox = PostgresOutbox(session)
        self.mailbox = PostgresMailbox(session)
        self.deployments = PostgresDeployments(session)
        self.meta = PostgresMeta(session)
        self.api_keys = PostgresApiKeys(session)
        self.requests = PostgresRequests(session)


class PostgresStore:
    """One merchant's store in one database, for several threads, processes and machines.

    Connections are taken from a pool and given back at the end of each block. One that broke off
    is thrown away; the next block opens another.
    """

    def __init__(
        self, address: str, *, create: bool = False, shards: int = 16, wait: float = 10.0
    ) -> None:
        """Open the store; `wait` is how many seconds to wait for somebody else's write.

        `shards` counts where the store is made: at most so many workers share its customers.
        """
        self._address = address
        self._where = shown(address)
        self._wait = wait
        self._local = threading.local()
        self._process = os.getpid()
        self._inherited: list[object] = []
        self._readers: deque[psycopg.Connection[Any]] = deque()
        self._writers: deque[psycopg.Connection[Any]] = deque()
        self._closed = False
        if create:
            schema.create(address, shards=shards, wait=wait)
        try:
            with self.read():
                pass  # what cannot be opened is refused here, not at the first use
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def write(self) -> Iterator[PostgresTransaction]:
        """A transaction that writes alone; commits at the end of the block, undone on an error."""
        with self._written(alone=True, lease=Lease()) as transaction:
            yield transaction

    @contextlib.contextmanager
    def work(self, lease: Lease | None = None) -> Iterator[PostgresTransaction]:
        """A transaction on the shards of the lease, None: on all; beside those on other shards."""
        with self._written(alone=False, lease=lease) as transaction:
            transaction.shards.lock()
            yield transaction

    @contextlib.contextmanager
    def read(self) -> Iterator[PostgresTransaction]:
        """A consistent view, as of now, that does not block writers."""
        self._be_outside_of_writing()
        with (
            faults(self._where),
            self._begun(_VIEW, self._readers, writable=False) as (connection, _),
        ):
            yield PostgresTransaction(Session(connection, writable=False))

    def lease(self, holder: str, seconds: float) -> Lease:
        """Hold a fair share of the shards for so many seconds."""
        with self._written(alone=False, lease=Lease()) as tx:
            return tx.shards.take(holder, seconds)

    def renew(self, lease: Lease, seconds: float) -> None:
        """Hold for so many seconds more what is still held of the lease."""
        with self._written(alone=False, lease=Lease()) as tx:
            tx.shards.renew(lease, seconds)

    def release(self, holder: str) -> None:
        """Give up everything: this worker ends."""
        with self._written(alone=False, lease=Lease()) as tx:
            tx.shards.release(holder)

    def backup(self, target: Path) -> dict[str, Any]:
        """Refused: a database server has tools of its own for this."""
        raise Refusal(
            "the backup was not made",
            where=str(target),
            why="this store lies in a PostgreSQL database",
            hint="use pg_dump; see docs/how-to/back-up-and-restore.md",
        )

    def describe(self, *, rows: bool = True) -> dict[str, Any]:
        """Schema version, bytes on disk, rows per table: for doctor.

        Tables of more than a hundred thousand rows are as large as the server believes.
        """
        self._be_outside_of_writing()
        with (
            faults(self._where),
            self._begun(_VIEW, self._readers, writable=False) as (connection, version),
        ):
            tables = connection.execute(_TABLES).fetchall()
            counted = {name: n for name, _, n in tables if name != "aftersale_schema" and rows}
            for name, believed in counted.items():
                if believed < _COUNTED:
                    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
                    counted[name] = connection.execute(query).fetchall()[0][0]
        return {
            "kind": "postgresql",
            "path": self._where,
            "schema": version,
            "bytes": sum(size for _, size, _ in tables),
            "log_bytes": 0,
            "rows": counted,
        }

    def close(self) -> None:
        """Close what is open; blocks that still run close theirs when they end."""
        self._leave_inherited()
        self._closed = True
        for pool in (self._readers, self._writers):
            with contextlib.suppress(IndexError):
                while True:
                    pool.pop().close()

    @contextlib.contextmanager
    def _written(self, *, alone: bool, lease: Lease | None) -> Iterator[PostgresTransaction]:
        self._be_outside_of_writing()
        self._local.writing = True
        begin = f"{_BEGIN}; {_ALONE}" if alone else _BEGIN
        try:
            with (
                faults(self._where),
                self._begun(begin, self._writers, writable=True) as (connection, _),
            ):
                session = Session(connection, writable=True, alone=alone, lease=lease)
                try:
                    yield PostgresTransaction(session)
                except psycopg.errors.InFailedSqlTransaction:
                    session.be_sound()
                    raise
                session.be_sound()
        finally:
            self._local.writing = False

    @contextlib.contextmanager
    def _begun(
        self, begin: str, pool: deque[psycopg.Connection[Any]], *, writable: bool
    ) -> Iterator[tuple[psycopg.Connection[Any], int]]:
        """A connection in a transaction, and the version of the schema.

        Commits at the end of the block, undone on an error.
        """
        self._leave_inherited()
        connection, cursor = self._started(begin, pool, writable=writable)
        try:
            cursor.nextset()
            row = cursor.fetchone()
            version = 0 if row is None else int(row[0])
            schema.check(version, self._address)
            yield connection, version
            connection.execute("COMMIT")
        except BaseException:
            if not connection.closed:
                with contextlib.suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
            raise
        finally:
            if self._closed or connection.closed or _is_open(connection):
                connection.close()
            else:
                pool.append(connection)

    def _started(
        self, begin: str, pool: deque[psycopg.Connection[Any]], *, writable: bool
    ) -> tuple[psycopg.Connection[Any], psycopg.Cursor[Any]]:
        """A connection with the transaction begun. One that broke off in the pool is passed by."""
        while True:
            try:
                connection, is_new = pool.pop(), False
            except IndexError:
                connection, is_new = self._open(writable=writable), True
            try:
                return connection, connection.execute(begin)
            except psycopg.errors.UndefinedTable:
                connection.close()
                raise schema.absent(self._address) from None
            except psycopg.Error:
                broken = connection.closed
                connection.close()
                if is_new or not broken:
                    raise

    def _open(self, *, writable: bool) -> psycopg.Connection[Any]:
        if self._closed:
            raise RuntimeError("the store was closed")
        connection = connect(self._address, wait=self._wait, writable=writable)
        try:
            if writable and schema.version_of(connection):
                for statement in TEMPORARY:
                    connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection

    def _be_outside_of_writing(self) -> None:
        if getattr(self._local, "writing", False):
            raise RuntimeError("no transaction may begin inside one that writes")

    def _leave_inherited(self) -> None:
        """In a forked process: the parent's connections may be neither used nor closed."""
        if os.getpid() != self._process:
            self._inherited += [*self._readers, *self._writers]
            self._process = os.getpid()
            self._readers.clear()
            self._writers.clear()


def _is_open(connection: psycopg.Connection[Any]) -> bool:
    """Whether a transaction is still open on it: then it is in no state to be used again."""
    return connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
