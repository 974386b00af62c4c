"""Are gaps and fifths that are counted for everybody at once those of one after the other?"""

from collections import Counter
from itertools import pairwise

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aftersale.catalogue.product import Catalogue, Product
from aftersale.customers.fold import fold
from aftersale.customers.profile import Profile
from aftersale.customers.purchases import purchases
from aftersale.customers.tiers import WINDOW, tier
from aftersale.events.event import Entry
from aftersale.events.vocabulary import Line, OrderCompleted
from aftersale.features import gaps
from aftersale.kernel.instants import DAY, HOUR
from aftersale.models import fifths, rfm, waiting
from aftersale.models.lifecycle import Gaps, primary_category, quantile, rhythm_of
from aftersale.models.waiting import Segments
from aftersale.runtime.calibrating import segments_of

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


@pytest.mark.slow
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
    people = gaps.segments(totals, table).order_by("customer")
    of = segments_of(ibis.duckdb.connect().to_pyarrow(people))
    who, when = (np.array([row[n] for row in rows], np.int64) for n in (0, 1))
    found = Gaps()
    found.take(waiting.count(who, when, of, until=UNTIL).rows())
    keys = {key for key in {*want.closed, *want.open} if want.closed.get(key) or want.open.get(key)}
    assert {key: +found.closed[key] for key in found.closed} == {
        key: +want.closed[key] for key in keys
    }
    assert {key: +found.open[key] for key in found.open} == {key: +want.open[key] for key in keys}
    assert found.rhythms() == want.rhythms()


SEGMENTS = Segments(np.array([1, 3, 2**40]), np.array([0, 1, 0]), [("loyal", "tea"), ("vip", "")])
PLACED = st.lists(
    st.tuples(st.sampled_from([1, 2, 3, 2**40]), st.integers(-(2**50), 2**50)), max_size=40
)


@given(PLACED, st.integers(-(2**50), 2**50), st.integers(0, 2**50))
def test_stretches_of_time_add_up_to_the_whole(orders, since, more):
    """Closed gaps of two that meet are those of both, and the open ones are those of the later."""
    who, at = (np.array([row[n] for row in orders], np.int64) for n in (0, 1))
    middle, until = since + more // 2, since + more

    def counted(begin, end):
        found = waiting.count(who, at, SEGMENTS, until=end, since=begin)
        return Counter({row[:4]: row[4] for row in found.rows()})

    first, second = counted(since, middle), counted(middle, until)
    closed = Counter({key: n for key, n in (first + second).items() if not key[2]})
    still = Counter({key: n for key, n in second.items() if key[2]})
    assert counted(since, until) == closed + still


@given(PLACED)
def test_counts_are_those_of_one_after_the_other(orders):
    """Whether numbers fit into one or not, and whoever belongs nowhere is not counted."""
    who, at = (np.array([row[n] for row in orders], np.int64) for n in (0, 1))
    want = Counter()
    for place, (customer, segment) in enumerate(((1, 0), (3, 1), (2**40, 0))):
        times = sorted(when for mine, when in orders if mine == customer and when <= 0)
        name = SEGMENTS.names[segment]
        assert SEGMENTS.segment[place] == segment
        for one, other in pairwise(times):
            if other > -WINDOW:
                want[*name, False, (other - one) // DAY] += 1
        if len(times) > 1:
            want[*name, True, -times[-1] // DAY] += 1
    found = waiting.count(who, at, SEGMENTS, until=0)
    assert Counter({row[:4]: row[4] for row in found.rows()}) == want


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(-(2**60), 2**60)), max_size=40),
    st.integers(0, 60),
)
def test_orders_are_sorted_by_customer_and_time(orders, shift):
    """Packed into one number, in parts, or one after the other where neither has room."""
    who, at = (np.array([row[n] for row in orders], np.int64) for n in (0, 1))
    found = waiting._sorted(who, at >> shift)
    pairs = sorted((customer, when >> shift) for customer, when in orders)
    assert list(zip(*(column.tolist() for column in found), strict=True)) == pairs


def drawn(count):
    draw = np.random.default_rng(2)  # noqa: TID251  # a fixed seed
    return draw.integers(1, 90, count), draw.integers(1, 60, count // 4)


@pytest.mark.slow
def test_quantiles_are_those_of_pandas_and_of_kaplan_and_meier():
    """Closed gaps alone as pandas has them, with open ones as lifelines."""
    # Loading it takes longer than most files of tests.
    from lifelines import KaplanMeierFitter

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
        assert found.average[n] == rfm.average_score(paid / order, cuts)
        assert fifths.NAMES[found.name[n]] == rfm.named(mine[0], mine[1])


def test_moves_count_everybody_who_was_or_is_known():
    """One stayed, one moved, one is gone and one new."""
    one, other = (fifths.NAMES.index(name) for name in ("champions", "at-risk"))
    found = fifths.moves(
        np.array([1, 2, 4]),
        np.array([one, other, one]),
        np.array([1, 2, 3]),
        np.array([one, one, 0]),
    )
    assert found == {
        ("champions", "champions"): 1,
        ("champions", "at-risk"): 1,
        (fifths.NAMES[0], ""): 1,
        ("", "champions"): 1,
    }
    assert fifths.moves(*[np.zeros(0, np.int64)] * 4) == {}
