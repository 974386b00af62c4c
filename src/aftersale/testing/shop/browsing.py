"""What do people look at, and who do they seem to be while they look?"""

from collections.abc import Mapping

from aftersale.catalogue.product import Product
from aftersale.kernel.instants import DAY, SECOND, Instant
from aftersale.testing.shop.catalogue import CONSUMABLES, DURABLES, PRODUCTS
from aftersale.testing.shop.diary import Diary
from aftersale.testing.shop.moments import leisure
from aftersale.testing.shop.people import Person
from aftersale.testing.shop.purchases import Life, Order
from aftersale.testing.shop.stream import Stream

_MONTH = 30 * DAY


class Visits:
    """Writes one browser's visits into the diary, numbered one after the other."""

    def __init__(self, stream: Stream, key: str, diary: Diary) -> None:
        self._stream = stream
        self._key = key
        self._diary = diary
        self._count = 0

    def _note(
        self, kind: str, at: Instant, who: Mapping[str, str], facts: Mapping[str, object]
    ) -> None:
        self._count += 1
        self._diary.note("web", kind, at, f"w-{self._key}-{self._count}", who, facts)

    def before(self, order: Order, who: Mapping[str, str]) -> None:
        """The visit that ends with the order."""
        at = order.at - self._stream.between(400, 3600) * SECOND
        for line in order.lines:
            at += self._stream.between(15, 90) * SECOND
            if at >= order.at:
                return
            if self._stream.chance(0.7):
                self._note("product.viewed", at, who, _seen(line.product))
            if self._stream.chance(0.75):
                added = {"product": line.product.id, "quantity": line.quantity}
                self._note("product.added_to_cart", at + 9 * SECOND, who, added)

    def idle(self, at: Instant, who: Mapping[str, str], liked: Product | None) -> None:
        """A visit without an order; one in eight leaves something in the basket."""
        product = liked
        for _ in range(self._stream.weighted((1, 2, 3, 5), (40, 30, 20, 10))):
            if product is None or self._stream.chance(0.5):
                shelf = CONSUMABLES if self._stream.chance(0.5) else DURABLES
                product = self._stream.pick(shelf)
            self._note("product.viewed", at, who, _seen(product))
            at += self._stream.between(15, 200) * SECOND
            if product.complements and self._stream.chance(0.4):
                product = PRODUCTS[self._stream.pick(product.complements)]
        if product is not None and self._stream.chance(0.12):
            self._note("product.added_to_cart", at, who, {"product": product.id, "quantity": 1})


def tell_visits(stream: Stream, person: Person, life: Life, *, diary: Diary, end: Instant) -> None:
    """Before the first order only the cookie is known; later most people are logged in."""
    visits = Visits(stream, f"{person.number:05d}", diary)
    cookie = {"anonymous_id": person.cookie} if person.cookie else {}
    if cookie and (stream.chance(0.6) or person.number < 2):
        at = person.first_order_at - stream.between(1, 12) * DAY
        visits.idle(leisure(stream, at, person.place.zone) - DAY, cookie, person.staple)
    for order in life.orders:
        who = person.known(account=True) if order.index > person.account_from else cookie
        if who and stream.chance(0.7):
            visits.before(order, who)
    _wander(stream, person, life, visits=visits, cookie=cookie, end=end)


def _wander(
    stream: Stream,
    person: Person,
    life: Life,
    *,
    visits: Visits,
    cookie: Mapping[str, str],
    end: Instant,
) -> None:
    """Visits at random times; after leaving a sixth as many, and none after half a year."""
    account = person.account_from == 0
    at, left = person.first_order_at, life.left_at
    last = end if left is None else min(left + 6 * _MONTH, end)
    while True:
        at += int(_MONTH / person.type.visits * stream.exponential())
        if at >= last:
            return
        if left is not None and at > left and not stream.chance(1 / 6):
            continue
        who = person.known(account=True) if account and stream.chance(0.75) else cookie
        if who:
            visits.idle(leisure(stream, at, person.place.zone), who, person.staple)


def tell_stranger(
    stream: Stream, number: int, *, diary: Diary, start: Instant, end: Instant
) -> None:
    """Somebody who looks once or twice and never says who it is."""
    visits = Visits(stream, f"guest-{number}", diary)
    who = {"anonymous_id": f"anon-guest-{number}"}
    at = start + int(stream.real() * (end - start))
    for _ in range(1 + stream.chance(0.3)):
        visits.idle(leisure(stream, at, "Europe/Berlin"), who, None)
        at += stream.between(1, 9) * DAY


def _seen(product: Product) -> dict[str, str]:
    return {"product": product.id, "url": product.url}
