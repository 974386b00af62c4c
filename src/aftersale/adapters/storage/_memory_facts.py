"""How does the store in memory keep events, customers and what names them?"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from aftersale.adapters.storage._memory_requests import MemoryRequests
from aftersale.adapters.storage._memory_shards import narrowed
from aftersale.adapters.storage._memory_shelves import Shelves, newest
from aftersale.events.event import Entry, Ref
from aftersale.events.vocabulary import decode_body
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import Conflict, NewEntry, PersonalRow


class MemoryLedger:
    """The append-only log of events."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def seen(self, keys: Sequence[bytes]) -> dict[bytes, tuple[Position, bytes]]:
        known = self._s.keys
        return {
            key: (known[key], self._s.entries[known[key]].digest) for key in keys if key in known
        }

    def append(self, rows: Sequence[NewEntry]) -> list[Position]:
        s = self._s
        s.appending()
        positions = []
        for row in rows:
            if row.key in s.keys:
                raise s.spoil(ValueError("an event of these is in the ledger already"))
            position = len(s.entries) + 1
            s.put(s.entries, position, row)
            s.put(s.keys, row.key, position)
            s.put(s.positions.setdefault(row.customer, {}), position, None)
            positions.append(position)
        if rows:
            latest = max(row.at for row in rows)
            s.put(s.numbers, "newest_at", max(latest, s.numbers.get("newest_at", latest)))
        return positions

    def add_conflicts(self, rows: Sequence[Conflict]) -> None:
        self._s.writing()
        for row in rows:
            key = (row.position, row.type, row.at, row.payload)
            if key not in self._s.conflicts:
                self._s.put(self._s.conflicts, key, row)

    def conflicts(self, limit: int = 100) -> list[Conflict]:
        return newest(self._s.conflicts.values(), limit)

    def read(
        self,
        after: Position,
        limit: int,
        *,
        upto: Position | None = None,
        shards: Collection[int] | None = None,
    ) -> list[Entry]:
        last = self.last() if upto is None else min(upto, self.last())
        found = islice(self._concerning(shards, max(after, 0) + 1, last), limit)
        return [self._entry(position, self._s.entries[position].customer) for position in found]

    def entries(self, positions: Collection[Position]) -> dict[Position, Entry]:
        known = self._s.entries
        return {p: self._entry(p, known[p].customer) for p in positions if p in known}

    def of_customers(
        self, first: CustomerId, last: CustomerId, *, until: Instant | None = None
    ) -> Iterator[Entry]:
        entries, pointers = self._s.entries, self._s.pointers
        for customer in sorted({pointers.get(c, c) for c in self._s.positions}):
            if not first <= customer <= last:
                continue
            found = [
                (entries[position].at, position)
                for person in self._s.same_person(customer)
                for position in self._s.positions.get(person, ())
                if until is None or entries[position].at <= until
            ]
            for _, position in sorted(found):
                yield self._entry(position, customer)

    def everybodys(self, kind: str) -> list[Entry]:
        return [
            self._entry(position, 0)
            for position in self._s.positions.get(0, ())
            if self._s.entries[position].type == kind
        ]

    def next_of_everybody(self, after: Position, kinds: Sequence[str]) -> Position | None:
        found = None
        for position in reversed(self._s.positions.get(0, {})):
            if position <= after:
                break
            if self._s.entries[position].type in kinds:
                found = position
        return found

    def last(self) -> Position:
        return len(self._s.entries)

    def newest_at(self) -> Instant | None:
        return self._s.numbers.get("newest_at")

    def oldest_after(
        self, after: Position, *, shards: Collection[int] | None = None
    ) -> Instant | None:
        for position in self._concerning(shards, max(after, 0) + 1, self.last()):
            return self._s.entries[position].received_at
        return None

    def _concerning(
        self, shards: Collection[int] | None, first: Position, last: Position
    ) -> Iterator[Position]:
        mine, entries = narrowed(self._s, shards), self._s.entries
        for position in range(first, last + 1):
            entry = entries[position]
            if entry.customer == 0 or entry.type == "customer.merged" or mine(entry.customer):
                yield position

    def _entry(self, position: Position, customer: CustomerId) -> Entry:
        row = self._s.entries[position]
        return Entry(
            position,
            customer,
            row.type,
            row.at,
            row.received_at,
            decode_body(row.type, row.payload),
            row.shop,
            row.source,
            row.id,
            row.history,
        )


