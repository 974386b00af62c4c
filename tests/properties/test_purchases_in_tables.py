"""Do the tables of the history tell the same purchases as the profiles?"""

from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aftersale.adapters.sources.mapping import read_mapping
from aftersale.adapters.sources.tables import OrderSource
from aftersale.customers.fold import fold
from aftersale.customers.profile import NEVER, Profile
from aftersale.customers.purchases import purchases
from aftersale.events.event import Entry
from aftersale.events.vocabulary import (
    Line,
    OrderCancelled,
    OrderCompleted,
    RefundIssued,
    ReturnInitiated,
)
from aftersale.features import purchases as tables
from aftersale.kernel.instants import DAY, HOUR
from aftersale.models.paid import paid_days
from aftersale.models.value import Buyers, summarise
from histories import history_of

LAW = settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
START = 1_700_000_000_000_000
pytestmark = pytest.mark.slow  # a database for each example
MAPPINGS = Path(__file__).parents[2] / "examples" / "mappings"

ORDERS = st.sampled_from("ABCD")
PRODUCTS = st.sampled_from("xyz")
LINES = st.lists(st.builds(Line, PRODUCTS, st.integers(1, 3), st.integers(0, 300)), max_size=3)
CURRENCIES = {"A": "EUR", "B": "EUR", "C": "USD", "D": "USD"}
FACTS = st.one_of(
    ORDERS.flatmap(
        lambda order: st.builds(
            OrderCompleted,
            order=st.just(order),
            currency=st.just(CURRENCIES[order]),
            total=st.integers(0, 500),
            lines=LINES.map(tuple),
        )
    ),
    st.builds(
        OrderCancelled,
        order=ORDERS,
        products=st.lists(PRODUCTS, max_size=2, unique=True).map(tuple),
    ),
    st.builds(ReturnInitiated, record=st.sampled_from("rst"), order=ORDERS, lines=LINES.map(tuple)),
    ORDERS.flatmap(
        lambda order: st.builds(
            RefundIssued,
            refund=st.just(order),
            order=st.just(order),
            currency=st.just(CURRENCIES[order]),
            amount=st.integers(0, 99),
        )
    ),
)
TYPES = {
    OrderCompleted: "order.completed",
    OrderCancelled: "order.cancelled",
    ReturnInitiated: "return.initiated",
    RefundIssued: "refund.issued",
}


@st.composite
def histories(draw):
    """Entries of a few customers, told in any order, no two at one instant."""
    told = draw(st.lists(st.tuples(st.integers(1, 3), FACTS), min_size=1, max_size=40))
    places = draw(st.permutations(range(len(told))))
    return [
        Entry(position, customer, TYPES[type(body)], at, START + 99 * DAY, body, shop="s")
        for position, ((customer, body), place) in enumerate(zip(told, places, strict=True))
        for at in (START + place * 7 * HOUR,)
    ]


def profiles(entries, until):
    found = defaultdict(Profile)
    for entry in entries:
        if entry.at <= until:
            fold(found[entry.customer], entry)
    return found


def rows_of(expression, *names):
    table = expression.select(*names).to_pyarrow()
    return sorted(zip(*(table[name].to_pylist() for name in names), strict=True))


