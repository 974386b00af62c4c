"""What must a store offer so that facts are kept once and for ever?

Every method works inside the transaction it was obtained from (`programme/ports.py`).
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from aftersale.events.event import Entry, Ref
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant


class NewEntry(msgspec.Struct, frozen=True, gc=False):
    """One admitted event on its way into the ledger."""

    key: bytes
    """Sixteen bytes of (source, id): the event acts once for ever."""
    digest: bytes
    """Eight bytes of its content: the same key with another digest is a conflict."""
    customer: CustomerId
    type: str
    at: Instant
    received_at: Instant
    shop: str
    source: str
    id: str
    history: bool
    payload: bytes
    """The encoded body."""


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """A second, different telling of an event id."""

    position: Position
    """Of the first telling, which stands."""
    source: str
    id: str
    received_at: Instant
    type: str
    at: Instant
    payload: bytes


class Ledger(Protocol):
    """The append-only log of events."""

    def seen(self, keys: Sequence[bytes]) -> dict[bytes, tuple[Position, bytes]]:
        """Position and content digest of each key that is already in the ledger."""
        ...

    def append(self, rows: Sequence[NewEntry]) -> list[Position]:
        """Add rows in order; ascending positions, readable once all below them are committed."""
        ...

    def add_conflicts(self, rows: Sequence[Conflict]) -> None:
        """Keep tellings that contradict an earlier one of the same id (same content: once)."""
        ...

    def conflicts(self, limit: int = 100) -> list[Conflict]:
        """The newest conflicts first."""
        ...

    def read(
        self,
        after: Position,
        limit: int,
        *,
        upto: Position | None = None,
        shards: Collection[int] | None = None,
    ) -> list[Entry]:
        """Entries in (after, upto] by position, with the customer each was admitted for.

        `shards` narrows to entries of their customers, of everybody, and of merges, which may
        concern a customer of theirs besides the one they stand under; None means all.
        """
        ...

    def entries(self, positions: Collection[Position]) -> dict[Position, Entry]:
        """The entries at those positions, with the customer each was admitted for."""
        ...

    def of_customers(
        self, first: CustomerId, last: CustomerId, *, until: Instant | None = None
    ) -> Iterator[Entry]:
        """Entries of the customers first..last ordered by (customer, at, position).

        `until` keeps only entries with `at` at or before it. Customers as the pointers say now.
        """
        ...

    def everybodys(self, kind: str) -> list[Entry]:
        """Entries of that type that concern every customer (customer 0), by position."""
        ...

    def next_of_everybody(self, after: Position, kinds: Sequence[str]) -> Position | None:
        """Where behind the position the first entry of these types with customer 0 stands."""
        ...

    def last(self) -> Position:
        """The highest readable position, 0 in an empty ledger."""
        ...

    def newest_at(self) -> Instant | None:
        """The latest `at` of all entries; None in an empty ledger."""
        ...

    def oldest_after(
        self, after: Position, *, shards: Collection[int] | None = None
    ) -> Instant | None:
        """`received_at` of the first entry after the position; None where there is none.

        `shards` as in `read`.
        """
        ...


class Identities(Protocol):
    """Which of our customers is meant by an id from outside."""

    def find(self, refs: Sequence[Ref]) -> dict[Ref, CustomerId]:
        """The living customer (pointers followed) of each ref that is known."""
        ...

    def bind(self, pairs: Sequence[tuple[Ref, CustomerId]]) -> None:
        """Let each ref mean that customer from now on."""
        ...

    def create(self, count: int, at: Instant) -> CustomerId:
        """Make `count` customers with consecutive ids; the first of them."""
        ...

    def refs_of(self, customer: CustomerId) -> list[Ref]:
        """Every ref that means this living customer."""
        ...

    def refs_of_many(self, customers: Collection[CustomerId]) -> dict[CustomerId, list[Ref]]:
        """The same for each of them, an empty list where there are none."""
        ...

    def point(self, absorbed: CustomerId, survivor: CustomerId) -> None:
        """Make the absorbed id a pointer to the survivor for ever; its refs move along."""
        ...

    def living(self, customer: CustomerId) -> CustomerId:
        """The id that this id has become; itself where it never was absorbed."""
        ...

    def ending(self, words: str) -> list[CustomerId]:
        """Living customers with a shop id or order that is `…/words`, whichever the shop."""
        ...

    def last(self) -> CustomerId:
        """The highest id given so far, 0 before the first."""
        ...


class PersonalRow(msgspec.Struct, frozen=True, gc=False):
    """What names a person, as one event told it."""

    customer: CustomerId
    position: Position
    at: Instant
    data: bytes
    """A msgpack map."""


class PersonalData(Protocol):
    """What names a person, kept apart from everything else so that it can be shown and erased."""

    def put(self, rows: Sequence[PersonalRow]) -> None:
        """Keep what events told; repeating a (customer, position) changes nothing."""
        ...

    def of(self, customer: CustomerId) -> list[PersonalRow]:
        """Everything held of the customer, ascending by (at, position)."""
        ...

    def of_many(self, customers: Sequence[CustomerId]) -> dict[CustomerId, dict[str, Any]]:
        """Per customer the union of what was told, the latest telling of each field wins."""
        ...

    def of_events(self, positions: Collection[Position]) -> dict[Position, dict[str, Any]]:
        """What each event at those positions told, empty where nothing or erased."""
        ...

    def erase(
        self, customer: CustomerId, at: Instant, suppression: Sequence[bytes]
    ) -> dict[str, int]:
        """Delete what names the person: personal rows, refs, outbox bodies, caught messages.

        The bodies of requests that name the person are emptied, see `requests.py`.

        Leaves an entry in the list of erasures and the keyed hashes of its addresses, so that
        the person is not imported and written to again. Rows deleted per table.
        """
        ...

    def suppressed(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Those of the keyed address hashes that were left by an erasure."""
        ...

    def erasures(self) -> list[tuple[CustomerId, Instant]]:
        """Every erasure, oldest first; a restored backup applies them again."""
        ...
