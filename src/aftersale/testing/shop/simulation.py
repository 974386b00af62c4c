"""How does a whole shop come out of one seed?"""

from collections import Counter
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

import msgspec

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant
from aftersale.testing.shop.browsing import tell_stranger, tell_visits
from aftersale.testing.shop.catalogue import products_csv
from aftersale.testing.shop.contracts import tell_contract
from aftersale.testing.shop.diary import Diary, Happening
from aftersale.testing.shop.newsletter import campaigns, tell_newsletter
from aftersale.testing.shop.orders import tell_order
from aftersale.testing.shop.people import Person, person
from aftersale.testing.shop.purchases import Life, life
from aftersale.testing.shop.reactions import tell_reactions
from aftersale.testing.shop.stream import Stream

_STRANGERS = 8
"""One visitor who stays unknown to so many customers."""


class Truth(msgspec.Struct, frozen=True, gc=False):
    """What only the simulation knows of a customer; no event says it."""

    customer: str
    """The shop's id, known to its events only where `account`."""
    email: str
    account: bool
    type: str
    """gift, refill, bargain, loyal or wholesale."""
    country: str
    zone: str
    rate: float
    """Orders a year while active, averaged over the seasons."""
    leave_chance: float
    """Chance to leave after an order, before bad experiences."""
    staple: str
    orders: int
    first_order_at: Instant
    dropped_out_at: Instant | None
    """The last order of those who left; None for those who stay."""
    next_order_at: Instant | None
    """The first order after the end of the simulated time; None for those who left."""
    consent: str
    mood: float


class Shop:
    """A simulated shop: its events, its catalogue, and the truth behind them."""

    def __init__(self, seed: int, happenings: list[Happening], truth: Mapping[str, Truth]) -> None:
        self.seed = seed
        self.truth = truth
        self.summary: Mapping[str, int] = dict(sorted(Counter(h.type for h in happenings).items()))
        self._happenings = happenings

    def events(self) -> Iterator[tuple[Instant, dict[str, Any]]]:
        """Each event as it arrives: when, and the inbound JSON object. Ties by customer.

        The objects are new at each call down to the values of `data`; leave those as they are.
        """
        for happening in self._happenings:
            yield happening.arrived_at, happening.raw()

    def products_csv(self) -> str:
        """The catalogue as the merchant's file."""
        return products_csv()


def simulate(*, seed: int, customers: int, start: Instant, end: Instant) -> Shop:
    """The shop that opened at `start`, with all that arrived before `end`.

    A function of its arguments, the same on every machine. A customer's fate does not depend
    on how many others there are. Refuses an empty span and a negative number.
    """
    if end <= start or customers < 0:
        raise Refusal("a shop needs a start before its end and no fewer than 0 customers")
    happenings: list[Happening] = []
    truth: dict[str, Truth] = {}
    letters = campaigns(start, end)
    for number in range(customers):
        someone = person(seed, number, start, end)
        lived = life(seed, someone, end)
        diary = Diary(Stream(seed, number, "arrivals"), (start, end), happenings)
        reactions = Stream(seed, number, "reactions")
        for order in lived.orders:
            tell_order(reactions, someone, order, diary)
            tell_reactions(reactions, someone, order, diary)
        tell_visits(Stream(seed, number, "visits"), someone, lived, diary=diary, end=end)
        mails = Stream(seed, number, "newsletter")
        tell_newsletter(mails, someone, lived, diary=diary, letters=letters)
        signed = Diary(Stream(seed, number, "contract arrivals"), (start, end), happenings)
        contract = Stream(seed, number, "contract")
        tell_contract(contract, someone, lived, diary=signed, end=end)
        truth[someone.id] = _truth(someone, lived)
    for number in range(customers // _STRANGERS):
        stream = Stream(seed, number, "stranger")
        diary = Diary(Stream(seed, number, "stranger arrivals"), (start, end), happenings)
        tell_stranger(stream, number, diary=diary, start=start, end=end)
    happenings.sort(key=attrgetter("arrived_at"))
    return Shop(seed, happenings, truth)


def _truth(someone: Person, lived: Life) -> Truth:
    return Truth(
        customer=someone.id,
        email=someone.email,
        account=len(lived.orders) > someone.account_from,
        type=someone.type.name,
        country=someone.place.country,
        zone=someone.place.zone,
        rate=someone.rate,
        leave_chance=someone.leave_chance,
        staple=someone.staple.id,
        orders=len(lived.orders),
        first_order_at=someone.first_order_at,
        dropped_out_at=lived.left_at,
        next_order_at=lived.next_order_at,
        consent=someone.consent,
        mood=someone.mood,
    )
