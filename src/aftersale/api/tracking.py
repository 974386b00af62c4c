"""How do tracking clients send: one call, or many in a batch?

The addresses, keys, packing and answers are those that Segment published and that RudderStack,
Customer.io and others speak; the status says what happened unless Segment's own way is asked for.
"""

import re
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from aftersale.api.access import admitted, presented
from aftersale.api.answers import Problem, answer, problem_of
from aftersale.api.bodies import read_body
from aftersale.api.intake import (
    UNREADABLE,
    Intake,
    Read,
    answer_read,
    decoded,
    fit,
    headers_of,
    leniently,
    only_post,
    read_item,
    sender_of,
    served,
)
from aftersale.programme.api_keys import ApiKey
from aftersale.translation import segment
from aftersale.translation.segment import Head

SHORT = {
    **{call[0]: call for call in segment.CALLS},
    "b": "batch",
    "import": "batch",
}
"""Other names of the addresses: clients in browsers write only the first letter."""
NAMES = (*segment.CALLS, "batch")
_PATH = re.compile(rf"(?:/[\w.~-]+)?/v1/({'|'.join((*NAMES, *SHORT))})/?")
_SUCCESS = b'{"success":true}'
_PREFLIGHT = [
    (b"access-control-allow-methods", b"POST"),
    (
        b"access-control-allow-headers",
        b"authorization, content-type, content-encoding, x-retry-count, x-strict-mode",
    ),
    (b"access-control-max-age", b"86400"),
]


class _Batch(msgspec.Struct):
    """A batch whose items are not read yet: one that is wrong may not lose the others."""

    batch: list[msgspec.Raw]
    context: Any = None
    integrations: Any = None
    sentAt: Any = None  # noqa: N815 - the name that clients write
    writeKey: Any = None  # noqa: N815


_read_batch = msgspec.json.Decoder(_Batch).decode


def call_at(path: str) -> str:
    """Which call an address is for, whatever one folder stands before it; empty where none."""
    found = _PATH.fullmatch(path)
    return SHORT.get(found[1], found[1]) if found else ""


class Tracking:
    """Answers tracking clients."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._bounds = intake.bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take in what one request holds."""
        await served(self._answered(scope, receive, send), scope, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await answer(send, 204, b"", headers=_PREFLIGHT)
            return
        only_post(scope)
        headers = headers_of(scope)
        if not self._bounds.like_segment or headers.get(b"x-strict-mode") == b"1":
            await answer_read(send, await self._taken(scope, receive, headers))
            return
        try:
            await self._taken(scope, receive, headers)
        except Exception as error:
            problem = problem_of(error)
            if problem.code not in {"wrong-key", "key-of-another-kind", "refused"}:
                raise
        await answer(send, 200, _SUCCESS)

    async def _taken(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Read:
        """Read, check, translate, commit: what became of the items of a request."""
        call = call_at(scope["path"])
        shown = presented(headers)
        if shown.scheme == "basic":
            # Whoever has a wrong key need not send a body first.
            await admitted(self._intake.ring, shown, "ingest")
        most = self._bounds.batch if call == "batch" else self._bounds.event
        body = await read_body(receive, headers, most)
        items, head, in_body = self._items(body) if call == "batch" else _single(body)
        key = await admitted(self._intake.ring, shown, "ingest", in_body=in_body)
        self._intake.rates.take(key, len(items))
        read = self._translated(items, head, key, "" if call == "batch" else call)
        await self._intake.durable(read.events)
        return read

    def _items(self, body: bytes) -> tuple[list[Any], Head, str | None]:
        """The items of a batch, what is said for all of them, and the key inside."""
        items: list[Any]
        try:
            batch = _read_batch(body)
            items, said, key = list(batch.batch), _head(batch), batch.writeKey
        except UNREADABLE:
            items, said, key = _batch_leniently(body)
        if len(items) > self._bounds.events:
            raise Problem(
                413,
                "too-large",
                f"the batch has more than {self._bounds.events:,} events",
                hint="send fewer events at once",
            )
        return items, said, key if isinstance(key, str) else None

    def _translated(self, items: list[Any], head: Head, key: ApiKey, call: str) -> Read:
        received_at = self._intake.app.system_now()
        sender, most = sender_of(key), self._bounds.event

        def translate(item: Any) -> Any:
            item = decoded(item, most) if isinstance(item, msgspec.Raw) else fit(item)
            return segment.translate(
                item, call=call, head=head, received_at=received_at, sender=sender
            )

        read = Read()
        read.take(items, translate)
        return read


def _head(batch: _Batch) -> Head:
    return segment.read_head(
        {
            "context": batch.context,
            "integrations": batch.integrations,
            "sentAt": batch.sentAt,
        }
    )


def _single(body: bytes) -> tuple[list[Any], Head, str | None]:
    """The one item of a body, and the key inside."""
    try:
        item = read_item(body)
    except UNREADABLE:
        item = fit(leniently(body))
    key = item.get("writeKey") if isinstance(item, dict) else None
    return [item], segment.NOTHING, key if isinstance(key, str) else None


def _batch_leniently(body: bytes) -> tuple[list[Any], Head, Any]:
    """A batch that is no JSON in every letter, so that only the item that is not is lost."""
    found = leniently(body)
    if not isinstance(found, dict) or not isinstance(found.get("batch"), list):
        raise Problem(
            400,
            "malformed",
            "the body must be an object with a list named batch",
            hint='{"batch": [{"type": "track", "event": "…", "userId": "…"}]}',
        )
    around = {name: value for name, value in found.items() if name != "batch"}
    return found["batch"], segment.read_head(fit(around)), found.get("writeKey")
