"""How is an object read whose shape nobody promised?

A missing or strange part is read as nothing, never as an error. Numbers with a point stay the text
they were written as, so that money is exact.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, SECOND, Instant, instant_of, parse_instant

Tree = Mapping[str, Any]

_JSON = msgspec.json.Decoder(float_hook=str)
_MOST_FIELDS = 1_000
_FRACTION = re.compile(r"(\.\d{6})\d+")
_NUMBER = re.compile(r"-?\d{1,17}(\.\d+)?")
_FIRST: Instant = 631_152_000 * SECOND
_END: Instant = 253_402_300_800 * SECOND
"""1990 to 9999, as events are."""
_MILLISECONDS = 100_000_000_000
"""A number from here on counts milliseconds: as seconds it would lie after the year 5000."""


class Unreadable(Exception):
    """The body has no form that we can read."""


def json_of(data: bytes | str) -> Any:
    """The value of a JSON text; Unreadable where it is none."""
    try:
        return _JSON.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError):
        raise Unreadable from None


def body_of(data: bytes, content_type: str = "") -> Any:
    """The value of a body: a JSON value, or a form as an object of its first values."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _multipart(data, content_type)
    if kind == "application/x-www-form-urlencoded" or data.lstrip()[:1] not in (b"{", b"["):
        return _form(data)
    return json_of(data.lstrip(b"\xef\xbb\xbf"))


def _form(data: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            data.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_FIELDS
        )
    except (UnicodeError, ValueError):
        raise Unreadable from None
    return _firsts(pairs)


def _multipart(data: bytes, content_type: str) -> dict[str, str]:
    if not content_type.isprintable() or data.count(b"\n--") > _MOST_FIELDS:
        raise Unreadable
    try:
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        message = message_from_bytes(head + data, policy=policy.compat32)
        pairs = [_field(part) for part in message.get_payload() if not isinstance(part, str)]
    except (UnicodeError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Unreadable from None
    return _firsts([pair for pair in pairs if pair is not None])


def _field(part: Any) -> tuple[str, str] | None:
    """One field of the form; a file is left out."""
    name = part.get_param("name", header="content-disposition")
    if not isinstance(name, str) or part.get_filename() is not None:
        return None
    value = part.get_payload(decode=True)
    return name, value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _firsts(pairs: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def at(tree: Any, *path: str) -> Any:
    """What lies under these names, one within the other; None where nothing does."""
    for name in path:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(name)
    return tree


def part(tree: Any, *path: str) -> Tree:
    """The object there; an empty one where there is none."""
    found = at(tree, *path)
    return found if isinstance(found, Mapping) else {}


def parts(tree: Any, *path: str) -> Iterator[Tree]:
    """The objects of the list there."""
    found = at(tree, *path)
    if isinstance(found, list):
        yield from (item for item in found if isinstance(item, Mapping))


def text(tree: Any, *path: str) -> str:
    """The text or whole number there, as text without spaces around it; else nothing."""
    found = at(tree, *path)
    if isinstance(found, str):
        return found.strip()
    if isinstance(found, int) and not isinstance(found, bool) and found.bit_length() <= 64:
        return str(found)
    return ""


def first(tree: Any, *names: str) -> str:
    """The first of the named texts that says anything."""
    return next((found for name in names if (found := text(tree, name))), "")


def whole(tree: Any, *path: str) -> int:
    """The whole number there; 0 where there is none."""
    found = text(tree, *path).partition(".")[0]
    return int(found) if re.fullmatch(r"-?\d{1,15}", found) else 0


def flag(tree: Any, *path: str) -> bool:
    """Whether true stands there, as JSON or as a form writes it."""
    found = at(tree, *path)
    return found is True or str(found).lower() in {"true", "1"}


def moment(value: Any, zone: str = "UTC") -> Instant | None:
    """The instant of a time as senders write it; None where it is none between 1990 and 9999.

    ISO 8601, the date of a mail, or a number of seconds or milliseconds since 1970. A time without
    an offset is wall clock of `zone`.
    """
    written = str(value).strip() if isinstance(value, (str, int)) else ""
    if not written or isinstance(value, bool) or len(written) > 64:
        return None
    try:
        found = _number(written) if _NUMBER.fullmatch(written) else _text(written, zone)
    except (Refusal, ValueError, OverflowError, TypeError, IndexError):
        return None
    return found if _FIRST <= found < _END else None


def _number(written: str) -> Instant:
    seconds, _, fraction = written.partition(".")
    count = int(seconds) * SECOND + int((fraction + "000000")[:6] or 0)
    return count // 1000 if abs(int(seconds)) >= _MILLISECONDS else count


def _text(written: str, zone: str) -> Instant:
    try:
        return parse_instant(_FRACTION.sub(r"\1", written), zone=zone)
    except Refusal:
        found = parsedate_to_datetime(written)
        return instant_of(found if found.tzinfo else found.replace(tzinfo=UTC))


def moment_in(tree: Any, *names: str) -> Instant | None:
    """The first of the named times that is one."""
    return next((found for name in names if (found := moment(at(tree, name))) is not None), None)


def promise_in(tree: Any, *names: str) -> Instant | None:
    """The first of the named times as a promise: one that says only a day is kept until its end."""
    found = moment_in(tree, *names)
    return found + DAY - SECOND if found is not None and found % DAY == 0 else found


def compact_moment(written: str) -> Instant | None:
    """The instant of YYMMDDhhmm, which names no zone and is taken as UTC."""
    if not re.fullmatch(r"\d{10}", written):
        return None
    try:
        return instant_of(datetime.strptime(written, "%y%m%d%H%M").replace(tzinfo=UTC))
    except ValueError:
        return None


def address(written: str) -> str:
    """The bare address of `Ada <ada@example.com>`; nothing where there is none."""
    try:
        found = getaddresses([written[:1_000]])
    except (ValueError, TypeError, IndexError):
        return ""
    return next((mail for _, mail in found if "@" in mail), "")


def headers_of(listed: Any) -> dict[str, str]:
    """Headers by their names in small letters, from `[[name, value]]` or `[{name:, value:}]`."""
    found: dict[str, str] = {}
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, list) and len(item) == 2:
            name, value = item
        else:
            name = first(item, "name", "Name", "key")
            value = first(item, "value", "Value")
        if isinstance(name, str) and isinstance(value, str):
            found.setdefault(name.lower(), value)
    return found
