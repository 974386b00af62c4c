"""With what does a program prove who it is, and what is kept of it?

A key is 160 random bits; the store keeps its digest only. So a plain digest is enough: nobody
guesses 160 bits, and a slow one would cost a second of every thousand requests.
"""

from base64 import b32encode
from collections.abc import Collection
from hashlib import blake2b
from typing import Protocol

import msgspec

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant

INGEST, SECRET = "ingest", "secret"
KINDS = (INGEST, SECRET)
SCOPES = {
    "ingest": "send events",
    "read": "read customers, events, decisions, journeys, messages and scores",
}
"""Scope → what it allows."""

_SIGNS = {INGEST: "asi_", SECRET: "ass_"}
RANDOM_BYTES = 20
_ID_LETTERS = 8
MOST_LETTERS = 256
"""A text that is longer is no key."""


class ApiKey(msgspec.Struct, frozen=True, gc=False):
    """What the store keeps of a key."""

    id: str
    """By which people name it; the key itself cannot be made from it."""
    name: str
    kind: str
    scopes: tuple[str, ...]
    shop: str
    """Whose numbers of orders and customers its events tell."""
    digest: bytes
    created_at: Instant
    ends_at: Instant | None = None
    """From when on it is refused."""

    def works(self, now: Instant) -> bool:
        """Whether it is still taken."""
        return self.ends_at is None or now < self.ends_at


class ApiKeys(Protocol):
    """The keys of programs that talk to this installation."""

    def add(self, key: ApiKey) -> None:
        """Keep a new key; ValueError where its id or digest is there."""
        ...

    def all(self) -> list[ApiKey]:
        """Every key, also those that ended, the oldest first."""
        ...

    def end(self, key: str, at: Instant) -> bool:
        """Let the key of that id end at the instant, if it does not end earlier; False: no such."""
        ...


def make_key(
    random: bytes,
    *,
    kind: str,
    name: str,
    shop: str,
    now: Instant,
    scopes: Collection[str] = (),
) -> tuple[str, ApiKey]:
    """The key that is shown once, and what is kept of it. An ingestion key only sends events."""
    if kind not in KINDS:
        raise Refusal(f"{kind!r} is no kind of key", hint=f"there are {', '.join(KINDS)}", code=2)
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown:
        hint = f"there are {', '.join(SCOPES)}"
        raise Refusal(f"{unknown[0]!r} is no scope", where="--scope", hint=hint, code=2)
    if kind == INGEST and set(scopes) - {"ingest"}:
        raise Refusal(
            "an ingestion key sends events and nothing else",
            where="--scope",
            hint="make a secret key",
            code=2,
        )
    granted = ("ingest",) if kind == INGEST else tuple(sorted(set(scopes) or {"ingest", "read"}))
    text = _SIGNS[kind] + b32encode(random).decode().lower()
    digest = digest_of(text)
    public = b32encode(blake2b(digest, digest_size=5).digest()).decode().lower()[:_ID_LETTERS]
    return text, ApiKey(public, name, kind, granted, shop, digest, now)


def digest_of(text: str) -> bytes:
    """Under what a key is kept and found."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest()
