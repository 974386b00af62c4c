"""Which way may a send go on from where it is?"""

from aftersale.delivery.ports import CLAIMED, DROPPED, FAILED, QUEUED, SENT, UNKNOWN

LIFE: dict[str, frozenset[str]] = {
    # To itself: it is put off. Unknown: a backup was restored. Sent or failed without a claim: a
    # receipt tells of a copy that was out when it was queued again.
    QUEUED: frozenset({QUEUED, CLAIMED, DROPPED, UNKNOWN, SENT, FAILED}),
    CLAIMED: frozenset({QUEUED, SENT, FAILED, UNKNOWN}),
    UNKNOWN: frozenset({QUEUED, SENT, FAILED}),
    SENT: frozenset({FAILED}),  # it came back
    FAILED: frozenset(),
    DROPPED: frozenset(),
}
"""Status → the statuses that may follow it. What went out is never queued again."""

OPEN = tuple(status for status, following in LIFE.items() if UNKNOWN in following)
"""Statuses of a send of which nobody knows any more when a backup was put back."""


def before(new: str) -> list[str]:
    """The statuses from which a send may become `new`."""
    return [old for old, following in LIFE.items() if new in following]


def may_move(old: str, new: str) -> bool:
    """Whether a send of status `old` may become `new`; only a queued one may stay what it is."""
    return new in LIFE.get(old, frozenset())
