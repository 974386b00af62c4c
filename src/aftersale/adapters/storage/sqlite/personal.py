"""How is what names a person kept, shown and erased?"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from aftersale.adapters.storage.sqlite.connection import blob, chunks, insert, marks
from aftersale.adapters.storage.sqlite.erasure import erase
from aftersale.adapters.storage.sqlite.session import Session
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import PersonalRow

_TOLD = msgspec.msgpack.Decoder(dict[str, Any])


class SqlitePersonalData:
    """What names a person, kept apart from everything else."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.connection

    def put(self, rows: Sequence[PersonalRow]) -> None:
        """Keep what events told; repeating a (customer, position) changes nothing."""
        insert(
            self._session.writing(),
            "INSERT OR IGNORE INTO personal (position, customer, at, data)",
            4,
            ((row.position, row.customer, row.at, blob(row.data)) for row in rows),
        )

    def of(self, customer: CustomerId) -> list[PersonalRow]:
        """Everything held of the person under each of its ids, ascending by (at, position)."""
        people = self._session.same_person(customer)
        return sorted(self._rows(people), key=lambda row: (row.at, row.position, row.customer))

    def of_many(self, customers: Sequence[CustomerId]) -> dict[CustomerId, dict[str, Any]]:
        """For every one asked for, the union of what was told; the latest telling wins."""
        moved = self._session.living_of(customers)
        living = {customer: moved.get(customer, customer) for customer in customers}
        owner = {customer: customer for customer in living.values()}
        for some in chunks(sorted(owner)):
            owner.update(
                self._read.execute(
                    f"SELECT absorbed, survivor FROM pointers WHERE survivor IN ({marks(some)})",
                    some,
                )
            )
        told: dict[CustomerId, dict[str, Any]] = {customer: {} for customer in owner.values()}
        rows = sorted(
            self._rows(sorted(owner)), key=lambda row: (row.at, row.position, row.customer)
        )
        for row in rows:
            told[owner[row.customer]].update(_TOLD.decode(row.data))
        return {customer: dict(told[living[customer]]) for customer in customers}

    def of_events(self, positions: Collection[Position]) -> dict[Position, dict[str, Any]]:
        """What each event at those positions told, empty where nothing or erased."""
        told: dict[Position, dict[str, Any]] = {position: {} for position in positions}
        for some in chunks(sorted(told)):
            rows = self._read.execute(
                f"SELECT position, data FROM personal WHERE position IN ({marks(some)})"
                " ORDER BY customer",
                some,
            )
            for position, data in rows.fetchall():
                told[position].update(_TOLD.decode(data))
        return told

    def erase(
        self, customer: CustomerId, at: Instant, suppression: Sequence[bytes]
    ) -> dict[str, int]:
        """Delete what names the person; see `erasure.py`."""
        return erase(self._session, customer, at, suppression)

    def suppressed(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Those of the keyed address hashes that were left by an erasure."""
        found: set[bytes] = set()
        for some in chunks(hashes):
            rows = self._read.execute(
                f"SELECT hash FROM suppressions WHERE hash IN ({marks(some)})", some
            )
            found.update(hashed for (hashed,) in rows)
        return found

    def erasures(self) -> list[tuple[CustomerId, Instant]]:
        """Every erasure, oldest first, one line for each id of the person."""
        rows = self._read.execute("SELECT customer, at FROM erasures ORDER BY at, customer")
        return [(customer, at) for customer, at in rows.fetchall()]

    def _rows(self, customers: Sequence[CustomerId]) -> Iterator[PersonalRow]:
        for some in chunks(customers):
            rows = self._read.execute(
                "SELECT customer, position, at, data FROM personal"
                f" WHERE customer IN ({marks(some)})",
                some,
            )
            yield from (PersonalRow(*row) for row in rows.fetchall())
