"""How is what names a person kept, shown and erased?"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from aftersale.adapters.storage.postgres.connection import binaries, integers
from aftersale.adapters.storage.postgres.erasure import erase
from aftersale.adapters.storage.postgres.session import Session
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import PersonalRow

_TOLD = msgspec.msgpack.Decoder(dict[str, Any])


class PostgresPersonalData:
    """What names a person, kept apart from everything else."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, rows: Sequence[PersonalRow]) -> None:
        """Keep what events told; repeating a (customer, position) changes nothing."""
        self._session.writing().execute(
            "INSERT INTO personal (position, customer, at, data)"
            " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bytea[])"
            " ON CONFLICT DO NOTHING",
            (
                integers(row.position for row in rows),
                integers(row.customer for row in rows),
                integers(row.at for row in rows),
                binaries(row.data for row in rows),
            ),
        )

    def of(self, customer: CustomerId) -> list[PersonalRow]:
        """Everything held of the person under each of its ids, ascending by (at, position)."""
        return self._rows(self._session.same_person(customer))

    def of_many(self, customers: Sequence[CustomerId]) -> dict[CustomerId, dict[str, Any]]:
        """For every one asked for, the union of what was told; the latest telling wins."""
        moved = self._session.living_of(customers)
        living = {customer: moved.get(customer, customer) for customer in customers}
        owner = {customer: customer for customer in living.values()}
        owner.update(
            self._session.rows(
                "SELECT absorbed, survivor FROM pointers WHERE survivor = ANY(%s::bigint[])",
                (integers(owner),),
            )
        )
        told: dict[CustomerId, dict[str, Any]] = {customer: {} for customer in owner.values()}
        for row in self._rows(owner):
            told[owner[row.customer]].update(_TOLD.decode(row.data))
        return {customer: dict(told[living[customer]]) for customer in customers}

    def of_events(self, positions: Collection[Position]) -> dict[Position, dict[str, Any]]:
        """What each event at those positions told, empty where nothing or erased."""
        told: dict[Position, dict[str, Any]] = {position: {} for position in positions}
        rows = self._session.rows(
            "SELECT position, data FROM personal WHERE position = ANY(%s::bigint[])"
            " ORDER BY customer",
            (integers(told),),
        )
        for position, data in rows:
            told[position].update(_TOLD.decode(data))
        return told

    def erase(
        self, customer: CustomerId, at: Instant, suppression: Sequence[bytes]
    ) -> dict[str, int]:
        """Delete what names the person; see `erasure.py`."""
        return erase(self._session, customer, at, suppression)

    def suppressed(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Those of the keyed address hashes that were left by an erasure."""
        rows = self._session.rows(
            "SELECT hash FROM suppressions WHERE hash = ANY(%s::bytea[])", (binaries(hashes),)
        )
        return {hashed for (hashed,) in rows}

    def erasures(self) -> list[tuple[CustomerId, Instant]]:
        """Every erasure, oldest first, one line for each id of the person."""
        rows = self._session.rows("SELECT customer, at FROM erasures ORDER BY at, customer")
        return [(customer, at) for customer, at in rows]

    def _rows(self, customers: Any) -> list[PersonalRow]:
        rows = self._session.rows(
            "SELECT customer, position, at, data FROM personal"
            " WHERE customer = ANY(%s::bigint[]) ORDER BY at, position, customer",
            (integers(customers),),
        )
        return [PersonalRow(*row) for row in rows]
