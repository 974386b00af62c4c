"""What do the parts of one transaction share?"""

from collections.abc import Iterable
from typing import Any

import psycopg

from aftersale.adapters.storage.postgres.connection import integers
from aftersale.kernel.ids import CustomerId
from aftersale.turn.shards import Lease

_NOBODYS = Lease()

TEMPORARY = (
    "CREATE TEMP TABLE fresh_states (LIKE states) ON COMMIT DELETE ROWS",
    "CREATE TEMP TABLE fresh_sends (LIKE outbox) ON COMMIT DELETE ROWS",
)
"""Where rows wait that COPY brought and that a statement puts into their places."""


class Session:
    """One transaction on one connection."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        *,
        writable: bool,
        alone: bool = False,
        lease: Lease | None = _NOBODYS,
    ) -> None:
        self.connection = connection
        self.writable = writable
        self.alone = alone
        """Whether it may append to the ledger: what a worker does on its shards may not."""
        self.lease = lease
        """On whose shards it works; None: on all."""
        self.spoiled: Exception | None = None
        """Why this transaction may only be undone."""

    def rows(self, query: str, values: Any = ()) -> list[tuple[Any, ...]]:
        """What a query finds."""
        return self.connection.execute(query, values or None, binary=True).fetchall()

    def writing(self) -> psycopg.Connection[Any]:
        """The connection, for a statement that writes."""
        if not self.writable:
            raise RuntimeError("this view of the store is for reading only")
        return self.connection

    def appending(self) -> psycopg.Connection[Any]:
        """The connection, for a statement that appends to the ledger."""
        if self.writable and not self.alone:
            raise RuntimeError("what a worker does on its shards may not append to the ledger")
        return self.writing()

    def spoil(self, error: Exception) -> Exception:
        """Let the transaction end undone, even where the error is caught inside the block."""
        self.spoiled = error
        return error

    def be_sound(self) -> None:
        """Raise what spoiled the transaction, if anything did."""
        if self.spoiled is not None:
            raise self.spoiled

    def living(self, customer: CustomerId) -> CustomerId:
        """The id that this id has become."""
        return self.living_of([customer]).get(customer, customer)

    def living_of(self, customers: Iterable[CustomerId]) -> dict[CustomerId, CustomerId]:
        """Absorbed id → survivor, for those of the customers that were absorbed."""
        return dict(
            self.rows(
                "SELECT absorbed, survivor FROM pointers WHERE absorbed = ANY(%s::bigint[])",
                (integers(customers),),
            )
        )

    def same_person(self, customer: CustomerId) -> list[CustomerId]:
        """Every id of the person: the living one first, then the absorbed ones ascending."""
        living = self.living(customer)
        absorbed = self.rows(
            "SELECT absorbed FROM pointers WHERE survivor = %s ORDER BY absorbed", (living,)
        )
        return [living, *(row[0] for row in absorbed)]
