"""What was observed of each customer, in two halves, for the scores that are means?

Every expression gives one row for each customer: customer, and for the halves 0 and 1 the count,
the total and the squares of what was observed. Observations are taken in turn by time, so both
halves cover the same past.
"""

import ibis
from ibis import _
from ibis.expr.types import Table

from aftersale.kernel.instants import DAY, WEEK, Instant

ACTS = (
    "product.viewed",
    "product.added_to_cart",
    "message.opened",
    "message.clicked",
    "review.submitted",
    "survey.answered",
    "tracking.viewed",
)
"""Types of signal that a customer gives by its own doing."""
WEEKS = 26
"""How far back engagement looks."""
LONGEST = 730 * DAY
"""How far back the others look."""
COLUMNS = tuple(f"{what}_{half}" for half in (0, 1) for what in ("count", "total", "squares"))


def discounted(orders: Table, until: Instant) -> Table:
    """Whether an order was bought with a discount or a code: 1 or 0, over two years."""
    some = orders.filter(_["at"] > until - LONGEST)
    paid_less = (_.discount > 0) | (_.codes > 0)
    return _halves(some.select("customer", "at", value=paid_less.cast("float64")))


def opinions(signals: Table, until: Instant) -> Table:
    """What was said of the shop on a scale of 1 to 5, over two years.

    Ratings and answers to CSAT as they are, answers to NPS (0 to 10) as 1 + 0.4 times.
    """
    some = signals.filter(_["at"] > until - LONGEST, _.score.notnull())
    plain = (some.type == "review.submitted") | (
        (some.type == "survey.answered") & (some.word == "csat")
    )
    promoter = (some.type == "survey.answered") & (some.word == "nps")
    value = ibis.cases(
        (plain, some.score.cast("float64")), (promoter, 1 + 0.4 * some.score.cast("float64"))
    )
    told = some.mutate(value=value).filter(_["value"].notnull())
    return _halves(told.select("customer", "at", value=_["value"].clip(1, 5)))


def active_weeks(orders: Table, signals: Table, until: Instant) -> Table:
    """In how many of the last 26 weeks, or of those since it was first seen, something was done."""
    acts = orders.select("customer", "at").union(
        signals.filter(_.type.isin(ACTS)).select("customer", "at")
    )
    acts = acts.mutate(week=((until - _["at"]) // WEEK).cast("int64"))
    first = acts.group_by("customer").agg(seen=_.week.max())
    recent = acts.filter(_.week < WEEKS).select("customer", "week").distinct()
    done = recent.group_by("customer").agg(
        even=_.count(where=_.week % 2 == 0), odd=_.count(where=_.week % 2 == 1)
    )
    weeks = ibis.least(_.seen + 1, WEEKS)
    halves = (
        first.left_join(done, "customer")
        .mutate(weeks=weeks, even=_.even.fill_null(0), odd=_.odd.fill_null(0))
        .mutate(count_0=(_.weeks + 1) // 2, count_1=_.weeks // 2)
    )
    return halves.select(
        "customer",
        count_0=_.count_0.cast("float64"),
        total_0=_.even.cast("float64"),
        squares_0=_.even.cast("float64"),
        count_1=_.count_1.cast("float64"),
        total_1=_.odd.cast("float64"),
        squares_1=_.odd.cast("float64"),
    )


def _halves(observed: Table) -> Table:
    """The sums of every second observation, and of the others."""
    own = ibis.window(group_by="customer", order_by=[_["at"], _["value"]])
    told = observed.mutate(half=ibis.row_number().over(own) % 2)
    sums = {}
    for half in (0, 1):
        here = told.half == half
        sums[f"count_{half}"] = here.cast("float64").sum()
        sums[f"total_{half}"] = ibis.ifelse(here, told["value"], 0.0).sum()
        sums[f"squares_{half}"] = ibis.ifelse(here, told["value"] * told["value"], 0.0).sum()
    return told.group_by("customer").agg(**sums).select("customer", *COLUMNS)