@given(histories(), st.integers(0, 40))
@LAW
def test_what_was_bought_and_kept_is_what_the_profiles_say(entries, place):
    """Orders, lines, money, days paid: as of any instant, whatever came later."""
    until = START + place * 7 * HOUR
    known = profiles(entries, until)
    # The tables do not hold the currency of a refund, so each comes with its order.
    entries = [
        entry
        for entry in entries
        if not isinstance(entry.body, RefundIssued)
        or getattr(known[entry.customer].orders.get(f"s/{entry.body.order}"), "at", NEVER)
    ]
    known = profiles(entries, until)
    history = history_of(entries)
    bought = {customer: purchases(profile) for customer, profile in known.items()}
    kept = tables.kept(history, until)
    assert rows_of(kept, "customer", "at", "order", "total") == sorted(
        (customer, each.at, each.key, each.total)
        for customer, own in bought.items()
        for each in own.kept
    )
    assert rows_of(
        tables.kept_lines(history, until), "customer", "order", "product", "quantity", "amount"
    ) == sorted(
        (customer, each.key, line.product, line.quantity, line.amount)
        for customer, own in bought.items()
        for each in own.kept
        for line in each.lines
    )
    totals = tables.totals(history, until)
    assert rows_of(
        totals, "customer", "orders", "first_at", "last_at", "currency", "revenue"
    ) == sorted(
        (customer, own.count, own.first_at, own.last_at, own.currency, own.revenue[own.currency])
        for customer, own in bought.items()
        if own.count
    )
    days = tables.paid_days(kept, totals)
    told = sorted(
        (customer, day, amount)
        for customer, own in bought.items()
        for day, amount in paid_days(known[customer], own, "UTC")
    )
    today = until // DAY
    columns = [np.array(column) for column in zip(*told, strict=True)] or [np.zeros(0)] * 3
    who, buyers = summarise(
        columns[0].astype(np.int64), columns[1].astype(np.int64), columns[2], today
    )
    found = tables.summary(days, today).order_by("customer").to_pyarrow()
    assert found["customer"].to_pylist() == who.tolist()
    for name in Buyers.__struct_fields__:
        assert found[name].to_pylist() == pytest.approx(getattr(buyers, name).tolist()), name


@given(histories(), st.integers(0, 40))
@LAW
def test_no_expression_sees_the_future(entries, place):
    """What comes after the instant changes nothing."""
    until = START + place * 7 * HOUR
    all_told = history_of(entries)
    past = history_of([entry for entry in entries if entry.at <= until])
    for expression in (
        lambda h: tables.standing(h["orders"], until),
        lambda h: tables.kept(h, until),
        lambda h: tables.kept_lines(h, until),
        lambda h: tables.refunds(h["undone"], until),
        lambda h: tables.totals(h, until),
    ):
        columns = expression(past).columns
        assert rows_of(expression(all_told), *columns) == rows_of(expression(past), *columns)


@given(histories())
@LAW
def test_a_history_told_twice_counts_once(entries):
    """The same facts again, under new positions, change no purchase."""
    again = [msgspec.structs.replace(e, position=e.position + 100) for e in entries]
    until = START + 40 * DAY
    once, twice = history_of(entries), history_of(entries + again)
    for name in ("kept", "kept_lines", "totals"):
        expression = getattr(tables, name)
        columns = [c for c in expression(once, until).columns if c != "position"]
        assert rows_of(expression(once, until), *columns) == rows_of(
            expression(twice, until), *columns
        )


@pytest.mark.real_data
def test_a_real_shop_whose_returns_name_no_order(shared_data: Path) -> None:
    """Matched all at once, returns of the gift shop differ from the profiles' in few orders."""
    path = shared_data / "uci_online_retail" / "online_retail.parquet"
    source = OrderSource(path, read_mapping(MAPPINGS / "uci_online_retail.toml", "orders"))
    ids: dict[object, int] = {}
    entries = [
        Entry(
            position,
            ids.setdefault(event.refs[0], len(ids) + 1),
            event.type,
            event.at,
            event.at,
            event.body,
            event.shop,
        )
        for position, event in enumerate(
            event for batch in source.batches() for event in batch.events if event.refs
        )
    ]
    until = max(entry.at for entry in entries)
    known = {
        customer: purchases(profile)
        for customer, profile in profiles(entries, until).items()
        if profile.closed is None
    }
    history = history_of(entries, "Europe/London")
    told = {each.key for own in known.values() for each in own.kept}
    kept = {
        order
        for customer, order in rows_of(tables.kept(history, until), "customer", "order")
        if customer in known
    }
    assert (len(told), len(told - kept), len(kept - told)) == (7_799, 1, 0)
    stayed = {
        (each.key, line.product, line.quantity)
        for own in known.values()
        for each in own.kept
        for line in each.lines
    }
    found = {
        (order, product, quantity)
        for customer, order, product, quantity in rows_of(
            tables.kept_lines(history, until), "customer", "order", "product", "quantity"
        )
        if customer in known
    }
    assert (len(stayed), len(stayed - found), len(found - stayed)) == (149_403, 7, 3)
    revenue = dict(rows_of(tables.totals(history, until), "customer", "revenue"))
    apart = [
        customer
        for customer, own in known.items()
        if own.count and own.revenue[own.currency] != revenue[customer]
    ]
    assert (len(known), len(apart)) == (2_540, 1)
