"""What happens in a shop of people who keep buying what they use up, as many events as are asked?

Deterministic: all chance is a hash of a counter. A customer uses a number of consumables (drawn
once, log-normal) and buys each again when it runs out; around the orders there are looks, parcels,
opened mails, reviews, tickets and returns in the proportions of a real shop.

Run as a program it writes the events of a shop into a file, so that the process that is measured
does not hold the simulation.
"""

import argparse
import heapq
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from aftersale.events.event import Entry, Event, Ref
from aftersale.events.vocabulary import (
    Body,
    ConsentEvent,
    Line,
    MessageEvent,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderShipped,
    Other,
    ProductEvent,
    RefundIssued,
    ReturnInitiated,
    ReviewSubmitted,
    Ticket,
    TrackingViewed,
    decode_body,
    encode_body,
)
from aftersale.kernel.instants import DAY, HOUR, MINUTE, SECOND, Instant

START: Instant = 1_735_689_600 * SECOND  # 2025-01-01
SHOP, SOURCE = "main", "shop"
CONSUMABLES, DURABLES, SERVICES = 120, 70, 10
COUNTRIES = (("DE", "Europe/Berlin"), ("FR", "Europe/Paris"), ("GB", "Europe/London"))
MOST_PRODUCTS = 60
MOST_LINES = 4
TOGETHER = 6
"""Days: what runs out within them is bought in one order."""
STRIDE = 104_729
"""A prime, so that counting in it comes by everybody."""
TWICE = 0.02
"""Share of events that a sender delivers a second time."""


