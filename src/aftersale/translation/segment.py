"""What does a call of a tracking client mean: track, identify, page, screen, group, alias?

The form is the one that Segment published and RudderStack, Customer.io and others speak. Whatever
is not understood is kept apart with the event, so that nothing told is lost.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from aftersale.events.event import LEAST_DIGITS, Event, Ref, digits, is_telling, word_of
from aftersale.events.vocabulary import BODIES
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import digest16
from aftersale.kernel.instants import Instant
from aftersale.translation import commerce
from aftersale.translation.telling import (
    Sender,
    Telling,
    event_of,
    instant_told,
    object_told,
    possible,
    type_of,
    where_they_are,
)

CALLS = ("track", "identify", "page", "screen", "group", "alias")
MOST_ID = 100
"""Letters of a `messageId`."""

_ENVELOPE = frozenset(
    {
        *("type", "event", "userId", "anonymousId", "previousId", "groupId", "messageId"),
        *("timestamp", "originalTimestamp", "sentAt", "receivedAt", "context", "properties"),
        *("traits", "integrations", "name", "category", "writeKey", "version", "channel"),
    }
)
_ORDINARY = {"page": "page.viewed", "screen": "screen.viewed", "group": "group.joined"}
_TRAITS = {"firstName": "first_name", "lastName": "last_name", "phoneNumber": "phone"}
_ADDRESSES = ("email", "phone")
_TELLS_ADDRESS = frozenset({"order.completed", "customer.updated", "consent.given"})

_encode = msgspec.json.Encoder(order="sorted").encode


class Head(msgspec.Struct, frozen=True, gc=False):
    """What a batch says for all its items."""

    context: dict[str, Any] = {}
    integrations: dict[str, Any] = {}
    sent_at: Any = None


NOTHING = Head()


def read_head(batch: Mapping[str, Any]) -> Head:
    """What the object around a batch says for all of it."""
    return Head(
        dict(object_told(batch.get("context"), "context")),
        dict(object_told(batch.get("integrations"), "integrations")),
        batch.get("sentAt"),
    )


def translate(
    item: Any, *, call: str = "", head: Head = NOTHING, received_at: Instant, sender: Sender
) -> Event:
    """The event of one decoded item; what cannot be one is refused with its place.

    `call` is which of `CALLS` it is, where the item does not say so itself.
    """
    if not isinstance(item, dict):
        raise Refusal("an item must be an object")
    call = call or str(item.get("type") or "")
    if call not in CALLS:
        raise Refusal(f"the type {call[:40]!r} is none of {', '.join(CALLS)}", where="type")
    context = object_told(item.get("context"), "context")
    if head.context:
        context = {**head.context, **context}
    facts: dict[str, Any] = {}
    person: Mapping[str, Any] = context.get("traits") or {}
    if not isinstance(person, dict):
        person = {}
    kept: dict[str, Any] = {}
    if call in {"identify", "group"}:
        traits = object_told(item.get("traits"), "traits")
        if call == "identify":
            person = {**person, **traits}  # RudderStack's clients put them into the context
            kept.update((_TRAITS.get(name, name), value) for name, value in person.items())
        else:
            kept["traits"] = traits
    address = person.get("address")
    where_they_are(
        facts,
        person.get("timezone", context.get("timezone")),
        person.get("locale", context.get("locale")),
        address.get("country") if isinstance(address, dict) else person.get("country"),
    )
    message = _message_id(item)
    at, told_at, noted = _times(item, head, received_at)
    name = message or _made_id(item, told_at or received_at)
    if call == "track":
        kind = _tracked(item, context, name, facts, sender)
    else:
        kind = _called(call, item, kept)
    if call in {"track", "page", "screen"} and item.get("properties"):
        kept["properties"] = item["properties"]
    refs = _refs(item, call, person, facts, sender.shop)
    if not refs:
        raise Refusal(
            "the event names nobody",
            where="userId",
            hint="give userId or anonymousId with each call",
        )
    if kind in _TELLS_ADDRESS:
        kept.update({ref.kind: ref.value for ref in refs if ref.kind in _ADDRESSES})
    _keep(kept, item, context, head, noted)
    return event_of(Telling(kind, name, at, told_at, facts, refs, kept), sender)


def _tracked(
    item: Mapping[str, Any],
    context: Mapping[str, Any],
    name: str,
    facts: dict[str, Any],
    sender: Sender,
) -> str:
    """Our type of what was tracked; what it tells goes to the facts."""
    event = item.get("event")
    if not isinstance(event, str) or not event.strip():
        raise Refusal("the call names no event", where="event")
    told = object_told(item.get("properties"), "properties")
    event = event.strip()
    found = commerce.meaning(event)
    if found is not None:
        kind, read = found
        facts.update(read(told, context, name, sender))
        return kind
    kind = type_of(event, facts)
    body = BODIES.get(kind)
    if body is not None:
        # An event in our own words: its properties are the data, as in docs/reference/events.md.
        known = body.__struct_fields__
        facts.update((k, v) for k, v in told.items() if k in known and v is not None)
    return kind


def _called(call: str, item: Mapping[str, Any], kept: dict[str, Any]) -> str:
    """Our type of any other call; what only it tells goes to what is kept."""
    if call in {"identify", "alias"}:
        return "customer.updated"
    if call == "group":
        group = word_of(item.get("groupId"), "groupId")
        if not group:
            raise Refusal("the call names no group", where="groupId")
        kept["group"] = group
    else:
        object_told(item.get("properties"), "properties")
        # Under the name of the call, for `name` is a person's.
        kept.update(
            (k, item[n]) for k, n in ((call, "name"), ("category", "category")) if item.get(n)
        )
    return _ORDINARY[call]


def _refs(
    item: Mapping[str, Any],
    call: str,
    person: Mapping[str, Any],
    facts: Mapping[str, Any],
    shop: str,
) -> tuple[Ref, ...]:
    """The ids that name the customer, the most telling first.

    A `userId` that is an e-mail address is taken as the address: as a number of the shop it would
    make another customer of somebody whom the shop knows by a number.
    """
    found: list[Ref] = []
    user = word_of(item.get("userId"), "userId").strip()
    if user:
        found.append(
            Ref("email", user.lower()) if "@" in user else Ref("customer", f"{shop}/{user}")
        )
    elif call == "alias":
        raise Refusal("the call names no user", where="userId")
    email = person.get("email")
    if isinstance(email, str) and (email := email.strip().lower()):
        found.append(Ref("email", email))
    phone = person.get("phone", person.get("phoneNumber"))
    if isinstance(phone, str) and len(number := digits(phone)) >= LEAST_DIGITS:
        found.append(Ref("phone", number))
    order = facts.get("order")
    if order and isinstance(order, (str, int)):
        found.append(Ref("order", f"{shop}/{order}"))
    names = ("previousId", "anonymousId") if call == "alias" else ("anonymousId",)
    for name in names:
        if word := word_of(item.get(name), name).strip():
            found.append(Ref("anonymous", word))
        elif name == "previousId":
            raise Refusal("the call names no earlier id", where=name)
    return tuple(dict.fromkeys(ref for ref in found if is_telling(ref)))


def _message_id(item: Mapping[str, Any]) -> str:
    message = word_of(item.get("messageId"), "messageId")
    if len(message) > MOST_ID:
        raise Refusal(f"messageId has more than {MOST_ID} letters", where="messageId")
    return message


def _made_id(item: Mapping[str, Any], at: Instant) -> str:
    """A name for an item without one: the same for the same content at the same time."""
    try:
        content = _encode(item)
    except (UnicodeEncodeError, OverflowError, TypeError, RecursionError):
        raise Refusal("the item holds what cannot be kept, as half a character") from None
    return digest16(content, str(at)).hex()


def _times(
    item: Mapping[str, Any], head: Head, received_at: Instant
) -> tuple[Instant, Instant, dict[str, Any]]:
    """When it happened by our clock, when by the sender's (0: it did not say), what to note.

    Segment's rule against clocks that are wrong: received - (sent - original). What cannot be,
    before 1990 or after its arrival, is taken as the time of arrival, and noted.
    """
    value = item.get("originalTimestamp") or item.get("timestamp")
    if value is None:
        return received_at, 0, {}
    told = instant_told(value)
    if told is None:
        return received_at, 0, {"timestamp": str(value)[:100]}
    sent = instant_told(item.get("sentAt") or head.sent_at)
    corrected = told if sent is None else received_at - (sent - told)
    at = possible(corrected, received_at)
    return at, told, {} if at == corrected else {"timestamp": str(value)}


def _keep(
    kept: dict[str, Any],
    item: Mapping[str, Any],
    context: Mapping[str, Any],
    head: Head,
    noted: Mapping[str, Any],
) -> None:
    """Add to what is kept whatever else was told."""
    if context:
        kept["context"] = context
    integrations = item.get("integrations") or head.integrations
    if integrations:
        kept["integrations"] = integrations
    further = {name: value for name, value in item.items() if name not in _ENVELOPE}
    if further:
        kept["further"] = further
    if noted:
        kept["noted"] = noted


# --- what strict reading of JSON refuses ------------------------------------------------------


def read_leniently(body: bytes) -> Any:
    """What a text says that is no JSON in every letter: half characters, NaN, numbers too large.

    So that one item of a batch which holds such a thing does not take the others with it; each is
    then to be looked at with `place_of_unfit`. Refusal where the text is no JSON at all.
    """
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise Refusal(f"this is no JSON: {error.msg}", where=f"byte {error.pos}") from None
    except UnicodeDecodeError as error:
        raise Refusal("this is not UTF-8", where=f"byte {error.start}") from None
    except RecursionError:
        raise Refusal("this is nested too deeply") from None
    except ValueError:
        raise Refusal("this holds a number of too many digits") from None


def place_of_unfit(value: Any) -> str:
    """The path of the first thing that no event may hold: a number that is none, half a character.

    Empty where there is none.
    """
    return next(_unfit(value), "")


def _unfit(value: Any) -> Iterator[str]:
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, dict):
            waiting += [(f"{path}.{name}".lstrip("."), inner) for name, inner in found.items()]
            if not all(map(_is_whole, found)):
                yield path or "a name"
        elif isinstance(found, list):
            waiting += [(f"{path}[{n}]", inner) for n, inner in enumerate(found)]
        elif isinstance(found, float):
            if not math.isfinite(found):
                yield path
        elif isinstance(found, str) and not _is_whole(found):
            yield path


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)
