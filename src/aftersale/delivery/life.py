"""Which way may a send go on from where it is?"""

from aftersale.delivery.ports import CLAIMED, DROPPED, FAILED, QUEUED, SENT, UNKNOWN

LIFE: dict[str, frozenset[str]] = {
    QUEUED: frozenset({CLAIMED, DROPPED, UNKNOWN}),  # unknown: only after a restored backup
    CLAIMED: frozenset({SENT, FAILED, UNKNOWN}),
    UNKNOWN: frozenset({SENT, FAILED, QUEUED}),
    SENT: frozenset(),
    FAILED: frozenset(),
    DROPPED: frozenset(),
}
"""Status → the statuses that may follow it; a send that went out stays out."""


def may_move(old: str, new: str) -> bool:
    """Whether a send of status `old` may become `new`; staying as it is is no move."""
    return new in LIFE.get(old, frozenset())
