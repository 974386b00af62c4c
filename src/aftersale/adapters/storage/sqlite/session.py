"""What do the parts of one transaction share?"""

import sqlite3
from collections.abc import Iterable

from aftersale.adapters.storage.sqlite.connection import chunks, marks
from aftersale.adapters.storage.sqlite.words import Words
from aftersale.kernel.ids import CustomerId
from aftersale.turn.shards import Lease

_NOBODYS = Lease()


class Session:
    """One transaction on one connection."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        words: Words,
        *,
        writable: bool,
        alone: bool = False,
        lease: Lease | None = _NOBODYS,
    ) -> None:
        self.connection = connection
        self.words = words
        self.writable = writable
        self.alone = alone
        """Whether it may append to the ledger: what a worker does on its shards may not."""
        self.lease = lease
        """On whose shards it works; None: on all."""
        self.spoiled: Exception | None = None
        """Why this transaction may only be undone."""
        self.erased = False
        """Whether something was deleted that may not lie in the log file afterwards."""

    def writing(self) -> sqlite3.Connection:
        """The connection, for a statement that writes."""
        if not self.writable:
            raise RuntimeError("this view of the store is for reading only")
        return self.connection

    def appending(self) -> sqlite3.Connection:
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
        row = self.connection.execute(
            "SELECT survivor FROM pointers WHERE absorbed = ?", (customer,)
        ).fetchone()
        return customer if row is None else int(row[0])

    def living_of(self, customers: Iterable[CustomerId]) -> dict[CustomerId, CustomerId]:
        """Absorbed id → survivor, for those of the customers that were absorbed."""
        found: dict[CustomerId, CustomerId] = {}
        for some in chunks(customers):
            found.update(
                self.connection.execute(
                    f"SELECT absorbed, survivor FROM pointers WHERE absorbed IN ({marks(some)})",
                    some,
                )
            )
        return found

    def same_person(self, customer: CustomerId) -> list[CustomerId]:
        """Every id of the person: the living one first, then the absorbed ones ascending."""
        living = self.living(customer)
        absorbed = self.connection.execute(
            "SELECT absorbed FROM pointers WHERE survivor = ? ORDER BY absorbed", (living,)
        )
        return [living, *(row[0] for row in absorbed)]
