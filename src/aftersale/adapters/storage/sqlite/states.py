"""How do the states of customers lie in the file, and who wakes next?"""

import sqlite3
from collections.abc import Collection, Sequence

from aftersale.adapters.storage.sqlite.connection import blob, chunks, insert, marks
from aftersale.adapters.storage.sqlite.session import Session
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.turn.ports import StaleState, StateRow


class SqliteStates:
    """One row a customer."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.connection

    def load(self, customers: Sequence[CustomerId]) -> dict[CustomerId, StateRow]:
        """The rows that exist."""
        found: dict[CustomerId, StateRow] = {}
        for some in chunks(sorted(customers)):
            rows = self._read.execute(
                "SELECT customer, version, blob, wakes_at FROM states"
                f" WHERE customer IN ({marks(some)})",
                some,
            )
            for row in rows.fetchall():
                found[row[0]] = StateRow(*row)
        return found

    def save(self, rows: Sequence[StateRow]) -> None:
        """Write rows; StaleState, and the transaction ends undone, where one has moved."""
        write = self._session.writing()
        rows = sorted(rows, key=lambda row: row.customer)  # neighbours lie on one page
        if len({row.customer for row in rows}) < len(rows):
            raise self._session.spoil(StaleState("a customer is to be saved twice at once"))
        new = [row for row in rows if row.version == 0]
        old = [row for row in rows if row.version != 0]
        try:
            values = ((row.customer, 1, row.wakes_at, blob(row.blob)) for row in new)
            insert(write, "INSERT INTO states", 4, values)
        except sqlite3.IntegrityError as error:
            raise self._session.spoil(
                StaleState("a customer that was taken for new has a state")
            ) from error
        changed = write.executemany(
            "UPDATE states SET version = ?, wakes_at = ?, blob = ?"
            " WHERE customer = ? AND version = ?",
            ((r.version + 1, r.wakes_at, blob(r.blob), r.customer, r.version) for r in old),
        ).rowcount
        if old and changed != len(old):
            raise self._session.spoil(
                StaleState(f"{len(old) - changed} states moved since they were loaded")
            )
        self._count(len(new))

    def remove(self, customer: CustomerId) -> None:
        """Drop the row of a customer that was absorbed or erased."""
        gone = self._session.writing().execute("DELETE FROM states WHERE customer = ?", (customer,))
        self._count(-gone.rowcount)

    def due(
        self, until: Instant, limit: int, *, shards: Collection[int] | None = None
    ) -> list[tuple[CustomerId, Instant]]:
        """Customers whose alarm is at or before `until`, earliest first (ties: lower id)."""
        rows = self._read.execute(
            "SELECT customer, wakes_at FROM states"
            " WHERE wakes_at <= ? ORDER BY wakes_at, customer LIMIT ?",
            (until, limit),
        )
        return [(customer, wakes_at) for customer, wakes_at in rows.fetchall()]

    def wake_all(self, at: Instant, *, shards: Collection[int] | None = None) -> int:
        """Set every alarm that is later, or not set, to `at`; how many rows there are."""
        self._session.writing().execute(
            "UPDATE states SET wakes_at = ?1 WHERE wakes_at > ?1 OR wakes_at IS NULL", (at,)
        )
        return self.count()

    def next_alarm(self) -> Instant | None:
        """The earliest alarm of all."""
        row = self._read.execute(
            "SELECT wakes_at FROM states WHERE wakes_at IS NOT NULL ORDER BY wakes_at LIMIT 1"
        ).fetchone()
        return None if row is None else int(row[0])

    def page(self, after: CustomerId, limit: int) -> list[StateRow]:
        """Rows with an id above `after`, ascending."""
        rows = self._read.execute(
            "SELECT customer, version, blob, wakes_at FROM states"
            " WHERE customer > ? ORDER BY customer LIMIT ?",
            (after, limit),
        )
        return [StateRow(*row) for row in rows.fetchall()]

    def count(self) -> int:
        """How many customers have a state."""
        ((value,),) = self._read.execute("SELECT value FROM counters WHERE name = 'states'")
        return int(value)

    def _count(self, change: int) -> None:
        if change:
            self._session.connection.execute(
                "UPDATE counters SET value = value + ? WHERE name = 'states'", (change,)
            )
