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


class Result(msgspec.Struct, frozen=True, gc=False):
    """What the provider said of one message."""

    status: str
    """sent, failed or unknown."""
    provider_id: str = ""
    reason: str = ""


class Channel(Protocol):
    """A way to reach customers. It is called outside of any transaction of the store."""

    @property
    def name(self) -> str:
        """For the record: mailbox, smtp and so on."""
        ...

    def send(self, messages: Sequence[Outgoing]) -> list[Result]:
        """Hand the messages over; one result each, in order. A repeated key is the same message."""
        ...

    def look_up(self, keys: Sequence[str]) -> Mapping[str, Result | None] | None:
        """What became of claimed messages after a crash.

        None for a key that surely never went out; no mapping at all where the provider cannot say.
        """
        ...
