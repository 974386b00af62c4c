"""Was a lake made of this ledger, as it is now?"""

from aftersale.events.vocabulary import encode_body
from aftersale.kernel.ids import Position, digest16
from aftersale.programme.lake import Extent
from aftersale.programme.ports import Transaction

NO_ENTRY = ""


def mark_of(tx: Transaction, position: Position) -> str:
    """What tells this ledger up to the position from another one; empty where it has no entry.

    The entry there with the instant at which it came, and when a backup was last put back:
    what lies below may have changed by that, although the entry is the same.
    """
    entry = tx.ledger.entries([position]).get(position)
    if entry is None:
        return NO_ENTRY
    return digest16(
        entry.source,
        entry.id,
        entry.type,
        f"{entry.customer} {entry.at} {entry.received_at} {tx.meta.get('restored_at')}",
        encode_body(entry.body),
    ).hex()


def belongs(tx: Transaction, extent: Extent) -> bool:
    """Whether the lake was made of this ledger as it is."""
    return extent.upto == 0 or extent.mark == mark_of(tx, extent.upto)
