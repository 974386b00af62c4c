"""Are gaps and fifths that are counted for everybody at once those of one after the other?"""

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter

from aftersale.catalogue.product import Catalogue, Product
from aftersale.customers.fold import fold
from aftersale.customers.profile import Profile
from aftersale.customers.purchases import purchases
from aftersale.customers.tiers import tier
from aftersale.events.event import Entry
from aftersale.events.vocabulary import Line, OrderCompleted
from aftersale.features import gaps
from aftersale.kernel.instants import DAY, HOUR
from aftersale.models import fifths, rfm
from aftersale.models.lifecycle import Gaps, primary_category, quantile, rhythm_of

UNTIL = 20_000 * DAY
CATALOGUE = Catalogue(
    {"tea": Product("tea", category="food/tea"), "pan": Product("pan", category="kitchen")}
)
ORDERS = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.integers(0, 800 * 24),
        st.sampled_from(["tea", "pan", "odd"]),
        st.integers(0, 30_000),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(ORDERS)
def test_the_counts_are_those_of_the_profiles(orders):
    """Closed and open gaps by segment, and the rhythms from them, whoever ordered what and when."""
    profiles: dict[int, Profile] = {}
    rows = []
    for n, (customer, hours, product, amount) in enumerate(orders):
        at = UNTIL - hours * HOUR
        body = OrderCompleted(
            order=str(n), currency="EUR", total=amount, lines=(Line(product, 1, amount),)
        )
        entry = Entry(n, customer, "order.completed", at, at, body)
        fold(profiles.setdefault(customer, Profile()), entry)
        rows.append((customer, at, amount, CATALOGUE.roots.get(product, "")))
    want = Gaps()
    for profile in profiles.values():
        bought = purchases(profile)
        want.add(bought, (tier(bought), primary_category(bought, CATALOGUE)), UNTIL)
    names = ("customer", "at", "amount", "category")
    columns = zip(*rows, strict=True) if rows else [[]] * 4
    kinds = (pa.int64(), pa.int64(), pa.int64(), pa.string())
    table = ibis.memtable(
        pa.table([pa.array(c, k) for c, k in zip(columns, kinds, strict=True)], names)
    )
    totals = table.group_by("customer").agg(orders=table.count(), revenue=table.amount.sum())
    told = gaps.histogram(table, gaps.segments(totals, table), UNTIL)
    found = Gaps()
    found.take(tuple(row.values()) for row in ibis.duckdb.connect().to_pyarrow(told).to_pylist())
    keys = {key for key in {*want.closed, *want.open} if want.closed.get(key) or want.open.get(key)}
    assert {key: +found.closed[key] for key in found.closed} == {
        key: +want.closed[key] for key in keys
    }
    assert {key: +found.open[key] for key in found.open} == {key: +want.open[key] for key in keys}
    assert found.rhythms() == want.rhythms()


def drawn(count):
    draw = np.random.default_rng(2)  # noqa: TID251  # a fixed seed
    return draw.integers(1, 90, count), draw.integers(1, 60, count // 4)


def test_quantiles_are_those_of_pandas_and_of_kaplan_and_meier():
    """Closed gaps alone as pandas has them, with open ones as lifelines."""
    closed, waiting = drawn(2_000)
    counts = {int(day): int((closed == day).sum()) for day in np.unique(closed)}
    for share in (0.1, 0.5, 0.9):
        assert quantile(counts, share) == pytest.approx(pd.Series(closed).quantile(share))
    opened = {int(day): int((waiting == day).sum()) for day in np.unique(waiting)}
    fitter = KaplanMeierFitter().fit(
        np.concatenate([closed, waiting]), np.repeat([1, 0], [len(closed), len(waiting)])
    )
    rhythm = rhythm_of(counts, opened, "shop")
    survivors = fitter.survival_function_["KM_estimate"]
    for found, left in ((rhythm.p50, 0.5), (rhythm.p90, 0.1)):
        assert found == survivors[survivors <= left + 1e-12].index[0]


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3), max_size=60))
def test_fifths_are_those_of_one_after_the_other(rows):
    """The same cuts, and the same scores and names."""
    told = [(days, orders + 1, revenue) for days, orders, revenue in rows]
    days, orders, revenue = np.array(told, np.float64).reshape(-1, 3).T
    cuts = fifths.fit(days, orders, revenue)
    assert cuts == rfm.fit(told)
    if not told:
        return
    found = fifths.score(days, orders, revenue, cuts)
    for n, (day, order, paid) in enumerate(told):
        mine = (
            rfm.recency_score(day, cuts),
            rfm.frequency_score(order, cuts),
            rfm.monetary_score(paid, cuts),
        )
        assert (found.recency[n], found.frequency[n], found.monetary[n]) == mine
        assert fifths.NAMES[found.name[n]] == rfm.named(mine[0], mine[1])


def test_moves_count_who_was_known_both_times():
    """One stayed, one moved; who is new or gone is no move."""
    one, other = (fifths.NAMES.index(name) for name in ("champions", "at-risk"))
    found = fifths.moves(
        np.array([1, 2, 4]),
        np.array([one, other, one]),
        np.array([1, 2, 3]),
        np.array([one, one, 0]),
    )
    assert found == {("champions", "at-risk"): 1, ("champions", "champions"): 1}
