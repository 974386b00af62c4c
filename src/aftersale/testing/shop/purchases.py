"""What does a customer order, and when does the next order follow?"""

import msgspec

from aftersale.catalogue.product import Product
from aftersale.kernel.instants import DAY, HOUR, SECOND, Instant
from aftersale.testing.shop.catalogue import CONSUMABLES, DURABLES, PRODUCTS, SERVICES
from aftersale.testing.shop.fulfilment import Fulfilment, fulfil
from aftersale.testing.shop.moments import YEAR, leisure, month
from aftersale.testing.shop.people import REFILL, Person
from aftersale.testing.shop.stream import Stream

FREE_SHIPPING_FROM, SHIPPING = 5000, 490
_BAD = 0.45


class Bought(msgspec.Struct, frozen=True, gc=False):
    """One line of an order."""

    product: Product
    quantity: int
    amount: int
    """Euro cents of the whole line after the discount."""


class Order(msgspec.Struct, frozen=True, gc=False):
    """An order with what became of it."""

    index: int
    number: str
    at: Instant
    lines: tuple[Bought, ...]
    discount: int
    shipping: int
    codes: tuple[str, ...]
    gift: bool
    channel: str
    device: str
    payment: str
    fulfilment: Fulfilment
    content: float
    """How the customer found it all, 0 to 1."""

    @property
    def total(self) -> int:
        """Euro cents paid."""
        return sum(line.amount for line in self.lines) + self.shipping


class Life(msgspec.Struct, frozen=True, gc=False):
    """All that a customer bought, and the end of it."""

    orders: tuple[Order, ...]
    left_at: Instant | None
    next_order_at: Instant | None
    """The first order after the end; none for those who left."""


def life(seed: int, person: Person, end: Instant) -> Life:
    """Every order before `end`. After each the person leaves with a chance of their own.

    Rate and chance as in the BG/NBD model (Fader, Hardie, Lee 2005), but refillers keep a rhythm,
    the season bends the rate, and a bad experience makes leaving 1.6 times as likely.
    """
    stream = Stream(seed, person.number, "orders")
    orders: list[Order] = []
    owned: set[str] = set()
    at = person.first_order_at
    while at < end:
        order = _order(stream, person, len(orders), at=at, owned=owned)
        orders.append(order)
        gone = stream.chance(person.leave_chance * (1.6 if order.content < _BAD else 1.0))
        if gone or person.fated(order.index, "leaves"):
            return Life(tuple(orders), order.at, None)
        at = _following(stream, person, order)
    return Life(tuple(orders), None, at)


def _following(stream: Stream, person: Person, order: Order) -> Instant:
    zone = person.place.zone
    mean = YEAR / person.rate
    if person.type is REFILL:
        noise = 0.7 + 0.2 * (stream.real() + stream.real() + stream.real())
        return leisure(stream, order.at + int(mean * noise), zone)
    months, peak = person.type.months, max(person.type.months)
    moment = order.at + DAY
    while True:
        moment += int(mean / peak * stream.exponential())
        if stream.chance(months[month(moment)] / peak):
            return leisure(stream, moment, zone)


