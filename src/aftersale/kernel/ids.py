"""How are things named so that the same thing always gets the same name?"""

from hashlib import blake2b

CustomerId = int
"""Ours, given at first sight, ascending; never taken from outside."""

Position = int
"""Place of an event in the ledger, ascending from 1."""


def digest16(*parts: str | bytes) -> bytes:
    """Sixteen bytes that stand for the parts, for keys that must not collide.

    Each part is preceded by its length, so that no two lists of parts read alike.
    """
    framed = b""
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        framed += b"%d:%b" % (len(data), data)
    return blake2b(framed, digest_size=16).digest()
