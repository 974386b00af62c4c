"""How is what shops and carriers say of parcels put into our events?

A carrier that knows the order tells of the order's parcel; one that knows only its own number
tells of the parcel, and whose it is follows from whoever told the number with an order.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from aftersale.kernel.instants import Instant
from aftersale.translation.happening import Happening


class Word(msgspec.Struct, frozen=True):
    """One word on where a parcel is."""

    status: str
    """Of `events.vocabulary.PARCEL_STATUSES`."""
    at: Instant | None


class Parcel(msgspec.Struct, frozen=True):
    """Which parcel is meant, and what else is known of it."""

    number: str
    """The tracking number, or the shop's own number where there is none."""
    order: str = ""
    tracking: str = ""
    tracking_url: str = ""
    carrier: str = ""
    promised_at: Instant | None = None
    customer: Mapping[str, Any] = {}


_OF_ORDERS = {"in_transit": "order.shipped", "delivered": "order.delivered"}


def moves(parcel: Parcel, words: Iterable[Word]) -> Iterator[Happening]:
    """One happening for each change of status, in the order of their times."""
    data = {
        "parcel": parcel.number,
        "order": parcel.order,
        "carrier": parcel.carrier,
        "promised_at": parcel.promised_at,
        "tracking": parcel.tracking,
        "tracking_url": parcel.tracking_url,
    }
    before = ""
    for word in sorted(words, key=lambda word: word.at or 0):
        if word.status == before:
            continue
        before = word.status
        kind = _OF_ORDERS.get(word.status, "") if parcel.order else ""
        told = data if kind else {**data, "status": word.status}
        if kind == "order.delivered":
            told = {**told, "carrier": "", "promised_at": None}
        yield Happening(kind or "parcel.updated", word.at, parcel.customer, told)
