"""How do events get into the ledger, once each and with their customer?

One call, one transaction: after it returns and the transaction commits, the events are durable
and will act exactly once; before that, nothing happened.
"""

from collections.abc import Sequence

import msgspec

from aftersale.events.event import Event
from aftersale.events.vocabulary import CatalogueUpdated, ProductFacts, encode_body
from aftersale.kernel.ids import digest16
from aftersale.kernel.instants import Instant
from aftersale.ledger.admission import admit, arrive
from aftersale.ledger.ports import NewEntry, PersonalRow
from aftersale.programme.ports import Transaction
from aftersale.runtime.receipts import heed_receipts
from aftersale.runtime.suppression import without_erased


class TakenIn(msgspec.Struct, frozen=True):
    """How a batch was taken in."""

    new: int
    duplicates: int
    conflicts: int
    clamped: int = 0
    customers: int = 0
    merges: int = 0


def take_in(
    tx: Transaction,
    events: Sequence[Event],
    *,
    received_at: Instant | Sequence[Instant],
    history: bool = False,
) -> TakenIn:
    """Admit the events in order; `received_at` is one instant for all, or ascending, one each."""
    events = without_erased(tx, events)
    if isinstance(received_at, int):
        arrivals = [arrive(event, received_at, history=history) for event in events]
    else:
        arrivals = [
            arrive(event, at, history=history)
            for event, at in zip(events, received_at, strict=True)
        ]
    identities = tx.identities
    refs = list({ref for event in events for ref in event.refs})
    found = admit(
        arrivals,
        tx.ledger.seen([arrival.key for arrival in arrivals]),
        identities.find(refs),
        next_customer=identities.last() + 1,
        refs_of=identities.refs_of,
    )
    if found.created:
        identities.create(found.created, arrivals[0].received_at)
    if found.bindings:
        identities.bind(list(found.bindings.items()))
    for absorbed, survivor in found.merges:
        identities.point(absorbed, survivor)
    positions = tx.ledger.append(found.entries)
    heed_receipts(tx, found.entries)
    if found.personal:
        tx.personal.put(
            [
                PersonalRow(customer, positions[n], at, data)
                for n, customer, at, data in found.personal
            ]
        )
    if found.conflicts:
        tx.ledger.add_conflicts(found.conflicts)
    return TakenIn(
        len(found.entries) - len(found.merges),
        found.duplicates,
        len(found.conflicts),
        found.clamped,
        found.created,
        len(found.merges),
    )


def is_past(tx: Transaction) -> bool:
    """Whether the engine never ran: until then everything that comes in is history."""
    return tx.journal.last() is None


def own_entry(
    kind: str,
    name: str,
    payload: bytes,
    at: Instant,
    *,
    customer: int = 0,
    history: bool = False,
) -> NewEntry:
    """An event that aftersale itself writes, under a name that makes it happen once."""
    return NewEntry(
        digest16("aftersale", name),
        digest16(payload)[:8],
        customer,
        kind,
        at,
        at,
        "",
        "aftersale",
        name,
        history,
        payload,
    )


def describe_products(
    tx: Transaction, products: Sequence[ProductFacts], at: Instant, *, history: bool = False
) -> bool:
    """Let the catalogue know what a source told of products; False where it is no news."""
    told = tuple(sorted(products, key=lambda product: product.product))
    payload = encode_body(CatalogueUpdated(products=told))
    entry = own_entry(
        "catalogue.updated", f"catalogue:{digest16(payload).hex()}", payload, at, history=history
    )
    if tx.ledger.seen([entry.key]):
        return False
    tx.ledger.append([entry])
    return True
