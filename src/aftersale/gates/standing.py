"""What does a gate look at?"""

import msgspec

from aftersale.customers.profile import Profile
from aftersale.customers.whereabouts import Whereabouts
from aftersale.kernel.instants import SECOND, Instant


class Contact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message that went to the customer."""

    at: Instant
    channel: str
    purpose: str
    journey: str
    helpful: bool
    version: int = 0
    step: int = 0
    """Index in the graph, so that a late event can be held against the step's `unless`."""
    order: str = ""
    product: str = ""
    parcel: str = ""
    started_at: Instant = 0
    came: bool = False


class Intent(msgspec.Struct, frozen=True, gc=False):
    """A message that a journey would like to send."""

    journey: str
    lineage: str
    version: int
    run: str
    step: str
    visit: int
    template: str
    channel: str
    purpose: str
    at: Instant
    """Nominal instant at which it fell due."""
    useful_until: Instant
    value: float = 0.0
    benefit: str = ""
    """information, experience, recommendation or nothing."""
    evidence: bool = False
    """Whether something shows that it helps this customer."""
    helpful: bool = False
    product: str = ""
    order: str = ""
    shop: str = ""
    begun_at: Instant = 0
    """When the run began: tells two runs about one thing apart."""

    def key(self, customer: int) -> str:
        """The name of this message for ever: unique in the store, and at the provider."""
        run = f"{self.run}@{self.begun_at // SECOND}"
        names = (self.journey, self.lineage, str(customer), run, self.step)
        return ":".join((*names, str(self.visit), self.channel))


def is_key(message: str) -> bool:
    """Whether a message id has the form of our keys."""
    return message.count(":") >= 6 and "@" in message


class Standing(msgspec.Struct, frozen=True):
    """The customer as gates see it."""

    profile: Profile
    contacts: list[Contact]
    """Ascending by instant."""
    whereabouts: Whereabouts
