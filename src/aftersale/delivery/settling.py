"""What follows for a send from what its channel answered?

A message that was not taken is tried again, later each time; whoever was told by a server to wait
would otherwise be told so at once again. What nobody knows is sent again once where the customer
needs it (a transactional message), and else never by itself.
"""

import msgspec

from aftersale.delivery.channel import Result
from aftersale.delivery.ports import FAILED, QUEUED, UNKNOWN, Send
from aftersale.delivery.reasons import (
    CONNECTION_LOST,
    GAVE_UP,
    RAN_OUT,
    REPEATED,
    UNREACHABLE,
)
from aftersale.kernel.draw import draw
from aftersale.kernel.instants import HOUR, MINUTE, SECOND, Duration, Instant
from aftersale.messages.compose import TRANSACTIONAL

MOST_TRIES = 10
LONGEST_PAUSE: Duration = 4 * HOUR
FIRST_PAUSE: dict[str, Duration] = {
    "421": 2 * MINUTE,  # the server is going away or has too many connections
    "450": 5 * MINUTE,  # the mailbox is busy, or a stranger is to come again (greylisting)
    "451": 5 * MINUTE,
    "452": 15 * MINUTE,  # no room: that takes longer to mend
}
"""By the code of the answer (RFC 5321, section 4.2.3); each further pause is twice as long."""
OTHER_PAUSE: Duration = 5 * MINUTE
AFTER_A_LOST_CONNECTION: Duration = 30 * SECOND
SPREAD = 0.2
"""Pauses are longer by up to this share, drawn: what failed together comes back one by one."""

REPEAT_AFTER: Duration = 5 * MINUTE
"""How long a receipt has to tell that a message in doubt went out, before it is sent again."""


class Move(msgspec.Struct, frozen=True, gc=False):
    """One move of a send in its life, as the outbox writes it."""

    status: str
    reason: str = ""
    provider_id: str = ""
    not_before: Instant = 0
    tried: int = 0
    repeated: int = 0


def settled(send: Send, result: Result, at: Instant) -> tuple[Move, ...]:
    """The moves that a result of the instant `at` makes, in order."""
    if result.status == UNKNOWN:
        return (Move(UNKNOWN, result.reason, result.provider_id), *in_doubt(send, at))
    if result.status != QUEUED:
        return (Move(result.status, result.reason, result.provider_id),)
    if result.whole or not result.tried:
        # Not before now: it is due behind all that waited with it, and another one is tried next.
        return (Move(QUEUED, result.reason, not_before=max(result.not_before, at)),)
    detail = result.reason.partition(": ")[2] or result.reason
    tries = send.attempts + 1
    if tries >= MOST_TRIES:
        return (Move(FAILED, f"{GAVE_UP}: {detail}", tried=1),)
    not_before = at + pause(send.key, tries, result.reason)
    if send.useful_until is not None and not_before >= send.useful_until:
        return (Move(FAILED, f"{RAN_OUT}: {detail}", tried=1),)
    return (Move(QUEUED, result.reason, not_before=not_before, tried=1),)


def in_doubt(send: Send, at: Instant) -> tuple[Move, ...]:
    """What follows by the class of a message of which nobody knows whether it went out."""
    not_before = at + REPEAT_AFTER
    useful = send.useful_until is None or not_before < send.useful_until
    if send.purpose == TRANSACTIONAL and send.repeats == 0 and useful:
        return (Move(QUEUED, REPEATED, not_before=not_before, repeated=1),)
    return ()


def pause(key: str, tries: int, reason: str) -> Duration:
    """How long to wait after so many tries (at least one); twice as long after each."""
    code, _, detail = reason.partition(": ")
    first = (
        AFTER_A_LOST_CONNECTION
        if code == CONNECTION_LOST
        else FIRST_PAUSE.get(detail[:3], OTHER_PAUSE)
    )
    plain = min(first << min(tries - 1, 20), LONGEST_PAUSE)
    return plain + int(plain * SPREAD * draw("pause", key, tries))


class Trouble(msgspec.Struct, frozen=True, gc=False):
    """A channel that takes nothing at the moment."""

    reason: str
    since: Instant
    until: Instant
    """When one message is offered again, to see."""
    times: int = 1


def troubled(before: Trouble | None, reason: str, at: Instant) -> Trouble:
    """The trouble after it was met at `at`, again or for the first time."""
    times = before.times + 1 if before is not None else 1
    first, longest = (
        (10 * SECOND, 5 * MINUTE)
        if reason.partition(": ")[0] == UNREACHABLE
        else (MINUTE, 15 * MINUTE)  # somebody has to change something
    )
    rest = min(first << min(times - 1, 20), longest)
    return Trouble(reason, before.since if before is not None else at, at + rest, times)
