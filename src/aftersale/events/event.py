"""What does one event look like inside, and how does it get there from the sender's words?"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, get_type_hints

import msgspec

from aftersale.events.vocabulary import BODIES, OURS, Body, Other, encode_body, standard_type
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant, parse_instant
from aftersale.kernel.money import to_minor
from aftersale.kernel.zones import is_zone


class Ref(msgspec.Struct, frozen=True, array_like=True, gc=False, order=True):
    """An id by which somebody outside knows a customer."""

    kind: str
    """customer (the shop's own id), email, phone, order, anonymous or parcel."""
    value: str
    """Shop ids carry their shop in front: `main/4711`."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened, in our words, with what names a person set apart."""

    id: str
    source: str
    type: str
    at: Instant
    shop: str
    body: Body
    refs: tuple[Ref, ...] = ()
    personal: dict[str, Any] = {}
    """What decisions may not see: names, addresses, free text, undescribed fields."""
    told_at: Instant | None = None
    """The time that the sender wrote, where `at` is not it: 0 where it wrote none."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event at its place in the ledger."""

    position: int
    customer: int
    """Our id; 0 where nobody can be known (a guest) or everybody is meant."""
    type: str
    at: Instant
    """When it happened, as the sender says; never after `received_at`."""
    received_at: Instant
    body: Body
    shop: str = ""
    source: str = ""
    id: str = ""
    history: bool = False
    """Known before the engine first ran, or imported as the past: it starts nothing."""


MOST_DEPTH = 32
"""Lists and objects within each other, in what a sender may tell."""
LEAST_DIGITS = 5
"""Of a phone number that names one person."""
LEAST_TRACKING = 8
"""Signs of a tracking number that names one parcel."""

FIRST: Instant = 631_152_000_000_000
END: Instant = 253_402_300_800_000_000
"""Times from 1990 to 9999: a smaller number counts seconds and not microseconds."""

_PARTS = {
    "id": "id",
    "source": "source",
    "type": "type",
    "shop": "shop",
    "body": "data",
    "refs": "customer",
    "personal": "data",
}
"""Part of an event → the field that it comes from."""
_MISSING = "Object missing required field"
_pack = msgspec.msgpack.Encoder().encode

_INSTANTS = frozenset({"promised_at", "changed_at", "renews_at"})
"""Fields of bodies that are instants and may be told as text."""
_SPELLINGS = {"e-mail": "email", "mail": "email", "text": "sms"}
_ADDRESSES = {"email", "phone"}
_TELLS_ADDRESS = frozenset({"order.completed", "customer.updated", "consent.given"})
"""Types that tell where the customer is to be reached from now on."""

_SHORT_CUSTOMER = ("zone", "locale", "country")
_NOT_PERSONAL = frozenset({*_SHORT_CUSTOMER, "id", "anonymous_id"})


def read_event(raw: Mapping[str, Any], *, source: str = "", zone: str = "") -> Event:
    """The event of one decoded JSON object; what cannot be one is refused with its field.

    `source` and `zone` serve where the object names none. See docs/reference/events.md.
    """
    for where, value in raw.items():
        if is_deeper(value, MOST_DEPTH):
            raise Refusal("the event is nested too deeply", where=where)
    name = raw.get("type")
    if not isinstance(name, str) or not name:
        raise Refusal("the event has no type", where="type")
    kind, channel = standard_type(name)
    if kind in OURS:
        raise Refusal(f"{kind} is written by aftersale itself", where="type")
    event_id = word_of(raw.get("id"), "id")
    if not event_id:
        raise Refusal("the event has no id", where="id", hint="give each event an id that stays")
    at = _instant(raw.get("at"), zone, "at")
    person = raw.get("customer") or {}
    data = raw.get("data") or {}
    for where, part in (("customer", person), ("data", data)):
        if not isinstance(part, Mapping):
            raise Refusal(f"{where} must be an object", where=where)
    shop = word_of(raw.get("shop"), "shop")
    facts = {name: value for name, value in data.items() if value is not None}
    if channel:
        facts["channel"] = channel
    body_type = BODIES.get(kind, Other)
    known = set(body_type.__struct_fields__)
    facts.update({k: word_of(person[k], f"customer.{k}") for k in _SHORT_CUSTOMER if person.get(k)})
    personal = {k: v for k, v in facts.items() if k not in known}
    personal.update({k: v for k, v in person.items() if k not in _NOT_PERSONAL})
    if kind not in _TELLS_ADDRESS and personal.keys() <= _ADDRESSES:
        # The address only says who is meant; the identity table has it already.
        personal = {}
    body = body_of(kind, {k: v for k, v in facts.items() if k in known})
    refs = refs_of(person, data, shop)
    told_source = word_of(raw.get("source"), "source") or source
    event = Event(event_id, told_source, kind, at, shop, body, refs, personal)
    check_writable(event)
    return event


def refs_of(person: Mapping[str, Any], data: Mapping[str, Any], shop: str) -> tuple[Ref, ...]:
    """The ids that name the customer, the most telling first."""
    found = []
    if own := word_of(person.get("id"), "customer.id"):
        found.append(Ref("customer", f"{shop}/{own}"))
    if email := word_of(person.get("email"), "customer.email").strip().lower():
        found.append(Ref("email", email))
    if phone := digits(word_of(person.get("phone"), "customer.phone")):
        found.append(Ref("phone", phone))
    order = data.get("order")
    if isinstance(order, (str, int)) and (number := word_of(order, "data.order")):
        found.append(Ref("order", f"{shop}/{number}"))
    if anonymous := word_of(person.get("anonymous_id"), "customer.anonymous_id"):
        found.append(Ref("anonymous", anonymous))
    tracking = data.get("tracking")
    if isinstance(tracking, str) and (number := "".join(tracking.split()).upper()):
        found.append(Ref("parcel", number))
    return tuple(found)


def digits(phone: str) -> str:
    """A phone number without what people write between its digits."""
    return "".join(sign for sign in phone if sign in "+0123456789")


def is_telling(ref: Ref) -> bool:
    """Whether it can name one person: `n/a` is no address, `+` no number, however often given."""
    match ref.kind:
        case "email":
            name, _, host = ref.value.partition("@")
            return bool(name and host)
        case "phone":
            return len(ref.value) >= LEAST_DIGITS
        case "parcel":
            return len(ref.value) >= LEAST_TRACKING
        case _:
            return bool(ref.value.rpartition("/")[2])


def content_digest(event: Event, payload: bytes | None = None) -> bytes:
    """What tells two tellings of one event id apart: type, instant, shop and facts.

    The instant is the sender's own: what we make of it differs with the time of arrival.
    `payload` is the encoded body, where the caller has it already.
    """
    body = encode_body(event.body) if payload is None else payload
    at = event.at if event.told_at is None else event.told_at
    head = f"{event.type}\x1f{at}\x1f{event.shop}\x1f"
    return blake2b(head.encode("utf-8", "surrogatepass") + body, digest_size=8).digest()


def word_of(value: Any, where: str) -> str:
    """Text as it is, a whole number written out, nothing as empty text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= 64:
        return str(value)
    raise Refusal(f"{where} must be text", where=where)


def is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects lie in each other more than `levels` deep."""
    if isinstance(value, dict):
        inner: Iterable[Any] = value.values()
    elif isinstance(value, (list, tuple)):
        inner = value
    else:
        return False
    if levels == 0:
        return True
    # Most values are neither, and are passed by without a call.
    return any(
        isinstance(item, (dict, list, tuple)) and is_deeper(item, levels - 1) for item in inner
    )


def check_writable(event: Event) -> None:
    """Refuse what the ledger could not write: half a character, a number of many digits."""
    try:
        _pack(event)
    except (UnicodeEncodeError, OverflowError):
        where = next((name for name in _PARTS if not _is_writable(getattr(event, name))), "")
        raise Refusal(
            "the event holds half a character or a number beyond 64 bits",
            where=_PARTS.get(where, where),
        ) from None


def _is_writable(value: Any) -> bool:
    try:
        _pack(value)
    except (UnicodeEncodeError, OverflowError):
        return False
    return True


def _instant(value: Any, zone: str, where: str) -> Instant:
    if isinstance(value, bool) or value is None:
        raise Refusal("the event has no time", where=where)
    try:
        found = value if isinstance(value, int) else parse_instant(str(value), zone=zone)
    except Refusal as refusal:
        raise Refusal(refusal.what, where=where, hint=refusal.hint) from None
    if not FIRST <= found < END:
        raise Refusal(
            "the time lies before 1990 or after 9999",
            where=where,
            hint="a number counts microseconds since 1970-01-01 UTC; text is clearer",
        )
    return found


def body_of(kind: str, facts: dict[str, Any]) -> Body:
    """The body of the type from its facts, which are changed; refused by the field that is wrong.

    Amounts: whole numbers are minor units, texts and other numbers major units.
    """
    body_type = BODIES.get(kind, Other)
    if facts.get("zone") and not is_zone(str(facts["zone"])):
        facts.pop("zone")
    for name in _INSTANTS & facts.keys():
        facts[name] = _instant(facts[name], str(facts.get("zone") or "UTC"), f"data.{name}")
    for name in ("channel", "purpose"):
        if isinstance(facts.get(name), str):
            # A refusal that is spelled otherwise must not pass by the permission it takes back.
            word = facts[name].strip().lower()
            facts[name] = _SPELLINGS.get(word, word)
    for name in _texts(body_type):
        if isinstance(facts.get(name), int) and not isinstance(facts[name], bool):
            facts[name] = str(facts[name])
    currency = str(facts.get("currency") or "")
    for money in ("total", "amount", "discount", "shipping"):
        if money in facts:
            facts[money] = _minor(facts[money], currency, f"data.{money}")
    if isinstance(facts.get("lines"), (list, tuple)):
        facts["lines"] = [
            _line(line, currency, f"data.lines[{n}]") for n, line in enumerate(facts["lines"])
        ]
    try:
        return msgspec.convert(facts, body_type, strict=False)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$.")
        where = where.rstrip("`")
        if text.startswith(_MISSING):
            where = text.removeprefix(_MISSING).strip(" `")
        raise Refusal(f"{kind}: {text}", where=f"data.{where}" if where else "data") from None


@lru_cache(maxsize=64)
def _texts(body_type: type[Body]) -> tuple[str, ...]:
    """Fields that are texts: shops often send numbers there, for instance of orders."""
    return tuple(name for name, hint in get_type_hints(body_type).items() if hint is str)


def _minor(amount: Any, currency: str, where: str) -> Any:
    if not isinstance(amount, (str, float)):
        return amount
    try:
        return to_minor(amount, currency)
    except Refusal as refusal:
        raise Refusal(refusal.what, where=where) from None


def _line(line: Any, currency: str, where: str) -> Any:
    if not isinstance(line, Mapping):
        return line
    return [
        word_of(line.get("product"), f"{where}.product"),
        line.get("quantity", 1),
        _minor(line.get("amount", 0), currency, f"{where}.amount"),
    ]
