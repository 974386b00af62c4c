"""How does the store in memory deal its customers out to workers?"""

from collections.abc import Callable, Collection
from typing import TypeVar

import msgspec

from aftersale.adapters.storage._memory_shelves import Shelves
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import SECOND, Instant
from aftersale.turn.shards import Lease, LeaseLost, Shard, ShardNumber, fair, shard_of

Item = TypeVar("Item")


class MemoryShards:
    """The shards inside one transaction."""

    def __init__(self, shelves: Shelves, clock: Callable[[], Instant]) -> None:
        self._s = shelves
        self._clock = clock

    @property
    def count(self) -> int:
        return len(self._s.shards)

    def mine(self) -> tuple[ShardNumber, ...]:
        lease = self._s.lease
        return tuple(self._s.shards) if lease is None else tuple(sorted(lease.tokens))

    def all(self) -> list[Shard]:
        return list(self._s.shards.values())

    def passed(self, shards: Collection[ShardNumber], upto: Position, now: Instant) -> None:
        self._s.writing()
        check_lease(self._s)
        for number in shards:
            shard = self._s.shards[number]
            moved = msgspec.structs.replace(shard, upto=upto, now=max(now, shard.now))
            self._s.put(self._s.shards, number, moved)

    def sweep(self, shards: Collection[ShardNumber] | None, *, wanted: bool) -> None:
        self._s.writing()
        for number in self._s.shards if shards is None else shards:
            swept = msgspec.structs.replace(self._s.shards[number], sweep=wanted)
            self._s.put(self._s.shards, number, swept)

    def holders(self) -> dict[ShardNumber, str]:
        now = self._clock()
        return {n: holder for n, (holder, _, until) in self._s.leases.items() if until > now}

    def workers(self) -> list[str]:
        now = self._clock()
        return sorted(name for name, until in self._s.workers.items() if until > now)


def check_lease(shelves: Shelves) -> None:
    """LeaseLost where a shard of the transaction's lease was given up or taken by another."""
    lease = shelves.lease
    if lease is None:
        return
    for number, token in lease.tokens.items():
        if shelves.leases.get(number, ("", 0, 0))[:2] != (lease.holder, token):
            raise shelves.spoil(LeaseLost(f"shard {number} is no longer held by {lease.holder}"))


def take(
    shelves: Shelves, shards: MemoryShards, holder: str, seconds: float, now: Instant
) -> Lease:
    """Renew, take and give up, as the port says."""
    until = now + int(seconds * SECOND)
    shelves.workers[holder] = until
    kept, taken = fair(shards.holders(), shards.count, shards.workers(), holder)
    for number, (owner, token, _) in list(shelves.leases.items()):
        if owner == holder and number not in kept:
            shelves.leases[number] = ("", token, 0)
    for number in kept:
        shelves.leases[number] = (holder, shelves.leases[number][1], until)
    for number in taken:
        token = shelves.leases.get(number, ("", 0, 0))[1] + 1
        shelves.leases[number] = (holder, token, until)
    return Lease(holder, {n: shelves.leases[n][1] for n in sorted((*kept, *taken))})


def narrowed(
    shelves: Shelves, shards: Collection[ShardNumber] | None
) -> Callable[[CustomerId], bool]:
    """Whether a customer belongs to one of the shards."""
    if shards is None:
        return lambda customer: True
    count, wanted = len(shelves.shards), set(shards)
    return lambda customer: shard_of(customer, count) in wanted
