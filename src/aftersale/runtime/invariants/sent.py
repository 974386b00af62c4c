"""Which messages were decided for each person, and what had been read by then?"""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from aftersale.events.event import Entry
from aftersale.kernel.ids import CustomerId, Position
from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.columns import Message, Messages, packed, unpacked

Known = tuple[Message, Position]
"""A message, and the last position that the turn of its decision had read."""


def sent_for(
    tx: Transaction, purposes: Collection[str]
) -> Iterator[tuple[list[Entry], list[Known]]]:
    """Per person the entries by position, and the messages of the purposes by what was read.

    A person has everything that was told and decided under each of its ids.
    """
    messages = Messages(tx, purposes)
    read = _read(tx, messages)
    living = _living(tx, messages)
    order = sorted(messages.order, key=lambda place: (living[place], read[place]))
    waiting = (
        (customer, [(messages.at(place), read[place]) for place in places])
        for customer, places in groupby(order, key=living.__getitem__)
    )
    following = next(waiting, None)
    for customer, entries in groupby(
        tx.ledger.of_customers(1, tx.identities.last()), key=attrgetter("customer")
    ):
        while following is not None and following[0] < customer:
            yield [], following[1]
            following = next(waiting, None)
        if following is not None and following[0] == customer:
            yield sorted(entries, key=attrgetter("position")), following[1]
            following = next(waiting, None)
    if following is not None:
        yield [], following[1]
    yield from (([], sends) for _, sends in waiting)


def _read(tx: Transaction, messages: Messages) -> Sequence[int]:
    """Per message what the turn of its decision had read, 0 where no decision is known."""
    rows = array("Q"), array("q")
    for (customer, seq), upto in tx.decisions.read_upto():
        rows[0].append(packed(customer, seq))
        rows[1].append(upto)
    order = sorted(range(len(rows[0])), key=rows[0].__getitem__)
    names = array("Q", map(rows[0].__getitem__, order))
    uptos = array("q", map(rows[1].__getitem__, order))
    found = array("q")
    for name in messages.names:
        place = bisect_left(names, name)
        found.append(uptos[place] if place < len(names) and names[place] == name else 0)
    return found


def _living(tx: Transaction, messages: Messages) -> Sequence[int]:
    """Per message the id that its customer has become."""
    found = array("Q", bytes(8 * len(messages.names)))
    last: tuple[CustomerId, CustomerId] = (-1, -1)
    for place in messages.order:
        customer, _ = unpacked(messages.names[place])
        if customer != last[0]:
            last = customer, tx.identities.living(customer)
        found[place] = last[1]
    return found
