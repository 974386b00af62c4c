"""How good a customer is this, by what it bought and kept?"""

from aftersale.customers.purchases import Purchases
from aftersale.kernel.instants import DAY

VIP_ORDERS, VIP_REVENUE, LOYAL_ORDERS = 5, 500_00, 2

WINDOW = 730 * DAY
"""How far back the days between orders tell how customers buy."""


def tier(bought: Purchases) -> str:
    """new, loyal (2-4 orders) or vip (5 and more, or 500 spent)."""
    if bought.count >= VIP_ORDERS or max(bought.revenue.values(), default=0) >= VIP_REVENUE:
        return "vip"
    return "loyal" if bought.count >= LOYAL_ORDERS else "new"
