"""What was known of the customers at an instant?"""

from typing import TYPE_CHECKING

from aftersale.features.moments import as_of, become, living
from aftersale.kernel.instants import Instant
from aftersale.programme.lake import Lake

if TYPE_CHECKING:
    from ibis.expr.types import Table


def past(lake: Lake, until: Instant, *, learnt: Instant | None = None) -> "dict[str, Table]":
    """Every table of the history as of the instant, under the ids that customers have by now.

    Who is one person is taken as it is known today and not at the instant, so that what a
    customer did before and after it has one id. `learnt` as in `as_of`.
    """
    tables = lake.tables()
    merges = tables["merges"]
    known = lake.columns(merges.order_by("position")[["absorbed", "customer"]])
    became = become(zip(known["absorbed"].tolist(), known["customer"].tolist(), strict=True))
    return {
        name: living(as_of(table, until, learnt=learnt), became)
        for name, table in tables.items()
        if name != "merges"
    }
