"""What is a store as a whole?

A store hands out transactions. Inside one, each stage finds its own part; nothing is written
before the transaction commits, everything is after it.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from aftersale.delivery.ports import Mailbox, Outbox
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import Identities, Ledger, PersonalData
from aftersale.ledger.requests import Requests
from aftersale.programme.api_keys import ApiKeys
from aftersale.turn.ports import Decisions, Journal, States
from aftersale.turn.shards import Lease, Shards


class Deployment(msgspec.Struct, frozen=True, gc=False):
    """One version of the merchant's folder, complete."""

    version: int
    digest: str
    deployed_at: Instant
    files: dict[str, str]
    """Path inside the folder → text."""
    note: str = ""


class Deployments(Protocol):
    """Every version of the programme that was ever in force."""

    def add(self, deployment: Deployment) -> None:
        """Keep one more version."""
        ...

    def get(self, version: int) -> Deployment | None:
        """That version; None where there is none."""
        ...

    def latest(self) -> Deployment | None:
        """The version in force; None before the first."""
        ...

    def history(self) -> list[Deployment]:
        """Newest first, without the files."""
        ...


class Meta(Protocol):
    """Small named values of the store: mode, clock, secrets, progress of imports."""

    def get(self, name: str, *, hold: bool = False) -> Any:
        """The value (any JSON-like value), None where there is none.

        `hold`: nobody else reads it to change it until this transaction ends.
        """
        ...

    def set(self, name: str, value: Any) -> None:
        """Keep the value under that name, in place of an older one."""
        ...


class Transaction(Protocol):
    """The store's parts inside one transaction."""

    @property
    def ledger(self) -> Ledger:
        """What happened."""
        ...

    @property
    def identities(self) -> Identities:
        """Who is meant by an id from outside."""
        ...

    @property
    def personal(self) -> PersonalData:
        """What names a person."""
        ...

    @property
    def states(self) -> States:
        """Where each customer stands."""
        ...

    @property
    def shards(self) -> Shards:
        """Who works on which customers, and how far each share has come."""
        ...

    @property
    def journal(self) -> Journal:
        """Which turns were taken."""
        ...

    @property
    def decisions(self) -> Decisions:
        """What was decided, and why."""
        ...

    @property
    def outbox(self) -> Outbox:
        """What is to be sent, and what became of it."""
        ...

    @property
    def mailbox(self) -> Mailbox:
        """What a rehearsal caught."""
        ...

    @property
    def deployments(self) -> Deployments:
        """The versions of the programme."""
        ...

    @property
    def meta(self) -> Meta:
        """Small named values."""
        ...

    @property
    def api_keys(self) -> ApiKeys:
        """The keys of programs."""
        ...

    @property
    def requests(self) -> Requests:
        """What providers sent, raw."""
        ...


class Store(Protocol):
    """One merchant's store."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that may write; commits at the end of the block, undone on an error.

        One at a time in the whole store; others wait, then Operational.
        """
        ...

    def work(self, lease: Lease | None = None) -> AbstractContextManager[Transaction]:
        """A transaction that carries the customers of the lease's shards on; None: of all.

        One at a time for each shard, beside `write` and the work on other shards where the store
        can. LeaseLost where somebody else holds one of the shards by now. It may not append to
        the ledger.
        """
        ...

    def lease(self, holder: str, seconds: float) -> Lease:
        """Say that this worker lives, and hold a fair share of the shards for so many seconds.

        Leases that are held are renewed, free ones and those that ran out are taken, what is
        above a fair share is given up. The clock is that of the store, not of the worker.
        """
        ...

    def renew(self, lease: Lease, seconds: float) -> None:
        """Hold for so many seconds more what is still held of the lease."""
        ...

    def release(self, holder: str) -> None:
        """Give up everything: this worker ends."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """A consistent view that does not block writers; writing in it is an error."""
        ...

    def backup(self, target: Path) -> dict[str, Any]:
        """Copy the whole store to a file while it is in use; sizes and last position."""
        ...

    def describe(self, *, rows: bool = True) -> dict[str, Any]:
        """Schema version, bytes on disk and, as that takes a while, `rows` per table if wanted."""
        ...

    def close(self) -> None:
        """Let go of files and connections; nothing may be asked afterwards."""
        ...
