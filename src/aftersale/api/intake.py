"""How do events come in over HTTP, durable before they are answered?

Plain ASGI, for these addresses are asked thousands of times a second. Items are translated here,
one by one; what becomes events is admitted by the collector, and the answer goes out once that is
committed.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from starlette.types import Scope, Send

from aftersale.api.access import KeyRing, Rates
from aftersale.api.answers import MOST_ERRORS, PROBLEM, Problem, answer, problem_of, rejection
from aftersale.api.bodies import Gone
from aftersale.events.event import Event
from aftersale.kernel.errors import Operational, Refusal
from aftersale.kernel.instants import DAY, HOUR, Duration, Instant
from aftersale.programme.api_keys import SECRET, ApiKey
from aftersale.runtime.app import App
from aftersale.runtime.collecting import Collector, Lot, Settled
from aftersale.runtime.requests import Arrived, untranslated
from aftersale.translation.segment import place_of_unfit, read_leniently
from aftersale.translation.telling import Sender

T = TypeVar("T")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What is raised where JSON is none."""
read_item = msgspec.json.Decoder().decode
_FINE = b'{"success":true,"accepted":%d,"rejected":[]}'


class Bounds(msgspec.Struct, frozen=True):
    """How much one request may hold, in bytes, and what is answered."""

    event: int = 32_768
    batch: int = 512_000
    events: int = 2_500
    """Of one batch."""
    per_second: float = 0.0
    """Events of one key; 0: without limit."""
    reads_per_second: float = 50.0
    """Requests of one key that reads; 0: without limit."""
    like_segment: bool = False
    """Whether tracking clients are answered 200 whatever becomes of their events."""
    webhook: int = 5_120_000
    """Bytes of one request of a provider."""
    kept: Duration = 30 * DAY
    """How long such a request is kept raw once it was understood."""
    kept_others: Duration = 180 * DAY
    """How long where it was refused, or waits."""


class Read(msgspec.Struct):
    """What the items of one request came to."""

    events: list[Event] = []
    rejected: list[dict[str, Any]] = []

    def take(self, items: Iterable[Any], translate: Callable[[Any], Event]) -> None:
        """Translate one item after the other; what cannot be one is noted, and loses no other."""
        for index, item in enumerate(items):
            try:
                self.events.append(translate(item))
            except Refusal as refusal:
                self.rejected.append(rejection(refusal, index))


class Intake:
    """What all addresses share at which events arrive."""

    def __init__(self, app: App, ticks: Callable[[], float], bounds: Bounds) -> None:
        """`ticks`: seconds of a clock that never goes back."""
        self.app = app
        self.bounds = bounds
        self.ticks = ticks
        self.ring = KeyRing(app.store, app.system_now)
        self.rates = Rates(bounds.per_second, ticks)
        self._collector = Collector(app, self._tell)
        self._pruned_at: Instant = 0

    def close(self) -> None:
        """Commit what waits."""
        self._collector.close()

    async def durable(self, events: list[Event]) -> None:
        """Wait until the events are committed."""
        if events:
            await self._committed(Lot(events))

    async def kept(self, request: Arrived) -> None:
        """Wait until the request and what it tells are committed.

        Where what it tells breaks the transaction, the request is kept by itself, and the error
        raised all the same.
        """
        try:
            await self._committed(Lot(requests=[request], prune=self._prune()))
        except Operational:
            raise
        except Exception:
            await self._committed(Lot(requests=[untranslated(request.request)]))
            raise

    def _prune(self) -> tuple[Instant, Instant] | None:
        """Before when requests may be forgotten now; None where that was looked at lately."""
        now = self.app.system_now()
        if now - self._pruned_at < HOUR:
            return None
        self._pruned_at = now
        return now - self.bounds.kept, now - self.bounds.kept_others

    async def _committed(self, lot: Lot) -> None:
        lot.whose = asyncio.get_running_loop().create_future()
        self._collector.add(lot)
        await lot.whose

    def _tell(self, settled: Settled) -> None:
        """In the collector's thread: one call wakes everybody who waits for this commit."""
        by_loop: dict[asyncio.AbstractEventLoop, Settled] = {}
        for lot, error in settled:
            by_loop.setdefault(lot.whose.get_loop(), []).append((lot, error))
        for loop, some in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop ended, and with it who waited
                loop.call_soon_threadsafe(_wake, some)


def _wake(settled: Settled) -> None:
    for lot, error in settled:
        waiting: asyncio.Future[None] = lot.whose
        if waiting.done():
            continue  # the sender hung up
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)


def sender_of(key: ApiKey) -> Sender:
    """What is known of whoever holds the key."""
    return Sender(shop=key.shop, trusted=key.kind == SECRET)


async def answer_read(send: Send, read: Read) -> None:
    """Say what became of the items: fine, in part, or not at all."""
    if not read.rejected:
        await answer(send, 200, _FINE % len(read.events))
        return
    if not read.events:
        first = read.rejected[0]
        raise Problem(400, "refused", str(first["what"]), errors=read.rejected)
    told = {
        "success": True,
        "accepted": len(read.events),
        "rejected_count": len(read.rejected),
        "rejected": read.rejected[:MOST_ERRORS],
    }
    await answer(send, 200, msgspec.json.encode(told))


async def served(work: Awaitable[T], scope: Scope, send: Send) -> T | None:
    """Let a request be worked on; what goes wrong becomes its answer.

    A fault of ours is answered, too, and raised again: the server's log is to have it.
    """
    try:
        return await work
    except Gone:
        return None
    except Exception as error:
        told = problem_of(error)
        await answer(send, told.status, told.body(), kind=PROBLEM, headers=told.headers)
        if told.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return None


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers by their names in small letters; of two the last."""
    return dict(scope["headers"])


def only_post(scope: Scope) -> None:
    """Events are sent by POST, and by nothing else."""
    if scope["method"] != "POST":
        raise Problem(
            405, "only-post", "events are sent by POST", headers=[(b"allow", b"POST, OPTIONS")]
        )


def leniently(body: bytes) -> Any:
    """A body that is no JSON in every letter; one that is none at all is the sender's problem."""
    try:
        return read_leniently(body)
    except Refusal as refusal:
        where = f" ({refusal.where})" if refusal.where else ""
        raise Problem(400, "malformed", refusal.what + where) from None


def decoded(raw: msgspec.Raw, most: int) -> Any:
    """One item of a batch, of at most so many bytes; refused by itself where it cannot be kept."""
    if memoryview(raw).nbytes > most:
        raise Refusal(f"the event has more than {most:,} bytes")
    try:
        return read_item(raw)
    except UNREADABLE:
        return fit(read_leniently(bytes(raw)))


def fit(item: Any) -> Any:
    """An item that was read leniently; refused where it holds what no event may hold."""
    place = place_of_unfit(item)
    if place:
        raise Refusal("this is no number, or holds half a character", where=place)
    return item
