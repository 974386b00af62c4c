"""What did providers send, exactly as it arrived, and what became of it?

A request is kept raw, so that what cannot be understood today can be translated again after a
fix. Its body may name people: whoever is erased takes the bodies along that are known to be about
them, and of those about nobody known each in which one of their ids stands.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol
from urllib.parse import unquote_plus

import msgspec

from aftersale.events.event import Ref
from aftersale.kernel.ids import CustomerId, digest16
from aftersale.kernel.instants import Instant
from aftersale.translation.happening import Passed

TRANSLATED, REFUSED, WAITING = "translated", "refused", "waiting"
STATES = (TRANSLATED, REFUSED, WAITING)
"""What became of a request: understood; not, or not all of it; not looked at yet, for a fault of
ours came between or a person has to act first."""

RequestNumber = int
"""In the order of arrival."""


class NewRequest(msgspec.Struct, frozen=True, gc=False):
    """A request that proved whose it is, on its way into the store."""

    key: bytes
    """Sixteen bytes of provider, shop and the sender's own id: it counts once."""
    provider: str
    shop: str
    received_at: Instant
    headers: dict[str, str]
    """Those that a translator may read."""
    body: bytes
    state: str
    passed: tuple[Passed, ...] = ()


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request that is kept."""

    number: RequestNumber
    provider: str
    shop: str
    received_at: Instant
    """When it first came."""
    last_at: Instant
    """When it last came."""
    times: int
    """How often it came."""
    state: str
    passed: tuple[Passed, ...]
    headers: dict[str, str] = {}
    body: bytes = b""
    """Empty where it was not asked for, or forgotten."""


class Count(msgspec.Struct, frozen=True, gc=False):
    """How many requests of a provider are in a state."""

    provider: str
    state: str
    requests: int
    last_at: Instant


class Requests(Protocol):
    """Requests of providers, raw."""

    def keep(self, rows: Sequence[NewRequest]) -> list[RequestNumber | None]:
        """Keep them in order; the number of each new one, None where it had come before.

        That one is only counted: nothing else of it changes.
        """
        ...

    def concern(self, pairs: Sequence[tuple[RequestNumber, CustomerId]]) -> None:
        """Say whom requests are about; repeating it changes nothing."""
        ...

    def settle(self, number: RequestNumber, state: str, passed: Sequence[Passed]) -> None:
        """Say what became of one; of a number that is not there nothing is changed."""
        ...

    def get(self, number: RequestNumber) -> Request | None:
        """That request with its body; None where there is none."""
        ...

    def newest(
        self, limit: int, *, states: Collection[str] = STATES, provider: str = ""
    ) -> list[Request]:
        """Without their bodies, the newest first."""
        ...

    def open(self, after: RequestNumber, limit: int) -> list[Request]:
        """Those refused or waiting that still have a body, with it, by number."""
        ...

    def counts(self) -> list[Count]:
        """By provider and state."""
        ...

    def naming(self, customer: CustomerId) -> list[RequestNumber]:
        """Those with a body that an erasure of the customer would forget, ascending."""
        ...

    def prune(self, before: Instant, others_before: Instant) -> int:
        """Delete those that came for the last time before the instant; how many.

        The first is of those that were understood, the second of those that were refused or wait.
        """
        ...


def key_of(provider: str, shop: str, sender_id: str) -> bytes:
    """Under what a request counts once."""
    return digest16(provider, shop, sender_id)


_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\s()./-]+(?=\d)")
_LEAST = 5
"""Letters of an id below which it may stand in a body by chance."""


def names(body: bytes, refs: Iterable[Ref]) -> bool:
    """Whether one of the ids stands in the body: as text, in JSON, or in a form."""
    wanted = _searched(refs)
    if not wanted:
        return False
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), body.decode("utf-8", "replace"))
    for text in (plain.casefold(), unquote_plus(plain).casefold()):
        if wanted.search(text) or wanted.search(_BETWEEN_DIGITS.sub("", text)):
            return True
    return False


def _searched(refs: Iterable[Ref]) -> re.Pattern[str] | None:
    found = set()
    for ref in refs:
        if ref.kind in {"email", "phone"}:
            found.add(ref.value.casefold().lstrip("+"))
        elif ref.kind == "customer" and len(own := ref.value.rpartition("/")[2]) >= _LEAST:
            found.add(own.casefold())
    if not found:
        return None
    return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(one) for one in sorted(found))})(?!\w)")


_encode = msgspec.json.Encoder().encode
_passed = msgspec.json.Decoder(tuple[Passed, ...]).decode
_headers = msgspec.json.Decoder(dict[str, str]).decode


def packed(told: Mapping[str, str] | Sequence[Passed]) -> str:
    """Headers or reasons as stores keep them."""
    return _encode(told).decode()


def request_of(  # noqa: PLR0913, PLR0917 - a row of a store
    number: int,
    provider: str,
    shop: str,
    received_at: Instant,
    last_at: Instant,
    times: int,
    state: str,
    passed: str,
    headers: str = "{}",
    body: bytes = b"",
) -> Request:
    """A request of the row that a store keeps."""
    return Request(
        number,
        provider,
        shop,
        received_at,
        last_at,
        times,
        state,
        _passed(passed),
        _headers(headers),
        body,
    )
