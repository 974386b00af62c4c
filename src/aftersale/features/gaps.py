"""To which segment does each customer belong, and how often is each product bought again?

What `models.lifecycle` and `models.refill` ask of one customer after the other, asked of tables.
"""

import ibis
from ibis import _
from ibis.expr.types import Table

from aftersale.customers.tiers import LOYAL_ORDERS, VIP_ORDERS, VIP_REVENUE
from aftersale.kernel.instants import DAY


def segments(totals: Table, spent: Table) -> Table:
    """Tier and primary category: customer, tier, category ('' where none is known).

    `totals` has one row for each customer and currency with its orders and revenue; `spent` has
    customer, category (the top one) and amount of the lines that were kept.
    """
    tiers = totals.group_by("customer").agg(orders=_.orders.sum(), most=_.revenue.max())
    vip = (tiers.orders >= VIP_ORDERS) | (tiers.most >= VIP_REVENUE)
    named = spent.filter(_.category != "").group_by("customer", "category").agg(all=_.amount.sum())
    # Of two categories with the same sum the later name stands, as in `primary_category`.
    most = named.group_by("customer").agg(
        most=ibis.struct({"all": named["all"], "category": named.category}).max()
    )
    tier = ibis.cases((vip, "vip"), (tiers.orders >= LOYAL_ORDERS, "loyal"), else_="new")
    return (
        tiers.mutate(tier=tier)
        .left_join(most.select("customer", category=_.most["category"]), "customer")
        .select("customer", "tier", category=_.category.fill_null(""))
    )


def repeats(lines: Table) -> Table:
    """Columns product, gaps, days: how often each was bought again, and the median days between.

    `lines` has customer, at and product of what was bought and kept. A line counts with the latest
    before it of the same customer and product, unless both are of one instant.
    """
    own = ibis.window(group_by=["customer", "product"], order_by="at")
    rows = lines.select("product", "at", before=_["at"].lag().over(own))
    again = rows.filter(_["at"] > _.before).mutate(days=(_["at"] - _.before) / DAY)
    return again.group_by("product").agg(gaps=_.count(), days=_.days.median())
