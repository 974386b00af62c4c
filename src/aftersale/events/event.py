"""What does one event look like inside, and how does it get there from the sender's words?"""

from collections.abc import Mapping
from typing import Any

import msgspec

from aftersale.events.vocabulary import BODIES, OURS, Body, Other, encode_body, standard_type
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import digest16
from aftersale.kernel.instants import Instant, parse_instant
from aftersale.kernel.money import to_minor
from aftersale.kernel.zones import is_zone


class Ref(msgspec.Struct, frozen=True, array_like=True, gc=False, order=True):
    """An id by which somebody outside knows a customer."""

    kind: str
    """customer (the shop's own id), email, phone, order or anonymous."""
    value: str
    """Shop ids carry their shop in front: `main/4711`."""


STRENGTH = ("customer", "email", "phone", "order", "anonymous")
"""Kinds of id, the most telling first: where two disagree, the earlier wins."""


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


_ADDRESSES = {"email", "phone"}
_TELLS_ADDRESS = frozenset({"order.completed", "customer.updated", "consent.given"})
"""Types that tell where the customer is to be reached from now on."""

_SHORT_CUSTOMER = ("zone", "locale", "country")
_NOT_PERSONAL = frozenset({*_SHORT_CUSTOMER, "id", "anonymous_id"})


def read_event(raw: Mapping[str, Any], *, source: str = "", zone: str = "") -> Event:
    """The event of one decoded JSON object; what cannot be one is refused with its field.

    `source` and `zone` serve where the object names none. See docs/reference/events.md.
    """
    name = raw.get("type")
    if not isinstance(name, str) or not name:
        raise Refusal("the event has no type", where="type")
    kind, channel = standard_type(name)
    if kind in OURS:
        raise Refusal(f"{kind} is written by aftersale itself", where="type")
    event_id = raw.get("id")
    if not isinstance(event_id, (str, int)) or event_id == "":
        raise Refusal("the event has no id", where="id", hint="give each event an id that stays")
    at = _instant(raw.get("at"), zone)
    person = raw.get("customer") or {}
    data = raw.get("data") or {}
    if not isinstance(person, Mapping) or not isinstance(data, Mapping):
        raise Refusal("customer and data must be objects", where="customer")
    shop = str(raw.get("shop") or "")
    facts = dict(data)
    if channel:
        facts.setdefault("channel", channel)
    body_type = BODIES.get(kind, Other)
    known = set(body_type.__struct_fields__)
    facts.update({k: person[k] for k in _SHORT_CUSTOMER if person.get(k)})
    personal = {k: v for k, v in facts.items() if k not in known}
    personal.update({k: v for k, v in person.items() if k not in _NOT_PERSONAL})
    if kind not in _TELLS_ADDRESS and personal.keys() <= _ADDRESSES:
        # The address only says who is meant; the identity table has it already.
        personal = {}
    body = _body(body_type, {k: v for k, v in facts.items() if k in known}, kind)
    return Event(
        str(event_id),
        str(raw.get("source") or source),
        kind,
        at,
        shop,
        body,
        refs_of(person, data, shop),
        personal,
    )


def refs_of(person: Mapping[str, Any], data: Mapping[str, Any], shop: str) -> tuple[Ref, ...]:
    """The ids that name the customer, the most telling first."""
    found = []
    if person.get("id") not in {None, ""}:
        found.append(Ref("customer", f"{shop}/{person['id']}"))
    if person.get("email"):
        found.append(Ref("email", str(person["email"]).strip().lower()))
    if person.get("phone"):
        found.append(Ref("phone", "".join(c for c in str(person["phone"]) if c in "+0123456789")))
    if data.get("order") not in {None, ""}:
        found.append(Ref("order", f"{shop}/{data['order']}"))
    if person.get("anonymous_id"):
        found.append(Ref("anonymous", str(person["anonymous_id"])))
    return tuple(found)


def content_digest(event: Event) -> bytes:
    """What tells two tellings of one event id apart: type, instant, shop and facts."""
    return digest16(event.type, str(event.at), event.shop, encode_body(event.body))[:8]


def _instant(value: Any, zone: str) -> Instant:
    if isinstance(value, bool) or value is None:
        raise Refusal("the event has no time", where="at")
    if isinstance(value, int):
        return value
    try:
        return parse_instant(str(value), zone=zone)
    except Refusal as refusal:
        raise Refusal(refusal.what, where="at", hint=refusal.hint) from None


def _body(body_type: type[Body], facts: dict[str, Any], kind: str) -> Body:
    if facts.get("zone") and not is_zone(str(facts["zone"])):
        facts.pop("zone")
    if isinstance(facts.get("promised_at"), str):
        facts["promised_at"] = parse_instant(
            facts["promised_at"], zone=str(facts.get("zone") or "UTC")
        )
    currency = str(facts.get("currency") or "")
    for money in ("total", "amount", "discount", "shipping"):
        if isinstance(facts.get(money), (str, float)):
            facts[money] = to_minor(facts[money], currency)
    if isinstance(facts.get("lines"), (list, tuple)):
        facts["lines"] = [_line(line, currency) for line in facts["lines"]]
    try:
        return msgspec.convert(facts, body_type, strict=False)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$.")
        raise Refusal(
            f"{kind}: {text}", where=f"data.{where.rstrip('`')}" if where else "data"
        ) from None


def _line(line: Any, currency: str) -> Any:
    if not isinstance(line, Mapping):
        return line
    amount = line.get("amount", 0)
    return [
        str(line.get("product", "")),
        line.get("quantity", 1),
        to_minor(amount, currency) if isinstance(amount, (str, float)) else amount,
    ]
