"""How do events lie in the file?"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any

from aftersale.adapters.storage.sqlite.connection import blob, chunks, insert, marks
from aftersale.adapters.storage.sqlite.session import Session
from aftersale.events.event import Entry
from aftersale.events.vocabulary import decode_body
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import Conflict, NewEntry

_SPAN = 2_000  # customers whose events are sorted in memory at once
_EVENT = "position, type_word, at, received_at, payload, shop_word, source_word, id, history"
_EVENT_OF_E = ", ".join(f"e.{name}" for name in _EVENT.split(", "))


class SqliteLedger:
    """The append-only log of events."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read = session.connection

    def seen(self, keys: Sequence[bytes]) -> dict[bytes, tuple[Position, bytes]]:
        """Position and content digest of each key that is already in the ledger."""
        found: dict[bytes, tuple[Position, bytes]] = {}
        for some in chunks(sorted(keys)):
            rows = self._read.execute(
                "SELECT s.key, s.position, e.digest FROM seen s JOIN events e USING (position)"
                f" WHERE s.key IN ({marks(some)})",
                list(map(blob, some)),
            )
            found.update({key: (position, digest) for key, position, digest in rows})
        return found

    def append(self, rows: Sequence[NewEntry]) -> list[Position]:
        """Add rows in order; ascending positions. ValueError where a key is there already."""
        write = self._session.appending()
        number = self._session.words.number
        first = self.last() + 1
        positions = list(range(first, first + len(rows)))
        keys = [row.key for row in rows]
        by_key = sorted(range(len(rows)), key=keys.__getitem__)  # neighbours lie on one page
        try:
            insert(write, "INSERT INTO seen", 2, ((blob(keys[n]), positions[n]) for n in by_key))
        except sqlite3.IntegrityError as error:
            raise self._session.spoil(
                ValueError("an event of these is in the ledger already")
            ) from error
        insert(
            write,
            "INSERT INTO events",
            11,
            (
                (
                    position,
                    row.customer,
                    number(row.type),
                    row.at,
                    row.received_at,
                    number(row.shop),
                    number(row.source),
                    row.id,
                    int(row.history),
                    blob(row.digest),
                    blob(row.payload),
                )
                for row, position in zip(rows, positions, strict=True)
            ),
        )
        if rows:
            write.execute(
                "UPDATE counters SET value = max(coalesce(value, ?1), ?1) WHERE name = 'newest_at'",
                (max(row.at for row in rows),),
            )
        return positions

    def add_conflicts(self, rows: Sequence[Conflict]) -> None:
        """Keep tellings that contradict an earlier one of the same id (same content: once)."""
        self._session.writing().executemany(
            "INSERT OR IGNORE INTO conflicts (position, source, id, received_at, type, at,"
            " payload) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(r.position, r.source, r.id, r.received_at, r.type, r.at, r.payload) for r in rows],
        )

    def conflicts(self, limit: int = 100) -> list[Conflict]:
        """The newest conflicts first."""
        rows = self._read.execute(
            "SELECT position, source, id, received_at, type, at, payload FROM conflicts"
            " ORDER BY number DESC LIMIT ?",
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
        """Entries in (after, upto] by position; all customers of a file are one shard."""
        rows = self._read.execute(
            f"SELECT customer, {_EVENT} FROM events"
            " WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
            (after, self.last() if upto is None else upto, limit),
        )
        return self._entries(rows)

    def entries(self, positions: Collection[Position]) -> dict[Position, Entry]:
        """The entries at those positions, with the customer each was admitted for."""
        found: list[Entry] = []
        for some in chunks(sorted(positions)):
            rows = self._read.execute(
                f"SELECT customer, {_EVENT} FROM events WHERE position IN ({marks(some)})", some
            )
            found += self._entries(rows)
        return {entry.position: entry for entry in found}

    def of_customers(
        self, first: CustomerId, last: CustomerId, *, until: Instant | None = None
    ) -> Iterator[Entry]:
        """Entries of the customers first..last ordered by (customer, at, position)."""
        ((highest,),) = self._read.execute(
            "SELECT max(coalesce((SELECT max(customer) FROM events), 0),"
            " coalesce((SELECT max(survivor) FROM pointers), 0))"
        )
        for start in range(first, min(last, highest) + 1, _SPAN):
            end = min(start + _SPAN - 1, last)
            rows = self._read.execute(
                f"SELECT customer AS living, {_EVENT} FROM events"
                " WHERE customer BETWEEN ?1 AND ?2 AND (?3 IS NULL OR at <= ?3)"
                " AND customer NOT IN (SELECT absorbed FROM pointers"
                " WHERE absorbed BETWEEN ?1 AND ?2)"
                f" UNION ALL SELECT p.survivor, {_EVENT_OF_E}"
                " FROM pointers p JOIN events e ON e.customer = p.absorbed"
                " WHERE p.survivor BETWEEN ?1 AND ?2 AND (?3 IS NULL OR e.at <= ?3)"
                " ORDER BY living, at, position",
                (start, end, until),
            )
            yield from self._entries(rows)

    def everybodys(self, kind: str) -> list[Entry]:
        """Entries of that type that concern every customer (customer 0), by position."""
        rows = self._read.execute(
            f"SELECT customer, {_EVENT} FROM events"
            " WHERE customer = 0 AND type_word = ? ORDER BY position",
            (self._session.words.known(kind),),
        )
        return self._entries(rows)

    def next_of_everybody(self, after: Position, kinds: Sequence[str]) -> Position | None:
        """Where behind the position the first entry of these types with customer 0 stands."""
        words = [self._session.words.known(kind) for kind in kinds]
        ((position,),) = self._read.execute(
            f"SELECT min(position) FROM events WHERE customer = 0 AND position > ?"
            f" AND type_word IN ({marks(words)})",
            (after, *words),
        )
        return None if position is None else int(position)

    def last(self) -> Position:
        """The highest readable position, 0 in an empty ledger."""
        ((position,),) = self._read.execute("SELECT coalesce(max(position), 0) FROM events")
        return int(position)

    def newest_at(self) -> Instant | None:
        """The latest `at` of all entries; None in an empty ledger."""
        ((at,),) = self._read.execute("SELECT value FROM counters WHERE name = 'newest_at'")
        return None if at is None else int(at)

    def oldest_after(
        self, after: Position, *, shards: Collection[int] | None = None
    ) -> Instant | None:
        """`received_at` of the first entry after the position; None where there is none."""
        row = self._read.execute(
            "SELECT received_at FROM events WHERE position > ? ORDER BY position LIMIT 1",
            (after,),
        ).fetchone()
        return None if row is None else int(row[0])

    def _entries(self, rows: Any) -> list[Entry]:
        word = cache(self._session.words.word)
        entries = []
        for customer, position, kind, at, received_at, payload, shop, source, name, past in rows:
            told = word(kind)
            body = decode_body(told, payload)
            entries.append(
                Entry(
                    position,
                    customer,
                    told,
                    at,
                    received_at,
                    body,
                    word(shop),
                    word(source),
                    name,
                    bool(past),
                )
            )
        return entries
