"""Who works on which customers, and how far has each share of them come?

Customers are dealt out to a fixed number of shards. A worker holds some of them on lease; what it
takes in a turn are the shards that have read equally far, so that one turn is one stretch of the
ledger.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant

ShardNumber = int
"""From 0; at most 63, so that a set of them is the bits of one number."""

MOST = 63


class Shard(msgspec.Struct, frozen=True, gc=False):
    """One share of the customers, as it stands."""

    number: ShardNumber
    upto: Position = 0
    """Every entry of its customers up to here was taken by a turn."""
    now: Instant = 0
    """The clock of its last turn; it never goes back."""
    sweep: bool = False
    """Whether everybody in it is to be woken, for the world has changed."""


class Lease(msgspec.Struct, frozen=True):
    """The shards that a worker holds. An empty one holds nothing and can still write beside."""

    holder: str = ""
    tokens: Mapping[ShardNumber, int] = {}
    """Shard → number of the taking; whoever takes it next makes it a higher one."""


class LeaseLost(Exception):
    """Somebody else holds a shard of this lease by now; nothing was written."""


class Front(msgspec.Struct, frozen=True):
    """Shards that have read equally far, and what one turn may read for them."""

    shards: tuple[ShardNumber, ...]
    after: Position
    upto: Position | None
    """Where the worker's other shards stand: there they are joined. None: to the end."""
    now: Instant
    elsewhere: Mapping[ShardNumber, Position]
    """How far the shards have come that do not belong to it."""
    count: int
    """Of all shards."""

    @property
    def only(self) -> tuple[ShardNumber, ...] | None:
        """What a look-up is narrowed to; None where these are all shards."""
        return None if len(self.shards) == self.count else self.shards

    def has(self, customer: CustomerId) -> bool:
        """Whether the customer belongs to these shards."""
        return not self.elsewhere or shard_of(customer, self.count) not in self.elsewhere

    def awaits(self, customer: CustomerId, position: Position) -> bool:
        """Whether a customer of another shard has not yet been carried to that position."""
        return self.elsewhere.get(shard_of(customer, self.count), position) < position


def shard_of(customer: CustomerId, count: int) -> ShardNumber:
    """The shard of a customer. Ids are given in ascending order, so they spread evenly."""
    return customer % count


def front_of(shards: Sequence[Shard], mine: Collection[ShardNumber]) -> Front | None:
    """The shards of mine that lie furthest back; None where none is mine."""
    held = [shard for shard in shards if shard.number in mine]
    if not held:
        return None
    after = min(shard.upto for shard in held)
    ahead = [shard.upto for shard in held if shard.upto > after]
    front = tuple(shard.number for shard in held if shard.upto == after)
    return Front(
        front,
        after,
        min(ahead, default=None),
        max(shard.now for shard in held if shard.upto == after),
        {shard.number: shard.upto for shard in shards if shard.number not in front},
        len(shards),
    )


def bits(shards: Collection[ShardNumber]) -> int:
    """A set of shards as one number."""
    return sum(1 << number for number in shards)


def numbers(mask: int) -> tuple[ShardNumber, ...]:
    """The shards of such a number, ascending."""
    return tuple(n for n in range(mask.bit_length()) if mask >> n & 1)


def fair(
    held: Mapping[ShardNumber, str], count: int, workers: Collection[str], me: str
) -> tuple[list[ShardNumber], list[ShardNumber]]:
    """(what I keep, what I take) of `count` shards, so that all workers hold about as many.

    `held`: shard → who holds it on a lease that has not run out. Nothing is taken from anybody:
    who holds more than a fair share gives up the rest, who holds less takes what is free.
    """
    share = -(-count // max(len({*workers, me}), 1))
    mine = sorted(shard for shard, holder in held.items() if holder == me)
    free = [shard for shard in range(count) if shard not in held]
    return mine[:share], free[: max(share - len(mine), 0)]


class Shards(Protocol):
    """The shards of a store inside one transaction."""

    @property
    def count(self) -> int:
        """How many there are; fixed when the store is made."""
        ...

    def mine(self) -> tuple[ShardNumber, ...]:
        """Those that this transaction works on; nobody else works on them until it ends."""
        ...

    def all(self) -> list[Shard]:
        """Every shard, by number."""
        ...

    def passed(self, shards: Collection[ShardNumber], upto: Position, now: Instant) -> None:
        """Note how far they have come. LeaseLost where they are no longer ours."""
        ...

    def sweep(self, shards: Collection[ShardNumber] | None, *, wanted: bool) -> None:
        """Ask for everybody of those shards (None: of all) to be woken, or note that it is done."""
        ...

    def holders(self) -> dict[ShardNumber, str]:
        """Who holds each shard whose lease has not run out."""
        ...

    def workers(self) -> list[str]:
        """Who was seen at work lately, by name."""
        ...
