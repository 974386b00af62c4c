"""Is the simulated shop the same everywhere, readable, and true to what it says of itself?"""

from collections import Counter
from hashlib import blake2b

import msgspec
import pytest

from aftersale.catalogue.product import read_products
from aftersale.events.event import Event, read_event
from aftersale.events.vocabulary import BODIES, OURS, encode_body
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, HOUR, parse_instant
from aftersale.testing.shop import Shop, simulate
from aftersale.testing.shop.moments import YEAR
from aftersale.testing.shop.stream import Stream

START, END = parse_instant("2024-01-01T00:00:00Z"), parse_instant("2026-01-01T00:00:00Z")


def shop_of(customers: int, *, seed: int = 7) -> Shop:
    return simulate(seed=seed, customers=customers, start=START, end=END)


def digest(shop: Shop) -> str:
    hasher = blake2b(digest_size=8)
    for arrived_at, raw in shop.events():
        hasher.update(msgspec.json.encode((arrived_at, raw)))
    return hasher.hexdigest()


@pytest.fixture(scope="module")
def shop() -> Shop:
    return shop_of(700)


@pytest.fixture(scope="module")
def read() -> list[tuple[dict, Event]]:
    return [(raw, read_event(raw)) for _, raw in shop_of(40).events()]


def test_the_same_seed_gives_the_same_bytes_on_every_machine() -> None:
    assert digest(shop_of(20)) == "7de62573dc87c4e8"


def test_another_seed_gives_another_shop() -> None:
    assert digest(shop_of(20, seed=8)) != digest(shop_of(20))


def test_a_customer_does_not_change_when_there_are_more_of_them(shop: Shop) -> None:
    few = shop_of(20).truth
    assert few == {name: shop.truth[name] for name in few}


def test_every_event_is_one_that_the_engine_reads(read: list[tuple[dict, Event]]) -> None:
    assert {event.type for _, event in read} <= set(BODIES) - OURS
    assert all(event.refs for _, event in read)


def test_what_a_decision_sees_names_nobody(read: list[tuple[dict, Event]]) -> None:
    for raw, event in read:
        body = str(msgspec.msgpack.decode(encode_body(event.body)))
        assert "@" not in body
        person = raw.get("customer", {})
        for word in ("name", "email"):
            assert word not in person or person[word] not in body
        assert not {"text", "address", "comment"} & set(type(event.body).__struct_fields__)


def test_the_carrier_knows_the_order_and_nobody(shop: Shop) -> None:
    told = [raw for _, raw in shop.events() if raw["source"] == "carrier"]
    assert told
    assert all("customer" not in raw and raw["data"]["order"] for raw in told)


def test_events_come_by_arrival_within_the_span_and_never_before_they_happened(
    shop: Shop,
) -> None:
    arrivals = [arrived_at for arrived_at, _ in shop.events()]
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] < END
    assert all(START <= parse_instant(raw["at"]) <= at for at, raw in shop.events())


def test_a_few_arrive_late_and_a_few_arrive_twice(shop: Shop) -> None:
    total = sum(shop.summary.values())
    delays = [at - parse_instant(raw["at"]) for at, raw in shop.events()]
    assert 0.002 < sum(delay > HOUR for delay in delays) / total < 0.007
    seen: dict[tuple[str, str], dict] = {}
    twice = 0
    for _, raw in shop.events():
        first = seen.setdefault((raw["source"], raw["id"]), raw)
        twice += first is not raw
        assert first == raw
    assert 0.001 < twice / total < 0.006


def test_the_numbers_are_those_of_a_shop(shop: Shop) -> None:
    count = shop.summary
    orders = count["order.completed"]
    assert 2 * 700 < orders < 3.2 * 700
    assert 30 * 700 < sum(count.values()) < 50 * 700
    assert 0.01 < count["order.cancelled"] / orders < 0.035
    assert 0.04 < count["review.submitted"] / orders < 0.12
    assert count["order.shipped"] > count["order.delivered"] > 0.9 * orders
    assert {"consent.withdrawn", "message.opened", "survey.answered"} <= set(count)


def test_the_lines_of_an_order_add_up(shop: Shop) -> None:
    products = read_products(shop.products_csv()).products
    for _, raw in shop.events():
        if raw["type"] == "order.completed":
            facts = raw["data"]
            paid = sum(line["amount"] for line in facts["lines"])
            gross = sum(products[i["product"]].price * i["quantity"] for i in facts["lines"])
            assert 1 <= len(facts["lines"]) <= 4
            assert facts["total"] == paid + facts["shipping"]
            assert gross == paid + facts["discount"]


