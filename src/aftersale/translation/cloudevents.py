"""What does a CloudEvent mean (CloudEvents 1.0, HTTP binding: binary, structured, batch)?

The type of a CloudEvent is a type of ours, its data the fields of that type, with `customer` beside
them as in docs/reference/events.md. `source` and `id` name it for ever.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from aftersale.events.event import Event, refs_of
from aftersale.events.vocabulary import BODIES
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant
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

BATCH = "application/cloudevents-batch"
STRUCTURED = "application/cloudevents"
VERSION = "1.0"

_NEEDED = ("specversion", "id", "source", "type")
_PREFIX = "ce-"
_NAME = re.compile(r"[a-z0-9]{1,64}")
_UNFINISHED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ATTRIBUTES = frozenset({*_NEEDED, "datacontenttype", "dataschema", "subject", "time"})
_DATA = frozenset({"data", "data_base64"})
_TELLS_ADDRESS = frozenset({"order.completed", "customer.updated", "consent.given"})
_ADDRESSES = frozenset({"email", "phone"})
_SHORT = frozenset({"id", "anonymous_id", "zone", "locale", "country"})
_FACTS_OF_DATA = frozenset({"customer", "shop"})


def mode_of(content_type: str) -> str:
    """Which of the three ways a request with this content type carries its events."""
    kind = content_type.strip().lower()
    if kind.startswith(BATCH):
        return "batch"
    return "structured" if kind.startswith(STRUCTURED) else "binary"


def from_headers(
    headers: Iterable[tuple[str, str]], body: bytes, *, content_type: str
) -> dict[str, Any]:
    """The event that a request in binary mode carries, in the form of structured mode.

    `headers`: names in small letters. What breaks the encoding of headers is refused.
    """
    item: dict[str, Any] = {}
    for header, value in headers:
        if not header.startswith(_PREFIX):
            continue
        name = header.removeprefix(_PREFIX)
        if name in {"datacontenttype", *_DATA}:
            raise Refusal(f"{header} may not be a header", where=header)
        if name in item:
            raise Refusal(f"{header} comes twice", where=header)
        item[name] = decoded(value, header)
    if content_type:
        item["datacontenttype"] = content_type
    if not body:
        return item
    if is_json(content_type):
        item["data"] = _json(body, "data")
    else:
        item["data_base64"] = binascii.b2a_base64(body, newline=False).decode()
    return item


def decoded(value: str, header: str) -> str:
    """The attribute that a header's value stands for: unquoted, then once percent-decoded."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    if _UNFINISHED.search(value):
        raise Refusal("a percent sign must be followed by two digits", where=header)
    try:
        return unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("the header does not encode UTF-8", where=header) from None
    except UnicodeEncodeError:
        raise Refusal("the header holds half a character", where=header) from None


def is_json(content_type: str) -> bool:
    """Whether data of this type is JSON; so is data of which no type is said."""
    kind = content_type.partition(";")[0].strip().lower()
    return not kind or kind.endswith("+json") or kind.partition("/")[2] == "json"


def translate(item: Any, *, received_at: Instant, sender: Sender) -> Event:
    """The event of one decoded CloudEvent in structured form; refused by the attribute."""
    if not isinstance(item, dict):
        raise Refusal("an event must be an object")
    attributes = _attributes(item)
    data, raw = _data(item, str(attributes.get("datacontenttype") or ""))
    person = object_told(data.get("customer"), "data.customer")
    shop = data.get("shop") or ""
    if not isinstance(shop, str):
        raise Refusal("shop must be text", where="data.shop")
    told = {k: v for k, v in data.items() if k not in _FACTS_OF_DATA and v is not None}
    facts: dict[str, Any] = {}
    kind = type_of(attributes["type"], facts)
    body = BODIES.get(kind)
    known = frozenset() if body is None else frozenset(body.__struct_fields__)
    facts.update((name, value) for name, value in told.items() if name in known)
    where_they_are(facts, person.get("zone"), person.get("locale"), person.get("country"))
    kept = {name: value for name, value in told.items() if name not in known}
    kept = {"properties": kept} if kept else {}
    kept.update(
        (name, value)
        for name, value in person.items()
        if name not in _SHORT and (name not in _ADDRESSES or kind in _TELLS_ADDRESS)
    )
    further = {name: value for name, value in attributes.items() if name not in _NEEDED}
    if raw is not None:
        further["data_base64"] = raw
    time = further.pop("time", None)
    at, told_at = _times(time, received_at)
    if at != told_at and time is not None:
        further["time"] = str(time)[:100]
    if further:
        kept["cloudevent"] = further
    refs = refs_of(person, told, shop or sender.shop)
    telling = Telling(
        kind, attributes["id"], at, told_at, facts, refs, kept, attributes["source"], shop
    )
    return event_of(telling, sender)


def _attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in item.items() if name not in _DATA and value is not None}
    for name in _NEEDED:
        value = found.get(name)
        if not isinstance(value, str) or not value:
            raise Refusal(f"the event has no {name}", where=name)
    if found["specversion"] != VERSION:
        raise Refusal(
            f"CloudEvents {found['specversion'][:20]!r} is not spoken here",
            where="specversion",
            hint=f"send version {VERSION}",
        )
    for name, value in found.items():
        if not _NAME.fullmatch(name):
            raise Refusal("names of attributes are small letters and digits", where=repr(name)[:80])
        if not isinstance(value, (str, int, bool)):
            raise Refusal("an attribute must be text, a number or true or false", where=name)
        if name in _ATTRIBUTES and (not isinstance(value, str) or not value):
            raise Refusal(f"{name} must be text that is not empty", where=name)
    if "time" in found and instant_told(found["time"]) is None:
        raise Refusal("the time must be as in RFC 3339", where="time")
    return found


def _data(item: Mapping[str, Any], content_type: str) -> tuple[Mapping[str, Any], str | None]:
    """The data as an object, and what is none in base64; with neither an empty object."""
    if "data" in item and "data_base64" in item:
        raise Refusal("an event has either data or data_base64", where="data_base64")
    data: Any = item.get("data")
    encoded = item.get("data_base64")
    if encoded is not None:
        if not isinstance(encoded, str):
            raise Refusal("data_base64 must be text", where="data_base64")
        try:
            raw = b64decode(encoded, validate=True)
        except ValueError:
            raise Refusal("data_base64 is not base64", where="data_base64") from None
        if not content_type or not is_json(content_type):
            return {}, encoded
        data = _json(raw, "data_base64")
    if data is None:
        return {}, None
    if isinstance(data, dict):
        return data, None
    return {"value": data}, None


def _json(body: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"the data is no JSON: {error}", where=where) from None
    except RecursionError:
        raise Refusal("the data is nested too deeply", where=where) from None


def _times(time: Any, received_at: Instant) -> tuple[Instant, Instant]:
    """When it happened, and when the sender says that it did: 0 where it does not."""
    told = instant_told(time)
    if told is None:
        return received_at, 0
    return possible(told, received_at), told
