"""How does a program read what is in `resources`, a page at a time and with a key of its own?

A cursor is where the page before ended, not a number of rows: what comes in meanwhile moves
nothing. Programs may read it and must not make one.
"""

import asyncio
import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.types import Receive, Scope, Send

from aftersale.api.access import Rates, admitted, presented
from aftersale.api.answers import Problem, answer
from aftersale.api.description import described
from aftersale.api.intake import Intake, headers_of, served
from aftersale.api.resources import MOST, RESOURCES, USUAL, Asked, Missing, Resource, Rows
from aftersale.programme.ports import Transaction

READS = "/api/"
DESCRIPTION = "/openapi.json"
_LEAST_BURST = 100
"""Requests that a key may make at once whatever its rate."""
_MOST_LETTERS = 400
"""Of a name or a cursor."""
_BIGGEST = 1 << 62
_encode = msgspec.json.Encoder().encode
_ROUTES = [(re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", one.path)), one) for one in RESOURCES]


class Page(msgspec.Struct):
    """Rows of a resource, and the cursor of those after them; null where there are none."""

    data: list[msgspec.Raw]
    next_cursor: str | None


class Reads:
    """Answers programs that read."""

    def __init__(self, intake: Intake) -> None:
        self._app, self._ring = intake.app, intake.ring
        self._rates = Rates(
            intake.bounds.reads_per_second, intake.ticks, burst=_LEAST_BURST, what="requests"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del receive  # what is read needs no body
        await served(self._answered(scope, send), scope, send)

    async def _answered(self, scope: Scope, send: Send) -> None:
        path: str = scope["path"]
        if path == DESCRIPTION:
            _only_get(scope)
            await answer(send, 200, described())
            return
        key = await admitted(self._ring, presented(headers_of(scope)), "read")
        self._rates.take(key, 1)
        resource, names = _addressed(scope)
        _only_get(scope)
        asked = _asked(resource, names, scope["query_string"])
        await answer(send, 200, await asyncio.to_thread(self._read, resource, asked))

    def _read(self, resource: Resource, asked: Asked) -> bytes:
        with self._app.store.read() as tx:
            return _encode(self._found(resource, tx, asked))

    def _found(self, resource: Resource, tx: Transaction, asked: Asked) -> object:
        try:
            found = resource.read(self._app, tx, asked)
        except Missing as missing:
            raise Problem(404, "unknown", str(missing)) from None
        if not isinstance(found, Rows):
            return found
        rows = [msgspec.Raw(_encode(one)) for one in found.data]
        return Page(rows, cursor_of(found.after) if found.after else None)


def _only_get(scope: Scope) -> None:
    if scope["method"] not in {"GET", "HEAD"}:
        raise Problem(405, "only-get", "this is read by GET", headers=[(b"allow", b"GET, HEAD")])


def _addressed(scope: Scope) -> tuple[Resource, dict[str, str]]:
    """The resource of an address, and the names in it as they are meant."""
    # The raw path: a name may hold a slash that was written as %2F.
    path = scope.get("raw_path", scope["path"].encode()).partition(b"?")[0].decode("latin-1")
    for pattern, resource in _ROUTES:
        found = pattern.fullmatch(path)
        if found:
            return resource, {
                name: _text(name, unquote(value)) for name, value in found.groupdict().items()
            }
    raise Problem(
        404,
        "unknown-address",
        "nothing has this address",
        hint=f"{DESCRIPTION} names all there are",
    )


def _asked(resource: Resource, names: dict[str, str], query: bytes) -> Asked:
    """What the request asks for; a problem that names every part that is wrong."""
    given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    known = {"limit", "cursor"} if resource.paged else set()
    known |= {"find"} if resource.findable else set()
    wrong = [
        _fault(name, f"there is no {name}; there are {', '.join(sorted(known)) or 'none'}")
        for name in given
        if name not in known
    ]
    limit, after = given.get("limit", str(USUAL)), given.get("cursor", "")
    if not (limit.isascii() and limit.isdigit() and len(limit) < len(str(MOST)) + 1) or not (
        1 <= int(limit) <= MOST
    ):
        wrong.append(_fault("limit", f"a whole number from 1 to {MOST}"))
    place = place_of(after, resource.numbers)
    if place is None:
        wrong.append(_fault("cursor", "no cursor of this address; take next_cursor as it came"))
    if wrong:
        raise Problem(400, "wrong-parameter", str(wrong[0]["what"]), errors=wrong)
    return Asked(names, _text("find", given.get("find", "")), place or (), int(limit))


def _fault(where: str, what: str) -> dict[str, str]:
    return {"where": where, "what": what}


def _text(where: str, value: str) -> str:
    """A word that a store can look for."""
    if "\0" in value or len(value) > _MOST_LETTERS:
        what = f"at most {_MOST_LETTERS} letters, and no NUL"
        raise Problem(400, "wrong-parameter", what, errors=[_fault(where, what)])
    return value


def cursor_of(place: tuple[int, ...]) -> str:
    """The place as it goes over the wire."""
    return urlsafe_b64encode(".".join(map(str, place)).encode()).decode().rstrip("=")


def place_of(cursor: str, numbers: int) -> tuple[int, ...] | None:
    """The place that a cursor means, () for none; None where it is no cursor of so many numbers."""
    if not cursor:
        return ()
    if len(cursor) > _MOST_LETTERS or not cursor.isascii():
        return None
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        place = tuple(int(part) for part in text.split("."))
    except (binascii.Error, ValueError):
        return None
    fits = len(place) == numbers and all(0 <= one < _BIGGEST for one in place)
    return place if fits else None
