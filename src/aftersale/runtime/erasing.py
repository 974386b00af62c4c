"""How is a person forgotten, and kept from coming back?

What names the person is deleted; ids and the facts of decisions stay. Keyed hashes of the ids
by which the person was known stay too: an event that carries one later belongs to nobody.
"""

from aftersale.delivery.ports import DROPPED, QUEUED
from aftersale.events.vocabulary import ConsentEvent, encode_body
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.intake import own_entry
from aftersale.runtime.suppression import marks_of

CHANNELS = ("email", "sms", "push")


def erase(tx: Transaction, customer: CustomerId, at: Instant) -> dict[str, int]:
    """Forget the customer; rows changed per table, and messages that were called off."""
    marks = list(marks_of(tx, tx.identities.refs_of(customer)).values())
    waiting = [send for send in tx.outbox.of(customer) if send.status == QUEUED]
    for send in waiting:
        tx.outbox.move(send.key, DROPPED, at, reason="erased")
    tx.ledger.append(
        [
            own_entry(
                "consent.withdrawn",
                f"erased:{customer}:{channel}",
                encode_body(ConsentEvent(channel=channel, basis="erased")),
                at,
                customer=customer,
            )
            for channel in CHANNELS
        ]
    )
    changed = tx.personal.erase(customer, at, marks)
    return {**changed, "called off": len(waiting)}


def would_change(tx: Transaction, customer: CustomerId) -> dict[str, int]:
    """How many rows an erasure would change, per table."""
    sends = tx.outbox.of(customer)
    return {
        "personal": len(tx.personal.of(customer)),
        "identities": len(tx.identities.refs_of(customer)),
        "outbox": len(sends),
        "mailbox": len(tx.mailbox.newest(customer=customer, limit=100_000)),
        "requests": len(tx.requests.naming(customer)),
        "called off": sum(send.status == QUEUED for send in sends),
    }
