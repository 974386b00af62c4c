"""How are the messages of a large store kept in little memory while a rule looks at them?

A store may hold millions of messages, and a rule wants them by customer, while the outbox gives
them by key. So a few numbers of each are kept in columns: about sixty bytes a message, of which a
Python object would take ten times as many.
"""

from array import array
from collections.abc import Collection, Iterator

import msgspec

from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Transaction

_SEQ_BITS = 32


class Message(msgspec.Struct, frozen=True, gc=False):
    """What rules look at of one message."""

    customer: CustomerId
    seq: int
    channel: str
    purpose: str
    decided_at: Instant


class Messages:
    """Messages of an outbox, by customer and number of their decision."""

    def __init__(self, tx: Transaction, purposes: Collection[str] | None = None) -> None:
        """All of them, or those of the purposes."""
        self.names = array("Q")
        self._decided = array("q")
        self._kinds = array("H")
        self._pairs: list[tuple[str, str]] = []
        known: dict[tuple[str, str], int] = {}
        for send in tx.outbox.all():
            if send.kind != "message" or not (purposes is None or send.purpose in purposes):
                continue
            pair = send.channel, send.purpose
            if pair not in known:
                known[pair] = len(self._pairs)
                self._pairs.append(pair)
            self.names.append(packed(send.customer, send.seq))
            self._decided.append(send.decided_at)
            self._kinds.append(known[pair])
        self.order = array("Q", sorted(range(len(self.names)), key=self.names.__getitem__))
        """Places in the columns, by customer and number."""

    def at(self, place: int) -> Message:
        """The message at a place."""
        customer, seq = unpacked(self.names[place])
        return Message(customer, seq, *self._pairs[self._kinds[place]], self._decided[place])

    def __iter__(self) -> Iterator[Message]:
        """By customer and number."""
        return map(self.at, self.order)


def packed(customer: CustomerId, seq: int) -> int:
    """The name of a decision as one number, in the same order."""
    return customer << _SEQ_BITS | seq


def unpacked(name: int) -> tuple[CustomerId, int]:
    """Customer and number of such a name."""
    return name >> _SEQ_BITS, name & ((1 << _SEQ_BITS) - 1)