def test_six_in_a_hundred_durables_come_back(shop: Shop) -> None:
    products = read_products(shop.products_csv()).products
    moved: Counter[str] = Counter()
    for _, raw in shop.events():
        if raw["type"] in {"order.completed", "return.initiated"}:
            kinds = [products[line["product"]].kind for line in raw["data"]["lines"]]
            moved[raw["type"]] += kinds.count("durable")
    assert 0.04 < moved["return.initiated"] / moved["order.completed"] < 0.08


def test_people_buy_at_their_own_rate_until_they_leave(shop: Shop) -> None:
    """Orders after the first against rate times the years each was active."""
    followed = expected = 0.0
    for one in shop.truth.values():
        followed += one.orders - 1
        expected += one.rate * ((one.dropped_out_at or END) - one.first_order_at) / YEAR
    assert followed == pytest.approx(expected, rel=0.12)


def test_people_leave_as_often_as_their_chance_says_and_a_little_more(shop: Shop) -> None:
    """The little more are those whose parcel was late, lost or cancelled."""
    left = sum(one.dropped_out_at is not None for one in shop.truth.values())
    chance = sum(one.orders * one.leave_chance for one in shop.truth.values())
    assert 0.95 < left / chance < 1.25


def test_only_those_who_stay_have_a_next_order(shop: Shop) -> None:
    for one in shop.truth.values():
        assert (one.next_order_at is None) == (one.dropped_out_at is not None)
        assert one.next_order_at is None or one.next_order_at >= END


def test_an_anonymous_visitor_may_turn_out_to_be_a_customer(shop: Shop) -> None:
    alone, named = set(), set()
    for _, raw in shop.events():
        person = raw.get("customer", {})
        if "anonymous_id" in person:
            (named if "email" in person else alone).add(person["anonymous_id"])
    assert alone & named
    assert alone - named


def test_ada_has_much_to_tell_and_ben_has_gone(shop: Shop) -> None:
    ada, ben = shop.truth["ada"], shop.truth["ben"]
    assert ada.orders > 12
    assert ada.dropped_out_at is None
    assert ben.orders == 13
    assert ben.dropped_out_at is not None
    told: dict[str, set[str]] = {"ada": set(), "ben": set()}
    names = {ada.email: "ada", ben.email: "ben"}
    for _, raw in shop.events():
        name = names.get(raw.get("customer", {}).get("email", ""))
        if name:
            told[name].add(raw["type"])
    assert told["ada"] >= {
        "order.completed", "return.initiated", "refund.issued", "review.submitted",
        "support.ticket_created", "support.ticket_resolved", "survey.answered",
        "tracking.viewed", "product.viewed", "consent.given", "message.clicked",
    }  # fmt: skip
    assert "consent.withdrawn" not in told["ada"]
    assert "consent.withdrawn" in told["ben"]


def test_the_catalogue_is_whole(shop: Shop) -> None:
    products = read_products(shop.products_csv()).products
    assert len(products) == 63
    kinds = {"consumable", "durable", "service", "subscription"}
    assert {product.kind for product in products.values()} == kinds
    for product in products.values():
        assert product.category.count("/") == 1
        assert set(product.complements) <= set(products)
        assert (product.supply_days > 0) == (product.kind == "consumable")
        assert product.price > 0
        assert product.time_to_value_days > 0


def test_a_short_span_and_no_customers_are_shops_too() -> None:
    assert list(simulate(seed=1, customers=0, start=START, end=END).events()) == []
    week = simulate(seed=1, customers=30, start=START, end=START + 7 * DAY)
    assert all(at < START + 7 * DAY for at, _ in week.events())


def test_a_span_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(Refusal):
        simulate(seed=1, customers=3, start=END, end=START)


def test_waiting_times_and_shares_have_the_means_they_are_named_by() -> None:
    stream = Stream("means")
    waits = [stream.exponential() for _ in range(4000)]
    assert sum(waits) / 4000 == pytest.approx(1, abs=0.06)
    assert sum(wait > 1 for wait in waits) / 4000 == pytest.approx(0.368, abs=0.03)
    assert sum(stream.beta(2, 6) for _ in range(1000)) / 1000 == pytest.approx(0.25, abs=0.02)
