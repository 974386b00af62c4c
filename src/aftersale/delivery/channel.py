"""What must something offer that can reach a customer?"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.messages.compose import Message


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One composed message on its way."""

    customer: CustomerId
    message: Message
    at: Instant
    channel: str = "email"
    seq: int = 0
    """With the customer the name of the decision behind it: short enough for a return path."""


class Result(msgspec.Struct, frozen=True, gc=False):
    """What became of one message that was handed over."""

    status: str
    """sent, failed or unknown; queued where it was not taken and may be tried again."""
    provider_id: str = ""
    reason: str = ""
    """A code of `delivery/reasons.py`, where it helps followed by a colon and the answer's code."""
    tried: bool = True
    """Of a queued one: whether this counts as a try of the message."""
    whole: bool = False
    """Of a queued one: the trouble is the channel's and would meet every message."""
    not_before: Instant = 0
    """Of a queued one: when the channel will have room for it, where it knows."""


class Channel(Protocol):
    """A way to reach customers. It is called outside of any transaction of the store."""

    @property
    def name(self) -> str:
        """For the record: mailbox, smtp and so on."""
        ...

    @property
    def where(self) -> str:
        """Where messages go, in words that may be shown to anybody: no password, no user."""
        ...

    @property
    def at_once(self) -> int:
        """How many messages to claim at a time: after a crash so many are in doubt at most."""
        ...

    def send(self, messages: Sequence[Outgoing]) -> list[Result]:
        """Hand the messages over; one result each, in order. A repeated key is the same message.

        A trouble of the surroundings is a result, never an error.
        """
        ...

    def hurry(self) -> None:
        """Begin with no further message: what a `send` has not begun with comes back queued."""
        ...

    def close(self) -> None:
        """Let go of connections; a later `send` makes new ones."""
        ...

    def look_up(self, keys: Sequence[str]) -> Mapping[str, Result | None] | None:
        """What became of claimed messages after a crash.

        None for a key that surely never went out; no mapping at all where the provider cannot say.
        """
        ...
