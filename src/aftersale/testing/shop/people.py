"""Who buys at the Lindenhof, how often, and how easily do they leave?"""

import math

import msgspec

from aftersale.catalogue.product import Product
from aftersale.kernel.instants import DAY, Instant
from aftersale.testing.shop.catalogue import CONSUMABLES, PRODUCTS
from aftersale.testing.shop.moments import EVERYDAY, GIFTS, SALES, YEAR, leisure, month
from aftersale.testing.shop.stream import Stream


class Type(msgspec.Struct, frozen=True, gc=False):
    """A way to be a customer."""

    name: str
    share: float
    """How many of a hundred newcomers are like that."""
    rate: float
    """Mean orders a year while active; refillers have a rhythm of their own instead."""
    spread: int
    """Shape of the gamma distribution of rates: the smaller, the more unlike each other."""
    leaving: tuple[int, int]
    """Beta distribution of the chance to leave after an order."""
    months: tuple[float, ...]
    lines: tuple[float, ...]
    """Weights of orders with one, two, three and four lines."""
    coupons: float
    guests: float
    visits: float
    """Visits a month that end without an order."""
    subscribes: float


TYPES = (
    Type("gift", 29, 0.7, 2, (8, 2), GIFTS, (70, 25, 5, 0), 0.15, 0.45, 0.2, 0.35),
    Type("refill", 35, 0.0, 1, (1, 5), EVERYDAY, (52, 33, 12, 3), 0.1, 0.08, 0.6, 0.62),
    Type("bargain", 20, 2.4, 2, (2, 6), SALES, (45, 30, 17, 8), 0.8, 0.15, 1.4, 0.8),
    Type("loyal", 15, 5.0, 4, (1, 13), EVERYDAY, (30, 35, 22, 13), 0.2, 0.03, 1.2, 0.75),
    Type("wholesale", 1, 9.0, 6, (1, 20), EVERYDAY, (20, 40, 30, 10), 0.0, 0.0, 0.5, 0.5),
)
REFILL = TYPES[1]


class Place(msgspec.Struct, frozen=True, gc=False):
    """A town that parcels go to."""

    country: str
    zone: str
    locale: str
    city: str
    postcode: str


PLACES = (
    Place("DE", "Europe/Berlin", "de-DE", "Berlin", "10115"),
    Place("DE", "Europe/Berlin", "de-DE", "Leipzig", "04109"),
    Place("DE", "Europe/Berlin", "de-DE", "Freiburg", "79098"),
    Place("DE", "Europe/Berlin", "en-DE", "Hamburg", "20095"),
    Place("AT", "Europe/Vienna", "de-AT", "Graz", "8010"),
    Place("CH", "Europe/Zurich", "de-CH", "Bern", "3011"),
    Place("GB", "Europe/London", "en-GB", "Leeds", "LS1 4AP"),
    Place("US", "America/New_York", "en-US", "Albany", "12207"),
    Place("US", "America/Chicago", "en-US", "Madison", "53703"),
    Place("US", "America/Los_Angeles", "en-US", "Portland", "97204"),
    Place("BR", "America/Sao_Paulo", "pt-BR", "Curitiba", "80010"),
    Place("BR", "America/Manaus", "pt-BR", "Manaus", "69005"),
    Place("JP", "Asia/Tokyo", "ja-JP", "Sendai", "980-0811"),
)
_PLACE_WEIGHTS = (20, 14, 12, 6, 11, 9, 10, 4, 3, 3, 3, 1, 4)

_FIRST = {
    "de": (
        "Anna Lukas Miriam Jonas Greta Emil Frieda Anton Ida Oskar Lena Felix Ruth "
        "Moritz Käthe Jörg"
    ),
    "en": (
        "Alice Henry Grace Oliver Nora Samuel Ivy Walter Rose Edwin Martha Hugo "
        "Esther Miles June Clara"
    ),
    "pt": ("Beatriz Caio Helena Rafael Luiza Mateus Tereza Davi Marina Otto Joana Bruno"),
    "ja": ("Aiko Haruto Yui Kenta Mio Sora Hana Daichi Rin Takumi"),
}
_LAST = {
    "de": (
        "Birkner Thalmann Moosbach Ellerbrock Kornfeld Weidner Sandhagen Rosental "
        "Grünwald Hollerbach Ahrenberg Buchleitner Steinegg Wiesinger Lohmüller "
        "Quandt"
    ),
    "en": (
        "Ashdown Fairleigh Kirkwood Pemble Thornby Wexcombe Marlowe Oakden Hartfield "
        "Brindle Coldstream Langmoor Stanbury Whitlow"
    ),
    "pt": ("Figueira Moraes Valadares Carvalhal Pinheiral Monteverde Sobral Limoeiro"),
    "ja": ("Aokawa Morinaga Kawabe Hoshino Takemori Shirase Nakazato"),
}
_STREETS = (
    "Lindenweg",
    "Mill Lane",
    "Am Anger",
    "Station Road",
    "Rua das Flores",
    "Gartenstr.",
)
_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


