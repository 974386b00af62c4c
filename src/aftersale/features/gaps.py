"""How long do customers of each segment wait between two orders, counted for everybody at once?

The same question as `models.lifecycle.Gaps`, asked of tables. The counts of customers and of
shards add up (`Gaps.take`), and quantiles are read from the counts alone.
"""

import ibis
from ibis import _
from ibis.expr.types import Table

from aftersale.customers.tiers import LOYAL_ORDERS, VIP_ORDERS, VIP_REVENUE, WINDOW
from aftersale.kernel.instants import DAY, Instant


def segments(totals: Table, spent: Table) -> Table:
    """Tier and primary category: customer, tier, category ('' where none is known).

    `totals` has one row for each customer and currency with its orders and revenue; `spent` has
    customer, category (the top one) and amount of the lines that were kept.
    """
    tiers = totals.group_by("customer").agg(orders=_.orders.sum(), most=_.revenue.max())
    vip = (tiers.orders >= VIP_ORDERS) | (tiers.most >= VIP_REVENUE)
    named = spent.filter(_.category != "").group_by("customer", "category").agg(all=_.amount.sum())
    # Of two categories with the same sum the later name stands, as in `primary_category`.
    first = ibis.window(group_by="customer", order_by=[named.all.desc(), named.category.desc()])
    most = named.mutate(nth=ibis.row_number().over(first)).filter(_.nth == 0)
    tier = ibis.cases((vip, "vip"), (tiers.orders >= LOYAL_ORDERS, "loyal"), else_="new")
    return (
        tiers.mutate(tier=tier)
        .left_join(most.select("customer", "category"), "customer")
        .select("customer", "tier", category=_.category.fill_null(""))
    )


def histogram(bought: Table, segments: Table, until: Instant) -> Table:
    """Counts of gaps: tier, category, days, closed, waiting.

    `bought` has customer and at of each order that counts. A gap is closed by an order of the
    last two years; the gap since the latest order is open, for whoever ordered before that.
    """
    own, nothing = ibis.window(group_by="customer", order_by="at"), ibis.literal(0, "int64")
    rows = bought.select("customer", "at", before=bought["at"].lag().over(own))
    closed = rows.filter(_.before.notnull(), _["at"] > until - WINDOW).select(
        "customer", days=(_["at"] - _.before) // DAY
    )
    latest = bought.group_by("customer").agg(last=_["at"].max(), orders=_.count())
    waiting = latest.filter(_.orders >= LOYAL_ORDERS).select(
        "customer", days=(until - _.last) // DAY
    )
    return (
        _by_segment(closed, segments)
        .select("tier", "category", "days", closed=_.number, waiting=nothing)
        .union(
            _by_segment(waiting, segments).select(
                "tier", "category", "days", closed=nothing, waiting=_.number
            )
        )
        .group_by("tier", "category", "days")
        .agg(closed=_.closed.sum(), waiting=_.waiting.sum())
    )


def _by_segment(gaps: Table, segments: Table) -> Table:
    of_segment = gaps.inner_join(segments, "customer").group_by("tier", "category", "days")
    return of_segment.agg(number=_.count())
