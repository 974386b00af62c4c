"""What does whoever watches over an installation get to know?

Nothing of it names a person: no address, no subject, no key of a message.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from aftersale.delivery.telling import Settled
from aftersale.kernel.instants import Duration, Instant
from aftersale.turn.ports import Turned

OPERATIONAL, LEASE_LOST, STALE_STATE, VERIFICATION = TROUBLES = (
    "operational",
    "lease-lost",
    "stale-state",
    "verification",
)
"""What can break and is tried again."""

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of the text format in which Prometheus reads metrics."""


class Telemetry(Protocol):
    """Told by a worker what it did and what went wrong. It may not fail and not wait."""

    def turned(self, turned: Turned, seconds: float) -> None:
        """A turn was committed."""
        ...

    def settled(self, sends: Sequence[Settled], seconds: float) -> None:
        """A round of sending that had something to do has ended; what became of each send."""
        ...

    def recovered(self, sends: int) -> None:
        """So many sends were found claimed by a worker that is gone, and settled."""
        ...

    def held(self, shards: Collection[int]) -> None:
        """The worker now holds these shards."""
        ...

    def trouble(self, kind: str, what: str) -> None:
        """Something broke and is tried again; `kind` is one of `TROUBLES`."""
        ...

    def alive(self) -> None:
        """The loop that decides came round."""
        ...

    def verified(self, violations: Mapping[str, int], seconds: float) -> None:
        """The sentences that must always hold were checked: rule → violations."""
        ...


class Vitals(msgspec.Struct, frozen=True):
    """How a store stands, in a few numbers."""

    now: Instant
    """Of the store's clock, when they were taken."""
    mode: str
    programme: int
    """The version in force, 0 where there is none."""
    unread: int
    """Events that no turn has taken."""
    oldest_unread: Duration
    """How long the oldest of them has waited, 0 where there is none."""
    overdue: Duration
    """For how long the oldest alarm has been due, 0 where none is."""
    outbox: dict[str, int]
    """Status → sends, of every status."""
    oldest_due: Duration
    """For how long the oldest message that may go has been due, 0 where there is none."""
    resting: tuple[str, ...]
    """Channels that take nothing at the moment."""
    tripped: int
    """Journeys that the breaker stopped."""
    verified_at: Instant | None
    """When the sentences that must always hold were last checked, on the machine's clock."""
    violations: dict[str, int]
    """Rule → violations found then."""
