"""Do the tables of the history tell the same rhythms as the profiles?"""

from collections import defaultdict

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aftersale.catalogue.product import Catalogue, Product
from aftersale.customers.fold import fold
from aftersale.customers.profile import Profile
from aftersale.customers.purchases import purchases
from aftersale.customers.tiers import tier
from aftersale.events.event import Entry
from aftersale.events.vocabulary import Line, OrderCancelled, OrderCompleted, ReturnInitiated
from aftersale.features import gaps
from aftersale.features.purchases import kept, kept_lines, totals
from aftersale.kernel.instants import DAY, HOUR
from aftersale.models import fifths, waiting
from aftersale.models.fit import Fitting
from aftersale.models.lifecycle import Gaps, primary_category
from aftersale.runtime.calibrating import segments_of
from histories import history_of

START = 19_000 * DAY
UNTIL = START + 1_200 * DAY
CATALOGUE = Catalogue(
    {
        "oolong": Product("oolong", category="tea/green"),
        "assam": Product("assam", category="tea"),
        "cup": Product("cup", category="china/cups"),
        "odd": Product("odd", category="/nowhere"),
    }
)
PRODUCTS = ("oolong", "assam", "cup", "odd", "unknown")


def shop(seed, customers, days=1_200):
    """A shop with vips, single buyers, cancelled and returned orders, and gaps of part of a day."""
    dice = np.random.default_rng(seed)  # noqa: TID251 - the seed is fixed
    entries = []

    def told(customer, kind, at, body):
        entries.append(Entry(len(entries), customer, kind, int(at), int(at), body, shop="s"))

    for customer in range(1, customers + 1):
        at = START + dice.integers(0, days * DAY)
        for n in range(min(int(dice.geometric(0.35)), 12)):
            name = f"{customer}-{n}"
            lines = tuple(
                Line(product, int(dice.integers(1, 3)), int(dice.integers(0, 4)) * 1_000)
                for product in dice.choice(PRODUCTS, size=2, replace=False).tolist()
            )
            body = OrderCompleted(
                order=name,
                currency="EUR" if dice.random() < 0.9 else "USD",
                total=int(dice.integers(1_000, 30_000)),
                lines=lines,
            )
            told(customer, "order.completed", at, body)
            if dice.random() < 0.1:
                told(customer, "order.cancelled", at + HOUR, OrderCancelled(order=name))
            elif dice.random() < 0.1:
                body = ReturnInitiated(record=name, order=name, lines=lines[:1])
                told(customer, "return.initiated", at + 3 * HOUR, body)
            at += max(int(dice.exponential(40 + 60 * (customer % 3)) * DAY), HOUR)
    return [entry for entry in entries if entry.at <= UNTIL]


def profiles_of(entries):
    found = defaultdict(Profile)
    for entry in entries:
        fold(found[entry.customer], entry)
    return found


def by_profiles(entries):
    counts = Gaps()
    for profile in profiles_of(entries).values():
        bought = purchases(profile)
        counts.add(bought, (tier(bought), primary_category(bought, CATALOGUE)), UNTIL)
    return counts


def by_tables(history):
    roots = {product: name for product, name in CATALOGUE.roots.items() if name}
    top = ibis.memtable(pa.table({"product": list(roots), "category": list(roots.values())}))
    spent = kept_lines(history, UNTIL).inner_join(top, "product")
    of = gaps.segments(totals(history, UNTIL), spent.select("customer", "category", "amount"))
    orders = kept(history, UNTIL).select("customer", "at").to_pyarrow()
    counts = Gaps()
    people = segments_of(of.order_by("customer").to_pyarrow())
    columns = (orders[name].to_numpy() for name in ("customer", "at"))
    counts.take(waiting.count(*columns, people, until=UNTIL).rows())
    return counts


def compared(counts):
    """The counts of both kinds, without groups that have none."""
    return [
        {key: dict(found) for key, found in kind.items() if found}
        for kind in (counts.closed, counts.open)
    ]


@pytest.mark.slow
def test_a_shop_has_the_calibration_that_its_profiles_have():
    """Counts and rhythms of every group, and the cut points: those of the pass over profiles."""
    told = shop(1, 300)
    history, profiles = history_of(told), profiles_of(told)
    assert all(profile.closed is None for profile in profiles.values())
    assert any(purchases(profile).count < len(profile.orders) for profile in profiles.values())
    found, expected = by_tables(history), by_profiles(told)
    assert compared(found) == compared(expected)
    assert {rhythm.level for rhythm in found.rhythms().values()} == {
        "segment", "category", "tier", "shop",
    }  # fmt: skip
    fitting = Fitting(CATALOGUE, UNTIL)
    for profile in profiles.values():
        fitting.add(profile)
    sums = totals(history, UNTIL).to_pyarrow()
    columns = (
        (UNTIL - sums["last_at"].to_numpy()) // DAY,
        sums["orders"].to_numpy(),
        sums["revenue"].to_numpy(),
    )
    fitted = fitting.fitted("")
    assert (found.rhythms(), fifths.fit(*columns)) == (fitted.rhythms, fitted.cuts)


@pytest.mark.slow
@given(st.integers(0, 2**31), st.integers(1, 30))
@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_shop_has_the_counts_that_its_profiles_have(seed, customers):
    """Also where nobody came back, and where few did."""
    told = shop(seed, customers)
    assert compared(by_tables(history_of(told))) == compared(by_profiles(told))


def test_an_empty_history_has_no_gaps():
    """No rows, no rhythms."""
    found = by_tables(history_of([]))
    assert (found.closed, found.rhythms()) == ({}, {})
