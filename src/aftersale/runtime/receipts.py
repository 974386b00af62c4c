"""What does an event tell of a message that we sent?

A receipt may arrive before we have written down what the channel answered: it is true at once,
in the transaction that admits it, and what is written later changes nothing of it.
"""

from collections.abc import Sequence

from aftersale.delivery.ports import FAILED, SENT
from aftersale.delivery.reasons import BOUNCED, RECEIPT, REFUSED
from aftersale.events.vocabulary import MessageEvent, decode_body
from aftersale.ledger.ports import NewEntry
from aftersale.programme.ports import Transaction

RECEIPTS = frozenset(
    {
        "message.sent",
        "message.delivered",
        "message.opened",
        "message.clicked",
        "message.bounced",
        "message.complained",
        "message.unsubscribed",
        "message.failed",
    }
)
"""Types that only come of a message that was handed over."""


def heed_receipts(tx: Transaction, entries: Sequence[NewEntry]) -> None:
    """Move the sends that new entries tell of: out, not out after all, or come back.

    A soft bounce says that the message went out; whether it arrives is still open.
    """
    for entry in entries:
        if entry.type not in RECEIPTS:
            continue
        body = decode_body(entry.type, entry.payload)
        if not isinstance(body, MessageEvent) or ":" not in body.message:
            continue  # every key of ours has colons
        send = tx.outbox.get(body.message)
        if send is None or send.kind != "message":
            continue
        at = max(entry.at, send.status_at)
        if entry.type == "message.failed":
            tx.outbox.move(send.key, FAILED, at, reason=REFUSED)
        elif entry.type == "message.bounced" and body.kind != "soft":
            tx.outbox.move(send.key, FAILED, at, reason=BOUNCED)
        else:
            tx.outbox.move(send.key, SENT, at, reason=RECEIPT)
