"""What of the history was known at an instant, and whose is it by now?

Every feature reads its tables through these two, so that none sees what happened later.
"""

from collections.abc import Iterable

import ibis
from ibis.expr.types import Table

from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant


def as_of(table: Table, until: Instant, *, learnt: Instant | None = None) -> Table:
    """The rows that had happened at the instant.

    `learnt` keeps only what the store had heard of by then: a telling that came late is left out.
    """
    narrowed = table.filter(table.at <= until)
    return narrowed if learnt is None else narrowed.filter(narrowed.received_at <= learnt)


def become(merges: Iterable[tuple[CustomerId, CustomerId]]) -> dict[CustomerId, CustomerId]:
    """Absorbed id → the id it has become at last, of (absorbed, survivor) in their order."""
    into = dict(merges)
    found = {}
    for absorbed in into:
        last, passed = absorbed, [absorbed]
        while last in into and into[last] not in passed:
            last = into[last]
            passed.append(last)
        found[absorbed] = last
    return found


def living(table: Table, became: dict[CustomerId, CustomerId]) -> Table:
    """The rows under the ids that their customers have by now; those of nobody are left out.

    The columns stay as they are. Whoever was erased is in no table that a lake gives.
    """
    someone = table.filter(table.customer != 0)
    if not became:
        return someone
    pointers = ibis.memtable(
        {"absorbed": list(became), "survivor": list(became.values())},
        schema=ibis.schema({"absorbed": "int64", "survivor": "int64"}),
    )
    joined = someone.left_join(pointers, someone.customer == pointers.absorbed)
    customer = ibis.coalesce(joined.survivor, joined.customer)
    return joined.mutate(customer=customer).select(*table.columns)
