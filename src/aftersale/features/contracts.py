"""What was told of the contracts of customers, by time?"""

from ibis import _
from ibis.expr.types import Table

TELLS = "subscription.updated"


def tellings(signals: Table) -> Table:
    """Columns customer, contract, at, day, status and renews_at (null where nobody said).

    One row for each telling, those of one contract together and by time; `at` and `renews_at` are
    microseconds UTC, `day` is that of the shop's zone.
    """
    told = signals.filter(_.type == TELLS, _.about != "")
    return told.order_by("about", "at", "position").select(
        "customer", "at", "day", contract="about", status="word", renews_at="score"
    )
