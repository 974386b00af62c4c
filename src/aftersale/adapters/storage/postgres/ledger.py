"""How do events lie in the database?"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from psycopg.errors import UniqueViolation

from aftersale.adapters.storage.postgres.connection import binaries, copy, integers
from aftersale.adapters.storage.postgres.session import Session
from aftersale.adapters.storage.postgres.shards import narrowed
from aftersale.events.event import Entry
from aftersale.events.vocabulary import decode_body
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import Conflict, NewEntry

_SPAN = 2_000  # customers whose events are sorted in memory at once
_EVENT = "position, type, at, received_at, payload, shop, source, id, history"
_EVENT_OF_E = ", ".join(f"e.{name}" for name in _EVENT.split(", "))
_WRITTEN = (
    "position, customer, at, received_at, history, key, digest, type, shop, source, id, payload"
)
_MERGED = "customer.merged"


class PostgresLedger:
    """The append-only log of events."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def seen(self, keys: Sequence[bytes]) -> dict[bytes, tuple[Position, bytes]]:
        """Position and content digest of each key that is already in the ledger."""
        rows = self._session.rows(
            "SELECT key, position, digest FROM events WHERE key = ANY(%s::bytea[])",
            (binaries(keys),),
        )
        return {key: (position, digest) for key, position, digest in rows}

    def append(self, rows: Sequence[NewEntry]) -> list[Position]:
        """Add rows in order; ascending positions. ValueError where a key is there already."""
        write = self._session.appending()
        if not rows:
            return []
        first = self.last() + 1
        positions = list(range(first, first + len(rows)))
        try:
            copy(
                write,
                "events",
                _WRITTEN,
                (
                    (
                        position, row.customer, row.at, row.received_at, row.history, row.key,
                        row.digest, row.type, row.shop, row.source, row.id, row.payload,
                    )
                    for row, position in zip(rows, positions, strict=True)
                ),
            )  # fmt: skip
        except UniqueViolation as error:
            raise self._session.spoil(
                ValueError("an event of these is in the ledger already")
            ) from error
        write.execute("UPDATE newest SET at = greatest(at, %s)", (max(row.at for row in rows),))
        return positions

    def add_conflicts(self, rows: Sequence[Conflict]) -> None:
        """Keep tellings that contradict an earlier one of the same id (same content: once)."""
        with self._session.writing().cursor() as cursor:
            cursor.executemany(
                "INSERT INTO conflicts (position, source, id, received_at, type, at, payload)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    (r.position, r.source, r.id, r.received_at, r.type, r.at, r.payload)
                    for r in rows
                ],
            )

    def conflicts(self, limit: int = 100) -> list[Conflict]:
        """The newest conflicts first."""
        rows = self._session.rows(
            "SELECT position, source, id, received_at, type, at, payload FROM conflicts"
            " ORDER BY number DESC LIMIT %s",
            (limit,),
        )
        return [Conflict(*row) for row in rows]

    def read(
        self,
        after: Position,
        limit: int,
        *,
        upto: Position | None = None,
        shards: Collection[int] | None = None,
    ) -> list[Entry]:
        """Entries in (after, upto] by position, narrowed to shards; see the port."""
        test, values = narrowed(shards)
        either = f" AND (customer = 0 OR type = '{_MERGED}' OR {test})" if test else ""
        rows = self._session.rows(
            f"SELECT customer, {_EVENT} FROM events WHERE position > %s AND position <= %s{either}"
            " ORDER BY position LIMIT %s",
            (after, self.last() if upto is None else upto, *values, limit),
        )
        return _entries(rows)

    def entries(self, positions: Collection[Position]) -> dict[Position, Entry]:
        """The entries at those positions, with the customer each was admitted for."""
        rows = self._session.rows(
            f"SELECT customer, {_EVENT} FROM events WHERE position = ANY(%s::bigint[])",
            (integers(positions),),
        )
        return {entry.position: entry for entry in _entries(rows)}

    def of_customers(
        self, first: CustomerId, last: CustomerId, *, until: Instant | None = None
    ) -> Iterator[Entry]:
        """Entries of the customers first..last ordered by (customer, at, position)."""
        ((highest,),) = self._session.rows("SELECT coalesce(max(customer), 0) FROM events")
        latest = 2**63 - 1 if until is None else until
        for start in range(first, min(last, highest) + 1, _SPAN):
            end = min(start + _SPAN - 1, last)
            rows = self._session.rows(
                f"SELECT customer AS living, {_EVENT} FROM events"
                " WHERE customer BETWEEN %(start)s AND %(end)s AND at <= %(latest)s"
                " AND NOT EXISTS (SELECT FROM pointers WHERE absorbed = customer)"
                f" UNION ALL SELECT p.survivor, {_EVENT_OF_E}"
                " FROM pointers p JOIN events e ON e.customer = p.absorbed"
                " WHERE p.survivor BETWEEN %(start)s AND %(end)s AND e.at <= %(latest)s"
                " ORDER BY living, at, position",
                {"start": start, "end": end, "latest": latest},
            )
            yield from _entries(rows)

    def everybodys(self, kind: str) -> list[Entry]:
        """Entries of that type that concern every customer (customer 0), by position."""
        rows = self._session.rows(
            f"SELECT customer, {_EVENT} FROM events"
            " WHERE customer = 0 AND type = %s ORDER BY position",
            (kind,),
        )
        return _entries(rows)

    def next_of_everybody(self, after: Position, kinds: Sequence[str]) -> Position | None:
        """Where behind the position the first entry of these types with customer 0 stands."""
        ((position,),) = self._session.rows(
            "SELECT min(position) FROM events WHERE customer = 0 AND position > %s"
            " AND type = ANY(%s)",
            (after, list(kinds)),
        )
        return None if position is None else int(position)

    def last(self) -> Position:
        """The highest readable position, 0 in an empty ledger."""
        ((position,),) = self._session.rows("SELECT coalesce(max(position), 0) FROM events")
        return int(position)

    def newest_at(self) -> Instant | None:
        """The latest `at` of all entries; None in an empty ledger."""
        ((at,),) = self._session.rows("SELECT at FROM newest")
        return None if at is None else int(at)

    def oldest_after(
        self, after: Position, *, shards: Collection[int] | None = None
    ) -> Instant | None:
        """`received_at` of the first entry after the position; None where there is none."""
        test, values = narrowed(shards)
        either = f" AND (customer = 0 OR type = '{_MERGED}' OR {test})" if test else ""
        rows = self._session.rows(
            f"SELECT received_at FROM events WHERE position > %s{either} ORDER BY position LIMIT 1",
            (after, *values),
        )
        return int(rows[0][0]) if rows else None


def _entries(rows: Sequence[tuple[Any, ...]]) -> list[Entry]:
    return [
        Entry(
            position, customer, kind, at, received_at, decode_body(kind, payload), shop, source,
            name, past,
        )
        for customer, position, kind, at, received_at, payload, shop, source, name, past in rows
    ]  # fmt: skip
