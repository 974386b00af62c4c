"""Which messages were decided for each customer, and what had been read by then?"""

from collections.abc import Collection, Iterator
from itertools import groupby
from operator import attrgetter, itemgetter

from aftersale.delivery.ports import Send
from aftersale.events.event import Entry
from aftersale.kernel.ids import Position
from aftersale.programme.ports import Transaction

Known = tuple[Send, Position]
"""A message, and the last position that the turn of its decision had read."""


def sent_for(
    tx: Transaction, purposes: Collection[str]
) -> Iterator[tuple[list[Entry], list[Known]]]:
    """Per customer its entries by position, and its messages of the purposes by what was read."""
    upto = dict(tx.decisions.read_upto())
    sends: dict[int, list[Known]] = {}
    for send in tx.outbox.all():
        if send.kind == "message" and send.purpose in purposes:
            known = (send, upto.get((send.customer, send.seq), 0))
            sends.setdefault(tx.identities.living(send.customer), []).append(known)
    people = tx.ledger.of_customers(1, tx.identities.last())
    for customer, entries in groupby(people, key=attrgetter("customer")):
        if customer in sends:
            yield (
                sorted(entries, key=attrgetter("position")),
                sorted(sends.pop(customer), key=itemgetter(1)),
            )
    for left in sends.values():
        yield [], left
