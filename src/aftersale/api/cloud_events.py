"""How do CloudEvents come in over HTTP: binary, structured and in batches?"""

from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from aftersale.api.access import admitted, presented
from aftersale.api.answers import Problem, answer
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
from aftersale.kernel.errors import Refusal
from aftersale.translation import cloudevents

PATH = "/v1/cloudevents"
LEAST_SIZE = 65_536
"""Bytes of one event that everybody who speaks CloudEvents should forward."""

_read_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class CloudEvents:
    """Answers senders of CloudEvents."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._bounds = intake.bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take in what one request holds."""
        await served(self._answered(scope, receive, send), scope, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        if scope["method"] == "OPTIONS":
            # The handshake of the webhook binding: everybody may send who has a key.
            allowed = [
                (b"allow", b"POST, OPTIONS"),
                (b"webhook-allowed-origin", b"*"),
                (b"webhook-allowed-rate", b"*"),
            ]
            await answer(send, 200, b"", headers=allowed)
            return
        only_post(scope)
        key = await admitted(self._intake.ring, presented(headers), "ingest")
        kind = headers.get(b"content-type", b"").decode("latin-1")
        mode = cloudevents.mode_of(kind)
        one = max(self._bounds.event, LEAST_SIZE)
        body = await read_body(receive, headers, self._bounds.batch if mode == "batch" else one)
        items = self._items(mode, kind, scope, body)
        self._intake.rates.take(key, len(items))
        received_at, sender = self._intake.app.system_now(), sender_of(key)
        read = Read()
        read.take(
            items,
            lambda item: cloudevents.translate(
                _opened(item, one), received_at=received_at, sender=sender
            ),
        )
        await self._intake.durable(read.events)
        await answer_read(send, read)

    def _items(self, mode: str, kind: str, scope: Scope, body: bytes) -> list[Any]:
        if mode == "binary":
            names = ((name.decode("latin-1"), value) for name, value in scope["headers"])
            told = [(name, _text(value, name)) for name, value in names if name.startswith("ce-")]
            return [cloudevents.from_headers(told, body, content_type=kind)]
        if not kind.partition(";")[0].strip().lower().endswith("+json"):
            raise Problem(
                415,
                "unknown-format",
                "CloudEvents are read as JSON here",
                hint="application/cloudevents+json or application/cloudevents-batch+json",
            )
        if mode == "structured":
            return [_Lenient(_whole(body))]
        try:
            items: list[Any] = list(_read_list(body))
        except UNREADABLE:
            items = _whole(body)
            if not isinstance(items, list):
                raise Problem(400, "malformed", "a batch must be a list of events") from None
            items = [_Lenient(item) for item in items]
        if len(items) > self._bounds.events:
            raise Problem(
                413, "too-large", f"the batch has more than {self._bounds.events:,} events"
            )
        return items


class _Lenient(msgspec.Struct, frozen=True):
    """An item that may have been read leniently."""

    item: Any


def _opened(item: Any, most: int) -> Any:
    match item:
        case msgspec.Raw():
            return decoded(item, most)
        case _Lenient():
            return fit(item.item)
        case _:
            return item


def _whole(body: bytes) -> Any:
    """A body that is one piece of JSON."""
    try:
        return read_item(body)
    except UNREADABLE:
        return leniently(body)


def _text(value: bytes, header: str) -> str:
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        raise Refusal(
            "values of headers are ASCII; others are percent-encoded", where=header
        ) from None