class Happening(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened to one customer (numbered from 1)."""

    number: int
    at: Instant
    who: int
    kind: str
    body: Body


class Crowd(msgspec.Struct, frozen=True):
    """Who buys: how many people, and how many consumables each of them uses."""

    customers: int
    median_products: float = 5.0
    p99_products: float = 60.0
    pace: float = 1.0
    """How many times as long as it should a unit lasts them."""
    crowded: bool = False
    """Whether those who look around are mostly others than those who just bought."""
    sessions: float = 0.0
    """Visits without an order per order. Of the 2.76 million events of the Retailrocket data set, a
    published click stream of a shop, 0.8 % are orders; with twenty visits it is 1 % here."""
    seed: int = 1


def regulars(customers: int) -> Crowd:
    """People who buy most of what they use up here, and look around as people do."""
    return Crowd(customers, median_products=5.5, p99_products=75.0, sessions=20.0)


def passers_by(customers: int) -> Crowd:
    """The people of a large shop, of whom most come rarely."""
    return Crowd(
        customers, median_products=2.0, p99_products=20.0, pace=2.5, crowded=True, sessions=20.0
    )


def draws(seed: int) -> Callable[[], float]:
    """Numbers in [0, 1): splitmix64 (Steele, Lea and Flood, 2014) of a counter."""

    def numbers() -> Iterator[float]:
        steps = np.arange(1, (1 << 16) + 1, dtype=np.uint64)
        start = 0
        while True:
            with np.errstate(over="ignore"):
                z = (steps + np.uint64(start + (seed << 40))) * np.uint64(0x9E3779B97F4A7C15)
                z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                z ^= z >> np.uint64(31)
            yield from ((z >> np.uint64(11)) * 2.0**-53).tolist()
            start += 1 << 16

    return numbers().__next__


def products_csv() -> str:
    """The catalogue: two hundred products of every kind."""
    draw = draws(99)
    rows = ["product,name,kind,category,price,currency,margin,supply_days,time_to_value_days"]
    for n in range(CONSUMABLES):
        days = supply(n)
        price = f"{4 + draw() * 30:.2f}"
        rows.append(f"c{n},Consumable {n},consumable,pantry/aisle-{n % 8},{price},EUR,0.4,{days},3")
    for n in range(DURABLES):
        price = f"{20 + draw() * 180:.2f}"
        rows.append(f"d{n},Durable {n},durable,home/room-{n % 6},{price},EUR,0.35,,10")
    rows += [f"s{n},Service {n},service,events,60.00,EUR,0.5,,0" for n in range(SERVICES)]
    return "\n".join(rows) + "\n"


def supply(product: int) -> int:
    """How many days one unit of the consumable lasts: 30 to 149."""
    return 30 + product * 37 % 120


class Shop:
    """Everybody's plans, and the calendar of what follows from them."""

    def __init__(self, crowd: Crowd) -> None:
        self._draw = draws(crowd.seed)
        self._crowd = crowd
        self._number = 0
        self._orders = 0
        self._looked = 0
        self._calendar: dict[int, list[tuple[Instant, int, str, Body]]] = defaultdict(list)
        self._visits: dict[int, list[int]] = defaultdict(list)
        self._needs: list[list[int]] = [[]]
        """A heap for each customer of day * 1000 + product."""
        self._known = bytearray(crowd.customers + 1)
        for who in range(1, crowd.customers + 1):
            self._settle(who)

    def days(self) -> Iterator[list[Happening]]:
        """The events of one day after the other, for ever, in their order."""
        day = 0
        while True:
            visits = self._visits.pop(day, [])
            for who in visits:
                self._visit(day, who)
            today = sorted(self._calendar.pop(day, []), key=lambda row: row[:2])
            happened = []
            for at, who, kind, body in today:
                self._number += 1
                happened.append(Happening(self._number, at, who, kind, body))
            yield happened
            day += 1

    def _settle(self, who: int) -> None:
        """Draw what the customer uses, and when each runs out for the first time."""
        draw, crowd = self._draw, self._crowd
        sigma = math.log(crowd.p99_products / crowd.median_products) / 2.326
        normal = math.sqrt(-2 * math.log(1 - draw())) * math.cos(2 * math.pi * draw())
        breadth = round(crowd.median_products * math.exp(sigma * normal))
        first = int(draw() * CONSUMABLES)
        needs = []
        for n in range(min(max(breadth, 1), MOST_PRODUCTS)):
            product = (first + n * 7) % CONSUMABLES
            needs.append(int(draw() * supply(product) * crowd.pace) * 1000 + product)
        heapq.heapify(needs)
        self._needs.append(needs)
        self._visits[needs[0] // 1000].append(who)

    def _put(self, at: Instant, who: int, kind: str, body: Body) -> None:
        self._calendar[(at - START) // DAY].append((at, who, kind, body))

    def _visit(self, day: int, who: int) -> None:
        """An order with what leads to it and what follows."""
        draw, put = self._draw, self._put
        at = START + day * DAY + 3 * HOUR + int(draw() * 20 * HOUR)
        bought = self._bought(day, who)
        self._orders += 1
        order = str(self._orders)
        country, zone = COUNTRIES[who % 3]
        lines = tuple(
            Line(product, quantity, quantity * (500 + 37 * (len(product) + n)))
            for n, (product, quantity) in enumerate(bought)
        )
        if not self._known[who]:
            self._known[who] = 1
            if draw() < 0.6:
                put(at - MINUTE, who, "consent.given", ConsentEvent(basis="double-opt-in"))
        for n in range(1 + int(draw() * 3)):
            product = bought[n % len(bought)][0]
            looked = ProductEvent(product=product)
            put(
                at - (20 - n) * MINUTE, self._who_looks(who) if n else who, "product.viewed", looked
            )
        if draw() < 0.9:
            looked = ProductEvent(product=bought[0][0])
            put(at - 10 * MINUTE, who, "product.added_to_cart", looked)
        completed = OrderCompleted(
            order=order,
            currency="EUR",
            total=sum(line.amount for line in lines) + 490,
            shipping=490,
            lines=lines,
            channel="web",
            payment="card",
            gift=draw() < 0.03,
            country=country,
            zone=zone,
        )
        put(at, who, "order.completed", completed)
        self._look_around(at, who, bought)
        if draw() < 0.03:
            put(at + 5 * HOUR, who, "order.cancelled", OrderCancelled(order=order))
        else:
            self._fulfil(at, who, order, lines)
        following = max(self._needs[who][0] // 1000 - 2 + int(draw() * 5), day + 1)
        self._visits[following].append(who)

    def _bought(self, day: int, who: int) -> list[tuple[str, int]]:
        """What runs out soon, and now and then something else."""
        draw, needs = self._draw, self._needs[who]
        bought: list[tuple[str, int]] = []
        while len(bought) < MOST_LINES and (not bought or needs[0] // 1000 <= day + TOGETHER):
            product = needs[0] % 1000
            quantity = 1 + (draw() < 0.2)
            pace = quantity * self._crowd.pace * (0.85 + 0.35 * draw())
            lasts = round(supply(product) * pace)
            heapq.heapreplace(needs, (day + max(lasts, TOGETHER + 1)) * 1000 + product)
            bought.append((f"c{product}", quantity))
        if draw() < 0.12:
            bought.append((f"d{int(draw() * DURABLES)}", 1))
        elif draw() < 0.02:
            bought.append((f"s{int(draw() * SERVICES)}", 1))
        return bought[:MOST_LINES]

    def _who_looks(self, who: int) -> int:
        """The customer itself; in a crowd everybody in turn."""
        if not self._crowd.crowded:
            return who
        self._looked += 1
        return 1 + self._looked * STRIDE % self._crowd.customers

    def _look_around(self, at: Instant, who: int, bought: list[tuple[str, int]]) -> None:
        """Looks and opened mails of the weeks after an order."""
        draw, put = self._draw, self._put
        for _ in range(int(draw() * 4)):
            product = bought[0][0] if draw() < 0.4 else f"c{int(draw() * CONSUMABLES)}"
            later = at + 2 * HOUR + int(draw() * 20 * DAY)
            looker = self._who_looks(who)
            put(later, looker, "product.viewed", ProductEvent(product=product))
            if draw() < 0.15:
                looked = ProductEvent(product=product)
                put(later + 2 * MINUTE, looker, "product.added_to_cart", looked)
        for _ in range(int(draw() * 2 * self._crowd.sessions + 0.5)):
            self._session(at + 2 * HOUR + int(draw() * 25 * DAY), self._who_looks(who), bought)
        for _ in range(int(draw() * 2.6)):
            later = at + DAY + int(draw() * 20 * DAY)
            message = f"news-{(later - START) // DAY}"
            reader = self._who_looks(who)
            put(later, reader, "message.opened", MessageEvent(message=message))
            if draw() < 0.25:
                put(later + MINUTE, reader, "message.clicked", MessageEvent(message=message))
        if draw() < 0.01:
            put(at + 9 * DAY, who, "consent.withdrawn", ConsentEvent())

    def _session(self, at: Instant, who: int, bought: list[tuple[str, int]]) -> None:
        """A visit in which nothing is bought: some looks, now and then a full basket."""
        draw, put = self._draw, self._put
        put(at, who, "session.started", Other())
        for n in range(1 + int(draw() * 7)):
            product = bought[0][0] if draw() < 0.3 else f"c{int(draw() * CONSUMABLES)}"
            put(at + (n + 1) * 40 * SECOND, who, "product.viewed", ProductEvent(product=product))
            if draw() < 0.08:
                looked = ProductEvent(product=product)
                put(at + (n + 1) * 40 * SECOND + 5, who, "product.added_to_cart", looked)

    def _fulfil(self, at: Instant, who: int, order: str, lines: tuple[Line, ...]) -> None:
        draw, put = self._draw, self._put
        left = at + 6 * HOUR + int(draw() * 36 * HOUR)
        arrived = left + DAY + int(draw() * 3 * DAY)
        promised = left + 3 * DAY
        shipped = OrderShipped(order=order, parcel="1", carrier="post", promised_at=promised)
        put(left, who, "order.shipped", shipped)
        put(arrived, who, "order.delivered", OrderDelivered(order=order, parcel="1"))
        for n in range(int(draw() * 2.7)):
            viewed = TrackingViewed(order=order)
            put(left + (n + 1) * 9 * HOUR, who, "tracking.viewed", viewed)
        product = lines[0].product
        if draw() < 0.15:
            rating = 1 + int(draw() ** 0.4 * 5)
            review = ReviewSubmitted(
                review=f"r{order}", order=order, product=product, rating=rating
            )
            put(arrived + 4 * DAY + int(draw() * 6 * DAY), who, "review.submitted", review)
        if draw() < 0.06:
            opened = arrived + int(draw() * 5 * DAY)
            ticket = Ticket(ticket=f"t{order}", order=order, category="parcel")
            put(opened, who, "support.ticket_created", ticket)
            put(opened + 2 * DAY, who, "support.ticket_resolved", ticket)
        if draw() < 0.04:
            back = arrived + 3 * DAY
            record = ReturnInitiated(record=f"b{order}", order=order, lines=lines[:1])
            refund = RefundIssued(
                refund=f"f{order}", order=order, currency="EUR", amount=lines[0].amount
            )
            put(back, who, "return.initiated", record)
            put(back + 4 * DAY, who, "refund.issued", refund)


def entry_of(happening: Happening) -> Entry:
    """The event as the ledger gives it, received a few seconds after it happened."""
    h = happening
    return Entry(
        h.number, h.who, h.kind, h.at, h.at + 3 * SECOND, h.body, SHOP, SOURCE, f"e{h.number}"
    )


def event_of(number: int, at: Instant, who: int, kind: str, body: Body) -> Event:
    """The event as the shop tells it, with ids and what names the person."""
    order = getattr(body, "order", "")
    refs = [Ref("customer", f"{SHOP}/{who}")]
    personal: dict[str, Any] = {}
    if kind == "order.completed":
        email = f"customer{who}@mail.example"
        refs.append(Ref("email", email))
        personal = {
            "id": str(who),
            "email": email,
            "first_name": f"First{who % 997}",
            "last_name": f"Last{who % 4999}",
            "street": f"{who % 211} Mill Lane",
            "city": f"Town {who % 89}",
        }
    if order:
        refs.append(Ref("order", f"{SHOP}/{order}"))
    return Event(f"e{number}", SOURCE, kind, at, SHOP, body, tuple(refs), personal)


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[int, int, int, str, bytes]).decode


def write_file(path: Path, crowd: Crowd, count: int) -> Counter[str]:
    """Write that many events, some of them twice; how many of each type."""
    draw = draws(crowd.seed + 1)
    kinds: Counter[str] = Counter()
    again: deque[tuple[int, bytes]] = deque()
    written = 0
    with path.open("wb", buffering=1 << 20) as file:
        for day in Shop(crowd).days():
            for h in day:
                frame = _pack((h.number, h.at, h.who, h.kind, encode_body(h.body)))
                due = [frame]
                if draw() < TWICE:
                    again.append((h.number + 20 + int(draw() * 6_000), frame))
                while again and again[0][0] <= h.number:
                    due.append(again.popleft()[1])
                for one in due[: count - written]:
                    file.write(len(one).to_bytes(4, "big") + one)
                    kinds[h.kind] += 1
                    written += 1
            if written >= count:
                return kinds
    return kinds


def read_file(path: Path, batch: int) -> Iterator[list[Event]]:
    """The events of a file in batches, in their order."""
    events = []
    with path.open("rb", buffering=1 << 20) as file:
        while head := file.read(4):
            number, at, who, kind, body = _unpack(file.read(int.from_bytes(head, "big")))
            events.append(event_of(number, at, who, kind, decode_body(kind, body)))
            if len(events) == batch:
                yield events
                events = []
    if events:
        yield events


def main() -> None:
    """Write a file of events."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--customers", type=int, required=True)
    parser.add_argument("--buying", action="store_true", help="without visits that buy nothing")
    given = parser.parse_args()
    partial = given.path.with_suffix(".partial")
    crowd = passers_by(given.customers)
    if given.buying:
        crowd = msgspec.structs.replace(crowd, sessions=0.0)
    write_file(partial, crowd, given.events)
    partial.rename(given.path)


if __name__ == "__main__":
    main()
