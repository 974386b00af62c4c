"""How do the states of customers lie in the database, and who wakes next?"""

from collections.abc import Collection, Sequence

from psycopg.errors import UniqueViolation

from aftersale.adapters.storage.postgres.connection import copy, integers
from aftersale.adapters.storage.postgres.session import Session
from aftersale.adapters.storage.postgres.shards import narrowed
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.turn.ports import StaleState, StateRow

_STATE = "customer, version, blob, wakes_at"


class PostgresStates:
    """One row a customer."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def load(self, customers: Sequence[CustomerId]) -> dict[CustomerId, StateRow]:
        """The rows that exist."""
        rows = self._session.rows(
            f"SELECT {_STATE} FROM states WHERE customer = ANY(%s::bigint[])",
            (integers(customers),),
        )
        return {row[0]: StateRow(*row) for row in rows}

    def save(self, rows: Sequence[StateRow]) -> None:
        """Write rows; StaleState, and the transaction ends undone, where one has moved."""
        write = self._session.writing()
        rows = sorted(rows, key=lambda row: row.customer)
        if len({row.customer for row in rows}) < len(rows):
            raise self._session.spoil(StaleState("a customer is to be saved twice at once"))
        new = [(r.customer, 1, r.wakes_at, r.blob) for r in rows if r.version == 0]
        old = [(r.customer, r.version, r.wakes_at, r.blob) for r in rows if r.version != 0]
        if new:
            try:
                copy(write, "states", "customer, version, wakes_at, blob", new)
            except UniqueViolation as error:
                raise self._session.spoil(
                    StaleState("a customer that was taken for new has a state")
                ) from error
        if not old:
            return
        copy(write, "fresh_states", "customer, version, wakes_at, blob", old)
        changed = write.execute(
            "WITH fresh AS (DELETE FROM fresh_states RETURNING *)"
            " UPDATE states s SET version = f.version + 1, wakes_at = f.wakes_at, blob = f.blob"
            " FROM fresh f WHERE s.customer = f.customer AND s.version = f.version"
        ).rowcount
        if changed != len(old):
            raise self._session.spoil(
                StaleState(f"{len(old) - changed} states moved since they were loaded")
            )

    def remove(self, customer: CustomerId) -> None:
        """Drop the row of a customer that was absorbed or erased."""
        self._session.writing().execute("DELETE FROM states WHERE customer = %s", (customer,))

    def due(
        self, until: Instant, limit: int, *, shards: Collection[int] | None = None
    ) -> list[tuple[CustomerId, Instant]]:
        """Customers whose alarm is at or before `until`, earliest first (ties: lower id)."""
        test, values = narrowed(shards)
        narrow = f"AND {test}" if test else ""
        rows = self._session.rows(
            f"SELECT customer, wakes_at FROM states WHERE wakes_at <= %s {narrow}"
            " ORDER BY wakes_at, customer LIMIT %s",
            (until, *values, limit),
        )
        return [(customer, wakes_at) for customer, wakes_at in rows]

    def wake_all(self, at: Instant, *, shards: Collection[int] | None = None) -> int:
        """Set every alarm that is later, or not set, to `at`; how many rows there are."""
        test, values = narrowed(shards)
        narrow = f"AND {test}" if test else ""
        self._session.writing().execute(
            f"UPDATE states SET wakes_at = %s WHERE (wakes_at > %s OR wakes_at IS NULL) {narrow}",
            (at, at, *values),
        )
        ((count,),) = self._session.rows(f"SELECT count(*) FROM states WHERE true {narrow}", values)
        return int(count)

    def next_alarm(self) -> Instant | None:
        """The earliest alarm of all."""
        rows = self._session.rows(
            "SELECT wakes_at FROM states WHERE wakes_at IS NOT NULL ORDER BY wakes_at LIMIT 1"
        )
        return int(rows[0][0]) if rows else None

    def page(self, after: CustomerId, limit: int) -> list[StateRow]:
        """Rows with an id above `after`, ascending."""
        rows = self._session.rows(
            f"SELECT {_STATE} FROM states WHERE customer > %s ORDER BY customer LIMIT %s",
            (after, limit),
        )
        return [StateRow(*row) for row in rows]

    def count(self) -> int:
        """How many customers have a state."""
        ((count,),) = self._session.rows("SELECT count(*) FROM states")
        return int(count)
