"""How does a link prove that we made it?

A token is `1.PAYLOAD.CODE`, all of it safe in a URL. The code is HMAC-SHA256 (RFC 2104, cut to
16 bytes) under a key of its own for each purpose, so a token for one purpose is worth nothing
for another. The payload can be read by anyone: put ids into it, never an address. Tokens do not
expire, for nothing in here knows the time; put an instant among the parts where one must.
"""

import base64
import binascii
import hmac
from functools import lru_cache

import msgspec

_VERSION = "1"
_LENGTH = 16
_LONGEST = 2_000


@lru_cache(maxsize=32)
def _key(secret: bytes, purpose: str) -> bytes:
    if not secret:
        raise ValueError("a link cannot be signed with an empty secret")
    return hmac.digest(secret, b"aftersale link " + purpose.encode(), "sha256")


def _code(secret: bytes, purpose: str, payload: str) -> str:
    key = _key(secret, purpose)
    code = hmac.digest(key, f"{_VERSION}.{payload}".encode(), "sha256")[:_LENGTH]
    return base64.urlsafe_b64encode(code).decode().rstrip("=")


def sign(secret: bytes, purpose: str, *parts: str) -> str:
    """A token that carries the parts and proves they are ours."""
    packed = base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")
    return f"{_VERSION}.{packed}.{_code(secret, purpose, packed)}"


def verify(secret: bytes, purpose: str, token: str) -> tuple[str, ...] | None:
    """The parts of a token that `sign` made with this secret and purpose, else None.

    Constant time in the code. Try the old secret too while secrets are being changed.
    """
    version, _, rest = token.partition(".")
    payload, _, code = rest.partition(".")
    if version != _VERSION or len(token) > _LONGEST or not token.isascii():
        return None
    if not hmac.compare_digest(_code(secret, purpose, payload), code):
        return None
    try:
        packed = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return msgspec.json.decode(packed, type=tuple[str, ...])
    except (binascii.Error, msgspec.DecodeError):
        return None
