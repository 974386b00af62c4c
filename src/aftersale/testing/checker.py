"""Did every message go out as often as the store says?

A channel's own log (how often it took each message) is held against the outbox. What is counted
as wrong can be excused by nothing: a promotion that was taken twice, a copy of anything that the
store does not know of, a message that the store calls sent and nobody took.
"""

from collections.abc import Iterable, Mapping

import msgspec

from aftersale.delivery.ports import CLAIMED, DROPPED, FAILED, QUEUED, SENT, UNKNOWN, Send
from aftersale.delivery.reasons import BOUNCED, RECEIPT, RESOLVED
from aftersale.kernel.ids import digest16
from aftersale.messages.compose import TRANSACTIONAL

_MOST_NAMED = 20


class Checked(msgspec.Struct, frozen=True):
    """What a channel's log and an outbox say of each other."""

    messages: int
    statuses: dict[str, int]
    copies: int
    """Messages that the channel took, each as often as it took it."""
    promotions_twice: int
    orders_twice: int
    """Transactional messages of which more than one copy was taken."""
    orders_explained: int
    """Those of them for which the store says that they were sent again."""
    doubted: int
    """Messages of which nobody knew at some time whether they had gone out."""
    wrong: tuple[str, ...]
    """Where log and store contradict each other, in words; the first of them."""


def check_copies(sends: Iterable[Send], copies: Mapping[str, int]) -> Checked:
    """Compare an outbox with how often a channel took each message, by key."""
    statuses: dict[str, int] = {}
    promotions = orders = explained = doubted = 0
    wrong: list[str] = []
    left = dict(copies)
    for send in sends:
        if send.kind != "message":
            continue
        statuses[send.status] = statuses.get(send.status, 0) + 1
        taken = left.pop(send.key, 0)
        doubted += bool(send.repeats) or send.status == UNKNOWN
        wrong += [f"{send.key}: {what}" for what in _contradictions(send, taken)]
        if taken > 1 and send.purpose == TRANSACTIONAL:
            orders += 1
            explained += taken <= 1 + send.repeats
        elif taken > 1:
            promotions += 1
    wrong += [f"{key}: taken, and the store has no such message" for key in sorted(left)]
    return Checked(
        sum(statuses.values()),
        dict(sorted(statuses.items())),
        sum(copies.values()),
        promotions,
        orders,
        explained,
        doubted,
        tuple(wrong[:_MOST_NAMED]),
    )


def by_key(sends: Iterable[Send], message_ids: Mapping[str, int]) -> dict[str, int]:
    """The log of a mail server by the keys of sends; a Message-ID of nobody's stays as it is."""
    keys = {digest16("message-id", send.key).hex(): send.key for send in sends}
    found: dict[str, int] = {}
    for message_id, count in message_ids.items():
        name = message_id.strip("<>").partition("@")[0]
        key = keys.get(name, message_id)
        found[key] = found.get(key, 0) + count
    return found


def _contradictions(send: Send, taken: int) -> list[str]:
    """What the number of copies says against the row; nothing where they agree."""
    found = []
    if taken > 1 + send.repeats:
        found.append(f"taken {taken} times, and the store says {send.repeats} repeats")
    if send.purpose != TRANSACTIONAL and send.repeats:
        found.append("a promotion was sent again by itself")
    told = send.reason in {RECEIPT, RESOLVED}
    if send.status == SENT and not taken and not told:
        found.append("sent, and nobody took it")
    # A first try in doubt may have arrived whatever became of the second.
    surely_not = send.status in {DROPPED, QUEUED, FAILED} and send.reason not in {BOUNCED, RESOLVED}
    if surely_not and taken > send.repeats:
        found.append(f"{send.status} ({send.reason}), and it was taken")
    if send.status == CLAIMED:
        found.append("left claimed")
    return found
