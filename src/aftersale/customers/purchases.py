"""What did this customer buy and keep?

Read from the profile when it is needed. An order counts once it is placed, until it is cancelled
as a whole or every line of it went back. A return that names no order is taken from the latest
earlier purchase of the same product that still has as many left.
"""

from collections import defaultdict
from collections.abc import Set as AbstractSet

import msgspec

from aftersale.customers.profile import NEVER, Order, Profile
from aftersale.events.vocabulary import Line
from aftersale.kernel.instants import DAY, Instant

IN_ANOTHER_CURRENCY = -1.0
"""The amount of a purchase that is not in the customer's currency."""

Time = tuple[Instant, str, int]
"""One purchase of a product: (instant, order, quantity that stayed)."""


class Purchase(msgspec.Struct, frozen=True, gc=False):
    """One order that counts, with the quantities that stayed with the customer."""

    at: Instant
    key: str
    currency: str
    total: int
    lines: tuple[Line, ...]


class Purchases(msgspec.Struct, frozen=True):
    """All that counts, the oldest first, closed orders as sums."""

    kept: tuple[Purchase, ...]
    count: int
    first_at: Instant
    last_at: Instant
    revenue: dict[str, int]
    """Per currency: totals less refunds."""
    gaps: tuple[int, ...]
    """Whole days between consecutive orders that count, the oldest first."""

    @property
    def currency(self) -> str:
        """The currency in which most was bought."""
        return max(self.revenue, key=lambda name: (self.revenue[name], name), default="")


def purchases(profile: Profile) -> Purchases:
    """What the customer bought and kept, as the profile tells it."""
    gone = _gone(profile) if profile.returns else {}
    kept = []
    for key, order in profile.orders.items():
        if order.at == NEVER or order.cancelled_at != NEVER:
            continue
        lines = order.lines
        if key in gone or order.cancelled:
            lines = _left(order, gone.get(key, {}))
            if order.lines and not lines:
                continue
        kept.append(Purchase(order.at, key, order.currency, order.total, lines))
    kept.sort(key=lambda purchase: (purchase.at, purchase.key))
    return _summed(profile, kept)


def by_product(profile: Profile, wanted: AbstractSet[str]) -> dict[str, list[Time]]:
    """Each wanted product → its purchases, the oldest first."""
    gone = _gone(profile) if profile.returns else {}
    found: dict[str, list[Time]] = {product: [] for product in wanted}
    for key, order in profile.orders.items():
        if order.at == NEVER or order.cancelled_at != NEVER:
            continue
        for line in order.lines:
            if line.product in wanted:
                break
        else:
            continue
        lines = order.lines
        if key in gone or order.cancelled:
            lines = _left(order, gone.get(key, {}))
        for line in lines:
            if line.product in wanted:
                times = found[line.product]
                if times and times[-1][1] == key:
                    times[-1] = (order.at, key, times[-1][2] + line.quantity)
                else:
                    times.append((order.at, key, line.quantity))
    for times in found.values():
        if len(times) > 1:
            times.sort()
    return found


def _summed(profile: Profile, kept: list[Purchase]) -> Purchases:
    closed = profile.closed
    revenue = dict(closed.revenue) if closed else {}
    instants = [purchase.at for purchase in kept]
    for purchase in kept:
        revenue[purchase.currency] = revenue.get(purchase.currency, 0) + purchase.total
    for refund in profile.refunds.values():
        revenue[refund.currency] = revenue.get(refund.currency, 0) - refund.amount
    gaps = list(closed.gaps) if closed else []
    closed_last = closed.newest if closed else NEVER
    before = closed_last or None
    for at in instants:
        if before is not None:
            gaps.append((at - before) // DAY)
        before = at
    first = closed.first_order_at if closed and closed.first_order_at != NEVER else NEVER
    return Purchases(
        kept=tuple(kept),
        count=len(kept) + (closed.orders if closed else 0),
        first_at=first or (instants[0] if instants else NEVER),
        last_at=instants[-1] if instants else closed_last,
        revenue=revenue,
        gaps=tuple(gaps),
    )


def _left(order: Order, gone: dict[str, int]) -> tuple[Line, ...]:
    left, gone = [], dict(gone)
    for line in order.lines:
        if line.product in order.cancelled:
            continue
        back = min(gone.get(line.product, 0), line.quantity)
        if back <= 0:
            left.append(line)
            continue
        gone[line.product] -= back
        if line.quantity > back:
            share = line.amount * (line.quantity - back) // line.quantity
            left.append(Line(line.product, line.quantity - back, share))
    return tuple(left)


def _gone(profile: Profile) -> dict[str, dict[str, int]]:
    """Order key → product → quantity that went back."""
    gone: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    bought: dict[str, list[tuple[Instant, str, int]]] | None = None
    for _, back in sorted(profile.returns.items(), key=lambda item: (item[1].at, item[0])):
        if back.order:
            for line in back.lines:
                gone[back.order][line.product] += line.quantity
            if not back.lines and back.order in profile.orders:
                for line in profile.orders[back.order].lines:
                    gone[back.order][line.product] += line.quantity
            continue
        if bought is None:
            bought = _bought(profile)
        for line in back.lines:
            for at, key, quantity in bought.get(line.product, ()):
                if at <= back.at and quantity - gone[key][line.product] >= line.quantity:
                    gone[key][line.product] += line.quantity
                    break
    return gone


def _bought(profile: Profile) -> dict[str, list[tuple[Instant, str, int]]]:
    """Product → its purchases, the latest first."""
    found: dict[str, list[tuple[Instant, str, int]]] = defaultdict(list)
    for key, order in profile.orders.items():
        if order.at == NEVER or order.cancelled_at != NEVER:
            continue
        for line in order.lines:
            found[line.product].append((order.at, key, line.quantity))
    for rows in found.values():
        rows.sort(reverse=True)
    return found
