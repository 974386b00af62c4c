"""What is a program told: that it worked, or what is wrong and what to do instead?

Problems are those of RFC 9457. `code` and `message` stand beside its members because tracking
clients look for them, and take an answer without them for a broken connection.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.types import Send

from aftersale.kernel.errors import Operational, Refusal

JSON = b"application/json"
PROBLEM = b"application/problem+json"
MOST_ERRORS = 100
"""Rejected items that are told one by one."""

Headers = list[tuple[bytes, bytes]]

_OPEN: Headers = [(b"access-control-allow-origin", b"*"), (b"cache-control", b"no-store")]
"""Pages of every site may send: a key says who they are, and no cookie is looked at."""


class Problem(Exception):
    """A request that cannot be done, as it is told to the program that made it."""

    def __init__(
        self,
        status: int,
        code: str,
        what: str,
        *,
        hint: str = "",
        errors: Sequence[dict[str, Any]] = (),
        headers: Headers | None = None,
    ) -> None:
        super().__init__(what)
        self.status = status
        self.code = code
        self.what = what
        self.hint = hint
        self.errors = errors
        self.headers = headers or []

    def body(self) -> bytes:
        """The problem as JSON."""
        told: dict[str, Any] = {
            "type": f"urn:aftersale:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.what,
            "code": self.code,
            "message": self.what,
        }
        if self.hint:
            told["hint"] = self.hint
        if self.errors:
            told["errors"] = self.errors[:MOST_ERRORS]
            told["error_count"] = len(self.errors)
        return msgspec.json.encode(told)


def problem_of(error: Exception) -> Problem:
    """What to tell of an error: a fault of ours is told without its insides."""
    match error:
        case Problem():
            return error
        case Refusal():
            told = rejection(error)
            return Problem(400, "refused", error.what, hint=error.hint, errors=[told])
        case Operational():
            return Problem(
                503,
                "not-now",
                "this cannot be written at the moment",
                hint=error.hint or "send it again in a moment",
                headers=[(b"retry-after", b"2")],
            )
        case _:
            return Problem(500, "fault", "this is a fault of the server; nothing was kept")


def rejection(refusal: Refusal, index: int | None = None) -> dict[str, Any]:
    """What is wrong with one item, and where."""
    told: dict[str, Any] = {} if index is None else {"index": index}
    told["where"] = sendable(refusal.where)
    told["what"] = sendable(refusal.what)
    if refusal.hint:
        told["hint"] = refusal.hint
    return told


def sendable(text: str) -> str:
    """The text with half characters marked, so that it can be sent."""
    return text.encode("utf-8", "replace").decode()


async def answer(
    send: Send,
    status: int,
    body: bytes,
    *,
    kind: bytes = JSON,
    headers: Headers | None = None,
) -> None:
    """Send one whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", kind),
                (b"content-length", b"%d" % len(body)),
                *_OPEN,
                *(headers or ()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
