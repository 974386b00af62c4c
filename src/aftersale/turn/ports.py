"""What must a store offer so that a turn happens completely or not at all?"""

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import msgspec

from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Duration, Instant
from aftersale.turn.decision import Decision
from aftersale.turn.shards import ShardNumber


class StateRow(msgspec.Struct, frozen=True, gc=False):
    """A customer's encoded state as it lies in the store."""

    customer: CustomerId
    version: int
    """Raised by one at each save; 0 is a customer that has no row yet."""
    blob: bytes
    wakes_at: Instant | None


class TurnRecord(msgspec.Struct, frozen=True, gc=False):
    """The journal's line of one turn: all that is needed to run it again."""

    turn: int
    now: Instant
    own: bool
    """Whether each input was taken at its own instant (driven clock) instead of at `now`."""
    after: Position
    upto: Position
    """The turn took the entries in (after, upto]."""
    rings: Instant
    """Alarms due by this instant rang; 0: none, for unread events come first."""
    programme: int
    engine: str
    woken: bytes = b""
    """msgpack map of the customers that an alarm woke to its instant, see `pack_woken`."""
    shards: int = 1
    """Whose customers it took, see `shards.bits`: entries of others in that stretch are not its."""


class Turned(msgspec.Struct, frozen=True):
    """What one turn did."""

    turn: int
    events: int
    customers: int
    decisions: int
    sends: int
    upto: Position
    full: bool
    """Whether more work waits for the same horizon."""


def pack_woken(woken: dict[CustomerId, Instant]) -> bytes:
    """The stored form of whom an alarm woke: ids and instants as differences, ascending."""
    rows, before, at_before = [], 0, 0
    for customer in sorted(woken):
        rows += [customer - before, woken[customer] - at_before]
        before, at_before = customer, woken[customer]
    return msgspec.msgpack.encode(rows)


def unpack_woken(data: bytes) -> dict[CustomerId, Instant]:
    """The customers that an alarm woke, and the alarm of each."""
    rows = msgspec.msgpack.decode(data, type=list[int]) if data else []
    woken, customer, at = {}, 0, 0
    for n in range(0, len(rows), 2):
        customer, at = customer + rows[n], at + rows[n + 1]
        woken[customer] = at
    return woken


class States(Protocol):
    """One row a customer, with the instant of its next alarm."""

    def load(self, customers: Sequence[CustomerId]) -> dict[CustomerId, StateRow]:
        """The rows that exist."""
        ...

    def save(self, rows: Sequence[StateRow]) -> None:
        """Write rows; `version` is the one each was loaded with (0: new). StaleState if moved."""
        ...

    def remove(self, customer: CustomerId) -> None:
        """Drop the row of a customer that was absorbed or erased."""
        ...

    def due(
        self, until: Instant, limit: int, *, shards: Collection[ShardNumber] | None = None
    ) -> list[tuple[CustomerId, Instant]]:
        """Customers whose alarm is at or before `until`, earliest first (ties: lower id).

        `shards` narrows to their customers; None means all.
        """
        ...

    def wake_all(self, at: Instant, *, shards: Collection[ShardNumber] | None = None) -> int:
        """Set every alarm that is later, or not set, to `at`; how many rows there are."""
        ...

    def next_alarm(self) -> Instant | None:
        """The earliest alarm of all."""
        ...

    def page(self, after: CustomerId, limit: int) -> list[StateRow]:
        """Rows with an id above `after`, ascending."""
        ...

    def count(self) -> int:
        """How many customers have a state."""
        ...


class StaleState(Exception):
    """A state row was moved by somebody else since it was loaded; nothing was written."""


class Journal(Protocol):
    """Every turn in order: with the ledger it is the whole history of decisions."""

    def following(self) -> int:
        """The number of a turn that is about to be taken: above that of every committed one."""
        ...

    def append(self, record: TurnRecord) -> None:
        """Add the line of a turn."""
        ...

    def read(self, after: int = 0) -> Iterator[TurnRecord]:
        """Lines after that turn, in order."""
        ...

    def last(self) -> TurnRecord | None:
        """The line with the highest number."""
        ...


class DecisionRow(msgspec.Struct, frozen=True, gc=False):
    """How often something was decided, for tables and reports."""

    journey: str
    step: str
    kind: str
    reason: str
    count: int
    people: int


class Decisions(Protocol):
    """The record of what was decided."""

    def append(self, turn: int, decisions: Sequence[Decision]) -> None:
        """Add the decisions of a turn."""
        ...

    def get(self, customer: CustomerId, seq: int) -> Decision | None:
        """One decision."""
        ...

    def of(self, customer: CustomerId, *, limit: int = 1000) -> list[Decision]:
        """The customer's newest decisions, newest first."""
        ...

    def newest(self, *, journey: str = "", kind: str = "", limit: int = 100) -> list[Decision]:
        """The newest decisions of all, newest first, by journey and kind where given."""
        ...

    def ordered(self) -> Iterator[Decision]:
        """All, by (customer, seq)."""
        ...

    def counts(self, *, since: Instant = 0, until: Instant | None = None) -> list[DecisionRow]:
        """Decisions with `now` in [since, until) counted by journey, step, kind and reason."""
        ...

    def tally(
        self, bucket: Duration, *, after: int = 0, upto: int | None = None
    ) -> list[tuple[int, tuple[str, str, str, str], int]]:
        """The decisions of the numbers above `after`, up to `upto` (None: all), counted.

        By how many buckets of that length their `now` lies after 1970, and by journey, step, kind
        and reason.
        """
        ...

    def numbered(self, until: Instant) -> int:
        """The highest number of a decision with `now` before that, 0 where there is none.

        Numbers begin at 1 and grow, with gaps where a transaction was undone.
        """
        ...

    def read_upto(self) -> Iterator[tuple[tuple[CustomerId, int], Position]]:
        """For every decision to send: (customer, seq) and the position its turn had read."""
        ...

    def total(self) -> int:
        """How many there are."""
        ...
