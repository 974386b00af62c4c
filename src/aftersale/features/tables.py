"""Which columns does the history have, from which every feature is computed?

The history is what the ledger tells, laid out as tables: one row for one telling, appended by
position, without anything that names a person. A fact may be told several times (by two sources,
or late and corrected); which telling stands is decided by whoever reads, by natural keys.

`at` is when it happened and `received_at` when the store learnt of it, both int64 microseconds
UTC. `day` counts days from 1970-01-01 on the calendar of the shop's zone. `customer` is the id
under which the entry was admitted; `merges` says which id that has become.
"""

import ibis
from ibis.expr.schema import Schema

_HEAD = {
    "position": "int64",
    "customer": "int64",
    "at": "int64",
    "received_at": "int64",
    "day": "int32",
}


def _table(**columns: str) -> Schema:
    return ibis.schema({**_HEAD, **columns})


ORDERS = _table(
    order="string",
    shop="string",
    currency="string",
    total="int64",
    discount="int64",
    codes="int32",
    lines="int32",
    gift="boolean",
)
"""One row for each telling of an order. `order` carries its shop in front, as in the profile;
`discount` and `total` are minor units, `codes` and `lines` how many there are."""

LINES = _table(
    order="string",
    place="int32",
    product="string",
    quantity="int64",
    amount="int64",
)
"""One row for each line of each telling of an order; `place` counts from 0."""

UNDONE = _table(
    kind="string",
    record="string",
    order="string",
    product="string",
    quantity="int64",
    amount="int64",
)
"""What took an order or a part of it back. `kind` is cancelled, returned or refunded. An empty
`product` means the whole order; an empty `order` on a return means that it names none. `record`
is the return or the refund. A refund has its money in `amount`."""

SIGNALS = _table(
    type="string",
    about="string",
    product="string",
    order="string",
    channel="string",
    score="int64",
    word="string",
)
"""Everything else a customer did or was told: looks, baskets, messages, tickets, reviews, surveys,
parcels, contracts. `about` is the message, ticket, review, survey, parcel or contract; `score` the
quantity, rating or answer, or the instant at which a contract renews (null where there is none);
`word` the kind, category or status that the event names."""

SCORED = _table(
    score="string",
    product="string",
    value="float64",
    band="string",
)
"""What models said of the customer when it mattered; `value` is null where they fell silent."""

MERGES = _table(absorbed="int64")
"""`absorbed` has become `customer`."""

TABLES = {
    "orders": ORDERS,
    "lines": LINES,
    "undone": UNDONE,
    "signals": SIGNALS,
    "scored": SCORED,
    "merges": MERGES,
}
"""Name → columns of every table of the history."""
