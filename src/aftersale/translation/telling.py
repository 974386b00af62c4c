"""How does what a sender told become an event, whichever form it was told in?

Pure, as all translations are: the decoded item, the time of its arrival and what is known of the
sender go in; an event comes out, or a refusal that names the place.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from aftersale.events.event import (
    END,
    FIRST,
    MOST_DEPTH,
    Event,
    Ref,
    body_of,
    check_writable,
    is_deeper,
)
from aftersale.events.vocabulary import OURS, standard_type
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant, parse_instant
from aftersale.kernel.money import to_minor
from aftersale.kernel.zones import is_zone

MOST_NAME = 200
"""Letters of the name of an event."""
OWN_SOURCES = frozenset({"aftersale", "pages"})
"""Sources under which this system itself writes; nobody else may."""


class Sender(msgspec.Struct, frozen=True, gc=False):
    """What is known of whoever sends, besides what it tells."""

    shop: str = ""
    """Whose numbers of orders and customers it tells."""
    trusted: bool = False
    """Whether it may tell of consent, of messages and of requests about personal data: those who
    stand in a page may not."""
    source: str = "tracking"
    """In which the sender's ids count, where it names no source itself."""
    currency: str = ""
    """Of amounts that are told without one."""


class Telling(msgspec.Struct, frozen=True, gc=False):
    """An item in our words, before it is checked as a whole."""

    type: str
    id: str
    at: Instant
    told_at: Instant | None = None
    facts: dict[str, Any] = {}
    """Fields of the type's body."""
    refs: tuple[Ref, ...] = ()
    kept: dict[str, Any] = {}
    """What decisions may not see."""
    source: str = ""
    shop: str = ""


def event_of(telling: Telling, sender: Sender) -> Event:
    """The event of a telling; what cannot be one is refused with its place."""
    kind = telling.type
    if kind in OURS:
        raise Refusal(f"{kind} is written by aftersale itself", where="type")
    if not sender.trusted and kind.startswith(("consent.", "message.", "privacy.")):
        raise Refusal(
            f"{kind} may only be told with a secret key",
            where="type",
            hint="an ingestion key may be read in a page by anybody",
        )
    if len(kind) > MOST_NAME:
        raise Refusal(f"the name of the event has more than {MOST_NAME} letters", where="event")
    source = telling.source or sender.source
    if source in OWN_SOURCES:
        raise Refusal(f"{source} is a source of aftersale itself", where="source")
    for where, value in telling.kept.items():
        if is_deeper(value, MOST_DEPTH):
            raise Refusal("the event is nested too deeply", where=where)
    event = Event(
        telling.id,
        source,
        kind,
        telling.at,
        telling.shop or sender.shop,
        body_of(kind, telling.facts),
        telling.refs,
        telling.kept,
        telling.told_at,
    )
    check_writable(event)
    return event


def type_of(name: str, facts: dict[str, Any]) -> str:
    """Our name of a type; the channel that an alias like `email.opened` says goes to the facts."""
    kind, channel = standard_type(name)
    if channel:
        facts["channel"] = channel
    return kind


def instant_told(value: Any) -> Instant | None:
    """The instant of an ISO 8601 text, UTC where it names no zone; None where it is none."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        return parse_instant(value, zone="UTC")
    except Refusal:
        return None


def possible(at: Instant, received_at: Instant) -> Instant:
    """The instant, or that of the arrival where it lies after it, before 1990 or after 9999."""
    return at if FIRST <= at < END and at <= received_at else received_at


def where_they_are(facts: dict[str, Any], zone: Any, locale: Any, country: Any) -> None:
    """Put the customer's zone, language and country to the facts, where they are what they say."""
    if isinstance(zone, str) and is_zone(zone):
        facts["zone"] = zone
    if isinstance(locale, str) and 0 < len(locale) <= 35:
        facts["locale"] = locale
    if isinstance(country, str) and len(country) == 2 and country.isascii() and country.isalpha():
        facts["country"] = country.upper()


def minor(amount: Any, currency: str, where: str) -> int:
    """Minor units of an amount in major units, told as a number or as text."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float, str, Decimal)):
        raise Refusal("it is no amount of money", where=where)
    try:
        return to_minor(amount.strip() if isinstance(amount, str) else amount, currency)
    except Refusal as refusal:
        raise Refusal(refusal.what, where=where) from None


def number_told(value: Any) -> Decimal | None:
    """A number that may be told as text; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):
        return None
    return found if found.is_finite() and abs(found.adjusted()) < 30 else None


def object_told(value: Any, where: str) -> Mapping[str, Any]:
    """An object, an empty one where nothing is told."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(f"{where.rpartition('.')[2]} must be an object", where=where)
    return value
