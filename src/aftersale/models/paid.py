"""On which days did this customer buy, and what did it pay then?

What counts is what `purchases` counts. An order of which some lines went back counts with the
share that stayed. Orders that were closed into a summary are laid out again: the newest by the
gaps that were kept, earlier ones evenly back to the first, each with the mean of their sum.
"""

from aftersale.customers.profile import NEVER, Closed, Profile
from aftersale.customers.purchases import IN_ANOTHER_CURRENCY, Purchase, Purchases
from aftersale.kernel.instants import DAY, Instant
from aftersale.kernel.zones import day_number


def paid_days(profile: Profile, bought: Purchases, zone: str) -> list[tuple[int, float]]:
    """(days since 1970-01-01 on the zone's calendar, minor units), one for each order."""
    currency, closed = bought.currency, profile.closed
    found = []
    if closed is not None and closed.orders:
        amount = IN_ANOTHER_CURRENCY
        if currency in closed.revenue:
            amount = max(closed.revenue[currency] / closed.orders, 0.0)
        found = [(day_number(at, zone), amount) for at in laid_out(closed)]
    found += [
        (
            day_number(purchase.at, zone),
            _stayed(profile, purchase) if purchase.currency == currency else IN_ANOTHER_CURRENCY,
        )
        for purchase in bought.kept
    ]
    return found


def _stayed(profile: Profile, purchase: Purchase) -> float:
    """The part of an order's total that belongs to the lines that stayed."""
    lines = profile.orders[purchase.key].lines
    if purchase.lines is lines:
        return float(purchase.total)
    ordered = sum(line.amount for line in lines)
    kept = sum(line.amount for line in purchase.lines)
    return purchase.total * kept / ordered if ordered > 0 else float(purchase.total)


def laid_out(closed: Closed) -> list[Instant]:
    """When the closed orders may have been placed, ascending."""
    instants = [closed.newest]
    for gap in closed.gaps[::-1][: closed.orders - 1]:
        instants.append(instants[-1] - gap * DAY)
    missing = closed.orders - len(instants)
    oldest = instants[-1]
    first = closed.first_order_at if closed.first_order_at != NEVER else oldest
    step = (oldest - min(first, oldest)) / max(missing, 1)
    instants += [oldest - round(step * n) for n in range(1, missing + 1)]
    return instants[::-1]