class Person(msgspec.Struct, frozen=True, gc=False):
    """A customer with everything that only the simulation knows."""

    number: int
    id: str
    name: str
    email: str
    type: Type
    place: Place
    street: str
    zone_told: bool
    """Whether the shop knows the zone; otherwise it has to be guessed."""
    cookie: str
    """The anonymous id in the browser; empty for those who refused to be counted."""
    account_from: int
    """The first order (from 0) that is placed with an account; a guest before."""
    rate: float
    """Orders a year while active."""
    leave_chance: float
    staple: Product
    units: int
    mood: float
    """How easily pleased, 0 to 1."""
    consent: str
    """The basis on which the newsletter is sent; empty where it is not."""
    opens: float
    prefetched: bool
    """Whether the mailbox opens everything by itself."""
    first_order_at: Instant
    fates: tuple[tuple[int, str], ...] = ()
    """What is certain to happen with an order, by its number from 0."""

    @property
    def language(self) -> str:
        """The language of what this person writes: German or English."""
        return "de" if self.place.locale.startswith("de") else "en"

    def fated(self, order: int, fate: str) -> bool:
        """Whether that is certain to happen with the order."""
        return (order, fate) in self.fates

    def known(self, *, account: bool) -> dict[str, str]:
        """How the shop names this person in its events."""
        told = {"email": self.email, "name": self.name}
        if account:
            told["id"] = self.id
        told["locale"] = self.place.locale
        told["country"] = self.place.country
        if self.zone_told:
            told["zone"] = self.place.zone
        return told


def person(seed: int, number: int, start: Instant, end: Instant) -> Person:
    """The person of that number: 0 is Ada, 1 is Ben, the others are drawn."""
    stream = Stream(seed, number, "person")
    kind = stream.weighted(TYPES, [each.share for each in TYPES])
    place = stream.weighted(PLACES, _PLACE_WEIGHTS)
    tongue = place.locale[:2]
    first = stream.pick(_FIRST[tongue].split())
    last = stream.pick(_LAST[tongue].split())
    address = f"{first}.{last}{number}".lower().translate(_PLAIN)
    staple = stream.favour(CONSUMABLES)
    units = stream.weighted((1, 2, 3, 4), (30, 40, 20, 10))
    pace = 0.7 + 0.25 * (stream.real() + stream.real() + stream.real())
    rate = kind.rate * stream.gamma(kind.spread) + 0.05
    if kind is REFILL:
        rate = YEAR / DAY / max(staple.supply_days * units * pace, 10)
    drawn = Person(
        number=number,
        id=f"c{number:05d}",
        name=f"{first} {last}",
        email=f"{address}@{stream.pick(('example.com', 'example.org'))}",
        type=kind,
        place=place,
        street=f"{stream.pick(_STREETS)} {stream.between(1, 90)}",
        zone_told=stream.chance(0.4),
        cookie=f"anon-{number:05d}" if stream.chance(0.35) else "",
        account_from=_account_from(stream, kind),
        rate=rate,
        leave_chance=stream.beta(*kind.leaving),
        staple=staple,
        units=units,
        mood=0.45 + 0.25 * (stream.real() + stream.real()),
        consent=_consent(stream, kind),
        opens=stream.beta(2, 4),
        prefetched=stream.chance(0.2),
        first_order_at=_arrival(stream, kind, place.zone, start=start, end=end),
    )
    return _named(drawn, start, end) if number < 2 else drawn


def _account_from(stream: Stream, kind: Type) -> int:
    if stream.chance(kind.guests):
        return 999
    return 1 if stream.chance(0.1) else 0


def _consent(stream: Stream, kind: Type) -> str:
    if not stream.chance(kind.subscribes):
        return ""
    return "double-opt-in" if stream.chance(0.45) else "soft-opt-in"


def _arrival(stream: Stream, kind: Type, zone: str, *, start: Instant, end: Instant) -> Instant:
    """A first order: three times as many newcomers at the end as in the beginning, by season."""
    span = max(end - start - 7 * DAY, 0)
    peak = max(kind.months)
    while True:
        share = (math.sqrt(1 + 8 * stream.real()) - 1) / 2
        moment = start + int(share * span)
        if stream.chance(kind.months[month(moment)] / peak):
            return leisure(stream, moment, zone)


def _named(drawn: Person, start: Instant, end: Instant) -> Person:
    """Ada and Ben: the same coffee, the same rhythm, and then their ways part."""
    ada = drawn.number == 0
    place = PLACES[0 if ada else 6]
    staple = PRODUCTS["coffee-morgen"]
    after = start + min((9 if ada else 23) * DAY, (end - start) // 2)
    return msgspec.structs.replace(
        drawn,
        id="ada" if ada else "ben",
        name="Ada Lovelace" if ada else "Ben Thornby",
        email="ada.lovelace17@example.com" if ada else "ben.thornby3@example.org",
        type=REFILL,
        place=place,
        street="Lindenweg 17" if ada else "Mill Lane 3",
        zone_told=True,
        cookie="anon-ada" if ada else "anon-ben",
        account_from=0,
        rate=YEAR / DAY / 42,
        leave_chance=0.0,
        staple=staple,
        units=2,
        mood=0.85 if ada else 0.6,
        consent="double-opt-in" if ada else "soft-opt-in",
        opens=0.7 if ada else 0.3,
        prefetched=False,
        first_order_at=leisure(Stream(drawn.email, "first"), after, place.zone),
        fates=_ADA if ada else _BEN,
    )


_ADA = (
    (0, "smooth"), (0, "reviewed"), (1, "smooth"), (2, "late"), (2, "asked"), (3, "grinder"),
    (3, "smooth"), (4, "reviewed"), (5, "kettle"), (5, "returned"), (7, "surveyed"),
)  # fmt: skip
_BEN = (
    (0, "smooth"), (1, "reviewed"), (3, "unsubscribed"), (12, "late"), (12, "asked"),
    (12, "leaves"),
)  # fmt: skip