class MemoryIdentities:
    """Refs, customers and the pointers of merged ones."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def find(self, refs: Sequence[Ref]) -> dict[Ref, CustomerId]:
        return {ref: self._s.refs[ref] for ref in refs if ref in self._s.refs}

    def bind(self, pairs: Sequence[tuple[Ref, CustomerId]]) -> None:
        self._s.writing()
        for ref, customer in pairs:
            self._s.put(self._s.refs, ref, self.living(customer))

    def create(self, count: int, at: Instant) -> CustomerId:
        self._s.writing()
        first = self.last() + 1
        for customer in range(first, first + count):
            self._s.put(self._s.customers, customer, at)
        return first

    def refs_of(self, customer: CustomerId) -> list[Ref]:
        return sorted(ref for ref, owner in self._s.refs.items() if owner == customer)

    def refs_of_many(self, customers: Collection[CustomerId]) -> dict[CustomerId, list[Ref]]:
        found: dict[CustomerId, list[Ref]] = {customer: [] for customer in customers}
        for ref in sorted(ref for ref, owner in self._s.refs.items() if owner in found):
            found[self._s.refs[ref]].append(ref)
        return found

    def ending(self, words: str) -> list[CustomerId]:
        kinds = {"customer", "order"}
        return sorted(
            {
                owner
                for ref, owner in self._s.refs.items()
                if ref.kind in kinds and ref.value.endswith(f"/{words}")
            }
        )

    def point(self, absorbed: CustomerId, survivor: CustomerId) -> None:
        s = self._s
        s.writing()
        old, new = self.living(absorbed), self.living(survivor)
        if old == new:
            return
        moving = (old, *s.absorbed.get(old, ()))
        for customer in moving:
            s.put(s.pointers, customer, new)
        s.put(s.absorbed, new, (*s.absorbed.get(new, ()), *moving))
        for ref in self.refs_of(old):
            s.put(s.refs, ref, new)

    def living(self, customer: CustomerId) -> CustomerId:
        return self._s.pointers.get(customer, customer)

    def last(self) -> CustomerId:
        return len(self._s.customers)


class MemoryPersonalData:
    """What names a person, kept apart from everything else."""

    def __init__(self, shelves: Shelves) -> None:
        self._s = shelves

    def put(self, rows: Sequence[PersonalRow]) -> None:
        self._s.writing()
        for row in rows:
            shelf = self._s.personal.setdefault(row.customer, {})
            if row.position not in shelf:
                self._s.put(shelf, row.position, row)
                others = self._s.told_at.get(row.position, ())
                self._s.put(self._s.told_at, row.position, (*others, row.customer))

    def of(self, customer: CustomerId) -> list[PersonalRow]:
        found = [
            row
            for person in self._s.same_person(customer)
            for row in self._s.personal.get(person, {}).values()
        ]
        return sorted(found, key=lambda row: (row.at, row.position, row.customer))

    def of_many(self, customers: Sequence[CustomerId]) -> dict[CustomerId, dict[str, Any]]:
        return {customer: _union(row.data for row in self.of(customer)) for customer in customers}

    def of_events(self, positions: Collection[Position]) -> dict[Position, dict[str, Any]]:
        return {
            position: _union(
                self._s.personal[customer][position].data
                for customer in sorted(self._s.told_at.get(position, ()))
                if position in self._s.personal[customer]
            )
            for position in positions
        }

    def erase(
        self, customer: CustomerId, at: Instant, suppression: Sequence[bytes]
    ) -> dict[str, int]:
        s = self._s
        s.writing()
        people = s.same_person(customer)
        requests = MemoryRequests(s).forget(customer)
        told = self.of(customer)
        refs = [ref for ref, owner in s.refs.items() if owner in people]
        sends = [send for send in s.sends.values() if send.customer in people and send.values]
        caught = [key for key, (_, mail) in s.caught.items() if mail.customer in people]
        for row in told:
            s.drop(s.personal[row.customer], row.position)
        for ref in refs:
            s.drop(s.refs, ref)
        for send in sends:
            s.put(s.sends, send.key, msgspec.structs.replace(send, values={}))
        for mail in caught:
            s.drop(s.caught, mail)
        for person in people:
            s.put(s.erasures, (at, person), None)
        for hashed in suppression:
            s.put(s.suppressions, hashed, None)
        return {
            "personal": len(told),
            "identities": len(refs),
            "outbox": len(sends),
            "mailbox": len(caught),
            "requests": requests,
        }

    def suppressed(self, hashes: Sequence[bytes]) -> set[bytes]:
        return set(hashes) & set(self._s.suppressions)

    def erasures(self) -> list[tuple[CustomerId, Instant]]:
        return [(customer, at) for at, customer in sorted(self._s.erasures)]


def _union(told: Iterable[bytes]) -> dict[str, Any]:
    union: dict[str, Any] = {}
    for data in told:
        union.update(msgspec.msgpack.decode(data))
    return union
