"""Who is this program, what may it do, and how much of it?"""

import asyncio
import binascii
import math
from base64 import b64decode
from collections.abc import Callable, Mapping

import msgspec

from aftersale.api.answers import Problem
from aftersale.kernel.instants import SECOND, Instant
from aftersale.programme.api_keys import MOST_LETTERS, ApiKey, digest_of
from aftersale.programme.ports import Store

FRESH = 2 * SECOND
"""How long keys that were read from the store are believed: so late is a revoked one refused."""
_AT_MOST_EVERY = SECOND // 2
"""Unknown keys make the store be asked again, but not oftener than this."""
LEAST_BURST = 2_500
"""Events that a key may send at once whatever its rate: a whole batch."""


class KeyRing:
    """The keys of the store, for one event loop."""

    def __init__(self, store: Store, now: Callable[[], Instant]) -> None:
        self._store = store
        self._now = now
        self._kept: dict[bytes, ApiKey] = {}
        self._read_at: Instant = -FRESH
        self._reading: asyncio.Task[None] | None = None

    async def find(self, text: str) -> ApiKey | None:
        """The key that is taken now; None where there is none."""
        if not text or len(text) > MOST_LETTERS:
            return None
        digest = digest_of(text)
        if not 0 <= self._now() - self._read_at < FRESH:
            await self._read_again()
        found = self._kept.get(digest)
        if found is None and not 0 <= self._now() - self._read_at < _AT_MOST_EVERY:
            await self._read_again()
            found = self._kept.get(digest)
        return found if found is not None and found.works(self._now()) else None

    async def _read_again(self) -> None:
        """Ask the store; those who come meanwhile wait for the same answer."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(asyncio.to_thread(self._read))
        reading = self._reading
        try:
            await asyncio.shield(reading)
        finally:
            if self._reading is reading and reading.done():
                self._reading = None

    def _read(self) -> None:
        with self._store.read() as tx:
            kept = {key.digest: key for key in tx.api_keys.all()}
        self._kept, self._read_at = kept, self._now()


class Presented(msgspec.Struct, frozen=True):
    """What a request shows to say who it is."""

    scheme: str = ""
    """basic, bearer, or nothing where the header is missing."""
    key: str = ""


def presented(headers: Mapping[bytes, bytes]) -> Presented:
    """The key in the header `Authorization`; what cannot be read is a wrong key.

    Of `Basic` it is the name; old clients leave out the colon behind it.
    """
    scheme, _, rest = headers.get(b"authorization", b"").decode("latin-1").strip().partition(" ")
    scheme, rest = scheme.lower(), rest.strip()
    if not scheme:
        return Presented()
    if scheme == "bearer":
        return Presented(scheme, rest)
    if scheme != "basic" or len(rest) > 2 * MOST_LETTERS:
        return Presented(scheme, "")
    try:
        pair = b64decode(rest, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return Presented(scheme, "")
    return Presented(scheme, pair.partition(":")[0])


async def admitted(
    ring: KeyRing, shown: Presented, scope: str, *, in_body: str | None = None
) -> ApiKey:
    """The key of the request, if it may do this; a problem with 401 or 403 otherwise.

    `in_body`: a key inside the body; it serves where the header has none, or holds a token of
    somebody else's sign-in.
    """
    found = await ring.find(shown.key)
    if found is None and in_body and shown.scheme != "basic":
        found = await ring.find(in_body)
    if found is None:
        raise Problem(
            401,
            "wrong-key",
            "this key is not known here, or has ended" if shown.scheme or in_body else "no key",
            hint="`aftersale keys create` makes one; send it as the name of Basic, or as Bearer",
            headers=[(b"www-authenticate", b'Basic realm="aftersale"')],
        )
    if scope not in found.scopes:
        raise Problem(
            403,
            "key-of-another-kind",
            f"key {found.id} may not do this",
            hint=f"it needs a secret key with the scope {scope!r}",
        )
    return found


class Rates:
    """How much a key may still send: a bucket that fills up again as time goes by."""

    def __init__(
        self,
        per_second: float,
        ticks: Callable[[], float],
        *,
        burst: float = LEAST_BURST,
        what: str = "events",
    ) -> None:
        """`per_second` 0: without limit. `ticks`: seconds of a clock that never goes back."""
        self._rate = per_second
        self._burst = max(per_second, burst)
        self._what = what
        self._ticks = ticks
        self._left: dict[str, tuple[float, float]] = {}
        """Key → what was left, and when that was."""

    def take(self, key: ApiKey, events: int) -> None:
        """Count the events; a problem with 429 where they are too many for now."""
        if not self._rate:
            return
        now = self._ticks()
        left, at = self._left.get(key.id, (self._burst, now))
        left = min(left + (now - at) * self._rate, self._burst)
        if events > left and left < self._burst:
            wait = b"%d" % max(math.ceil((min(events, self._burst) - left) / self._rate), 1)
            self._left[key.id] = (left, now)
            raise Problem(
                429,
                "too-fast",
                f"key {key.id} sends more than {self._rate:g} {self._what} a second",
                hint=f"send it again in {wait.decode()} seconds",
                headers=[(b"retry-after", wait), (b"x-ratelimit-reset", wait)],
            )
        self._left[key.id] = (left - events, now)
