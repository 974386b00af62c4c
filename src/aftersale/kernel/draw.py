"""How does chance enter a decision that must come out the same again?

A draw is a hash of a key: the same key always draws the same number, keys draw independently.
"""

from hashlib import blake2b

_SPAN = float(1 << 64)


def draw(*key: str | int) -> float:
    """A number in [0, 1), a function of the key's parts alone."""
    text = "\x1f".join(map(str, key)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") / _SPAN
