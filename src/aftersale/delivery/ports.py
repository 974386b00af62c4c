"""What must a store and a channel offer so that one intent is one message?"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant

QUEUED, CLAIMED, SENT, FAILED, DROPPED, UNKNOWN = (
    "queued",
    "claimed",
    "sent",
    "failed",
    "dropped",
    "unknown",
)
"""The life of a send: queued → claimed → sent | failed | unknown, or queued → dropped.

A claimed one that was not taken is queued again, an unknown one is resolved; once sent it stays
out, and can only come back (failed). The ways are in `delivery/life.py`.
"""


class Send(msgspec.Struct, frozen=True, gc=False):
    """One row of the outbox."""

    key: str
    """journey:lineage:customer:run:step:visit:channel, unique in the store for ever."""
    customer: CustomerId
    seq: int
    """Of the decision that made it."""
    journey: str
    version: int
    run: str
    step: str
    channel: str
    purpose: str
    template: str
    decided_at: Instant
    useful_until: Instant | None
    state_version: int
    """Version that the customer's row had after the deciding turn."""
    shop: str = ""
    values: dict[str, Any] = {}
    """What the text needs and the programme cannot know later: order, product, benefit."""
    status: str = QUEUED
    status_at: Instant = 0
    reason: str = ""
    provider_id: str = ""
    kind: str = "message"
    """message or task."""
    attempts: int = 0
    """How often a channel tried it and it was not taken."""
    not_before: Instant = 0
    """While it is queued: when it may be claimed again."""
    repeats: int = 0
    """How often it was queued again although nobody knew whether it had gone out."""


class Caught(msgspec.Struct, frozen=True, gc=False):
    """One message as the mailbox caught it."""

    key: str
    customer: CustomerId
    at: Instant
    to: str
    subject: str
    html: str
    text: str
    headers: dict[str, str] = {}
    channel: str = "email"


class Outbox(Protocol):
    """Messages and tasks on their way, each under its deterministic key."""

    def put(self, sends: Sequence[Send]) -> int:
        """Add rows; a key that is there stays as it is. How many were new."""
        ...

    def queued(
        self,
        until: Instant,
        limit: int,
        *,
        passing_by: Sequence[str] = (),
        shards: Collection[int] | None = None,
    ) -> list[Send]:
        """Messages that wait to be claimed and are due at or before `until`.

        A message is due at the later of `decided_at` and `not_before`; who has been due longest
        comes first, ties in the order in which they were put. `passing_by`: channels whose
        messages are left out. `shards` narrows to their customers; None means all.
        """
        ...

    def move(
        self,
        key: str,
        status: str,
        at: Instant,
        *,
        reason: str = "",
        provider_id: str = "",
        not_before: Instant = 0,
        tried: int = 0,
        repeated: int = 0,
    ) -> bool:
        """Carry a send on in its life; False (and nothing written) where it may not go there.

        `status_at`, `reason` and `not_before` are replaced; a provider's id that is known stays
        where none is given; `tried` and `repeated` are added to `attempts` and `repeats`.
        """
        ...

    def put_in_doubt(self, at: Instant, reason: str) -> int:
        """Make every send unknown that may have gone out without this store; how many."""
        ...

    def get(self, key: str) -> Send | None:
        """One send."""
        ...

    def in_state(
        self, status: str, *, limit: int = 1000, shards: Collection[int] | None = None
    ) -> list[Send]:
        """Sends of that status, oldest first."""
        ...

    def of(self, customer: CustomerId) -> list[Send]:
        """The customer's sends, newest first."""
        ...

    def newest(self, *, journey: str = "", limit: int = 100) -> list[Send]:
        """Newest first."""
        ...

    def counts(self) -> dict[tuple[str, str, str], int]:
        """How many per (journey, step, status)."""
        ...

    def by_status(self) -> dict[str, int]:
        """How many per status."""
        ...

    def sent_since(self, since: Instant) -> dict[str, int]:
        """Messages per journey that went out (sent or unknown) with `status_at` >= since."""
        ...

    def all(self) -> Iterator[Send]:
        """Every row, by key: for the invariants."""
        ...


class Mailbox(Protocol):
    """The built-in catcher: what would have gone out, as the customer would see it."""

    def catch(self, message: Caught) -> bool:
        """Keep the message; a key that is there stays as it is, and False."""
        ...

    def get(self, key: str) -> Caught | None:
        """One message."""
        ...

    def newest(self, *, limit: int = 100, customer: CustomerId | None = None) -> list[Caught]:
        """Newest first."""
        ...

    def total(self) -> int:
        """How many were caught."""
        ...