def _order(stream: Stream, person: Person, index: int, *, at: Instant, owned: set[str]) -> Order:
    percent, codes = _discount(stream, person, index, at)
    gross = [(p, n, p.price * n) for p, n in _basket(stream, person, index, owned)]
    lines = tuple(Bought(p, n, whole * (100 - percent) // 100) for p, n, whole in gross)
    paid = sum(line.amount for line in lines)
    goods = tuple(line.product.id for line in lines if line.product.kind != "service")
    number = f"LH-{person.number + 1:05d}-{index + 1}"
    pickup = person.place.city == "Berlin" and person.number > 1 and stream.chance(0.08)
    fulfilment = fulfil(stream, person, index, number=number, at=at, goods=goods, pickup=pickup)
    fulfilment = _return(stream, person, index, lines=lines, done=fulfilment)
    trouble = fulfilment.trouble + (0.15 if fulfilment.returned else 0.0)
    content = person.mood + 0.3 * (stream.real() - 0.5) - trouble
    return Order(
        index=index,
        number=number,
        at=at,
        lines=lines,
        discount=sum(whole for _, _, whole in gross) - paid,
        shipping=SHIPPING if goods and not pickup and paid < FREE_SHIPPING_FROM else 0,
        codes=codes,
        gift=person.type.name == "gift" and stream.chance(0.8),
        channel="app" if stream.chance(0.18) else "web",
        device=stream.weighted(("phone", "desktop", "tablet"), (55, 37, 8)),
        payment=stream.weighted(("card", "paypal", "invoice"), (45, 35, 20)),
        fulfilment=fulfilment,
        content=min(max(content, 0.0), 1.0),
    )


def _discount(
    stream: Stream, person: Person, index: int, at: Instant
) -> tuple[int, tuple[str, ...]]:
    if person.type.name == "wholesale":
        return 15, ()
    if index == 0 and stream.chance(0.15):
        return 10, ("WELCOME10",)
    if not stream.chance(person.type.coupons):
        return 0, ()
    percent = 20 if month(at) in {0, 6, 10} else stream.pick((5, 10, 10, 15))
    return percent, (f"LINDE{percent}",)


def _basket(
    stream: Stream, person: Person, index: int, owned: set[str]
) -> list[tuple[Product, int]]:
    count = stream.weighted((1, 2, 3, 4), person.type.lines)
    basket: dict[str, int] = {}
    if person.type is REFILL:
        basket[person.staple.id] = person.units
    for fate, key in (("grinder", "grinder-hand"), ("kettle", "kettle-classic")):
        if person.fated(index, fate):
            basket[key] = 1
    for _ in range(count * 3):
        if len(basket) >= count:
            break
        product = _choice(stream, person, next(reversed(basket), ""))
        if product.id not in owned and product.id not in basket:
            basket[product.id] = _quantity(stream, person, product)
    if not basket:
        basket[person.staple.id] = person.units
    owned.update(key for key in basket if PRODUCTS[key].kind == "durable")
    return [(PRODUCTS[key], quantity) for key, quantity in basket.items()]


def _choice(stream: Stream, person: Person, last: str) -> Product:
    complements = PRODUCTS[last].complements if last else ()
    if complements and stream.chance(0.4):
        return PRODUCTS[stream.pick(complements)]
    consumable, durable = {
        "gift": (0.3, 0.92),
        "refill": (0.82, 0.97),
        "wholesale": (0.96, 1.0),
    }.get(person.type.name, (0.58, 0.94))
    kind = stream.real()
    if kind < consumable:
        return person.staple if stream.chance(0.3) else stream.favour(CONSUMABLES)
    return stream.pick(DURABLES) if kind < durable else stream.pick(SERVICES)


def _quantity(stream: Stream, person: Person, product: Product) -> int:
    if product.kind != "consumable":
        return 1
    if person.type.name == "wholesale":
        return stream.between(8, 41)
    return stream.weighted((1, 2, 3), (70, 24, 6))


def _return(
    stream: Stream, person: Person, index: int, *, lines: tuple[Bought, ...], done: Fulfilment
) -> Fulfilment:
    """Six in a hundred durables and few consumables go back, each order's first such line."""
    arrived = done.last_arrival
    if arrived is None:
        return done
    for line in lines:
        durable = line.product.kind == "durable"
        share = 0.06 if durable else 0.004 if line.product.kind == "consumable" else 0.0
        wanted = durable and person.fated(index, "returned")
        if stream.chance(share) or wanted:
            at = arrived + stream.between(2 * DAY // SECOND, 18 * DAY // SECOND) * SECOND
            refunded = at + stream.between(3 * 24, 10 * 24) * HOUR
            return msgspec.structs.replace(
                done,
                returned=(line.product.id, line.quantity, line.amount),
                returned_at=at,
                refunded_at=refunded,
            )
    return done
