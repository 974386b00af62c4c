"""Are these the same decisions?

The digest is SHA-256 over the decisions ordered by customer and number, each as sixteen bytes of
the hash of its encoded form. The turn in which a decision fell is not part of it.
"""

from collections.abc import Iterable
from hashlib import blake2b, sha256

import msgspec

from aftersale.turn.decision import Decision

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def mark(decision: Decision) -> bytes:
    """Sixteen bytes that stand for one decision."""
    return blake2b(_encode(decision), digest_size=16).digest()


def digest(decisions: Iterable[Decision]) -> str:
    """The digest of decisions that come in order of (customer, number)."""
    whole = sha256()
    for decision in decisions:
        whole.update(mark(decision))
    return whole.hexdigest()
