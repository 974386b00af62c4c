"""What does the store in memory keep, and how is a transaction undone?"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from aftersale.delivery.ports import Caught, Send
from aftersale.events.event import Ref
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import Conflict, NewEntry, PersonalRow
from aftersale.ledger.requests import Request, RequestNumber
from aftersale.programme.api_keys import ApiKey
from aftersale.programme.ports import Deployment
from aftersale.turn.decision import Decision
from aftersale.turn.ports import StateRow, TurnRecord
from aftersale.turn.shards import Lease, Shard, ShardNumber

K = TypeVar("K")
V = TypeVar("V")


_NOBODYS = Lease()


class Shelves:
    """Everything that is kept, and how to undo what the running transaction did."""

    def __init__(self, shards: int) -> None:
        self.entries: dict[Position, NewEntry] = {}
        self.keys: dict[bytes, Position] = {}
        self.positions: dict[CustomerId, dict[Position, None]] = {}
        self.conflicts: dict[tuple[Any, ...], Conflict] = {}
        self.customers: dict[CustomerId, Instant] = {}
        self.pointers: dict[CustomerId, CustomerId] = {}
        self.absorbed: dict[CustomerId, tuple[CustomerId, ...]] = {}
        self.refs: dict[Ref, CustomerId] = {}
        self.personal: dict[CustomerId, dict[Position, PersonalRow]] = {}
        self.told_at: dict[Position, tuple[CustomerId, ...]] = {}
        self.erasures: dict[tuple[Instant, CustomerId], None] = {}
        self.suppressions: dict[bytes, None] = {}
        self.states: dict[CustomerId, StateRow] = {}
        self.alarms: list[tuple[Instant, CustomerId]] = []
        self.turns: dict[int, TurnRecord] = {}
        self.decisions: dict[tuple[CustomerId, int], Decision] = {}
        self.decided_in: dict[tuple[CustomerId, int], int] = {}
        self.sends: dict[str, Send] = {}
        self.send_numbers: dict[str, int] = {}
        self.waiting: dict[str, int] = {}
        self.caught: dict[str, tuple[int, Caught]] = {}
        self.deployments: dict[int, Deployment] = {}
        self.meta: dict[str, bytes] = {}
        self.api_keys: dict[str, ApiKey] = {}
        self.requests: dict[RequestNumber, Request] = {}
        self.request_keys: dict[bytes, RequestNumber] = {}
        self.request_customers: dict[tuple[CustomerId, RequestNumber], None] = {}
        self.numbers: dict[str, int] = {}
        self.shards: dict[ShardNumber, Shard] = {n: Shard(n) for n in range(shards)}
        self.leases: dict[ShardNumber, tuple[str, int, Instant]] = {}
        """Shard → holder, token, until when."""
        self.workers: dict[str, Instant] = {}
        self.writable = False
        self.lease: Lease | None = Lease()
        """Of the running transaction; None: it works on every shard."""
        self.alone = False
        """Whether the transaction is the only one that writes, so it may append."""
        self.spoiled: Exception | None = None
        self._undo: list[Callable[[], None]] = []

    def begin(self, *, writable: bool, alone: bool = False, lease: Lease | None = _NOBODYS) -> None:
        self.writable = writable
        self.alone = alone
        self.lease = lease
        self.spoiled = None

    def commit(self) -> None:
        """Keep what was done; raise what spoiled the transaction, if anything did."""
        if self.spoiled is not None:
            raise self.spoiled
        self._undo.clear()

    def roll_back(self) -> None:
        while self._undo:
            self._undo.pop()()

    def spoil(self, error: Exception) -> Exception:
        self.spoiled = error
        return error

    def writing(self) -> None:
        if not self.writable:
            raise RuntimeError("this view of the store is for reading only")

    def appending(self) -> None:
        self.writing()
        if not self.alone:
            raise RuntimeError("what a worker does on its shards may not append to the ledger")

    def put(self, shelf: dict[K, V], key: K, value: V) -> None:
        """Set one value."""
        if key in shelf:
            before = shelf[key]
            self._undo.append(lambda: shelf.__setitem__(key, before))
        else:
            self._undo.append(lambda: shelf.__delitem__(key))
        shelf[key] = value

    def drop(self, shelf: dict[K, V], key: K) -> None:
        """Remove one value, if it is there; undone, it stands at the end of the shelf."""
        if key in shelf:
            before = shelf.pop(key)
            self._undo.append(lambda: shelf.__setitem__(key, before))

    def set_state(self, customer: CustomerId, row: StateRow | None) -> None:
        before = self.states.get(customer)
        self._replace_state(customer, row)
        self._undo.append(lambda: self._replace_state(customer, before))

    def next_number(self, name: str) -> int:
        number = self.numbers.get(name, 0) + 1
        self.put(self.numbers, name, number)
        return number

    def same_person(self, customer: CustomerId) -> list[CustomerId]:
        living = self.pointers.get(customer, customer)
        return [living, *sorted(self.absorbed.get(living, ()))]

    def _replace_state(self, customer: CustomerId, row: StateRow | None) -> None:
        before = self.states.pop(customer, None)
        if before is not None and before.wakes_at is not None:
            del self.alarms[bisect_left(self.alarms, (before.wakes_at, customer))]
        if row is not None:
            self.states[customer] = row
            if row.wakes_at is not None:
                insort(self.alarms, (row.wakes_at, customer))


def newest(values: Iterable[V], limit: int) -> list[V]:
    return list(values)[::-1][:limit]
