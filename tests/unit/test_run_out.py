"""Is it foreseen when a customer needs an item again, and refused where nobody can know?"""

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersale.models.repeats import gaps_of
from aftersale.models.run_out import DEFAULT_DAYS, LEVELS, forecast, judge, quantity_power

ROWS = st.lists(
    st.tuples(
        st.integers(-2, 4),
        st.integers(-1, 4),
        st.integers(-400, 400),
        st.integers(-3, 50),
    ),
    max_size=40,
)


def columns(rows):
    """Customer, item, day and quantity as the models take them."""
    return tuple(np.array(rows, np.int64).reshape(-1, 4).T)


def shop(*, people=150, items=5, days=800, seed=3):
    """Everybody has a rhythm of its own for each item, with chance around it."""
    dice = np.random.default_rng(seed)  # noqa: TID251  # a fixed seed
    rows = []
    for person in range(people):
        for item in range(items):
            rhythm = 20 * (1 + item) * np.exp(dice.normal(0, 0.4))
            at = dice.uniform(0, rhythm)
            while at < days:
                rows.append((person, item, int(at), 1))
                at += max(rhythm * np.exp(dice.normal(0, 0.3)), 1)
    return columns(rows)


def days_of(found, customer, item):
    (place,) = np.flatnonzero((found.customer == customer) & (found.item == item))
    return float(found.days[place]), LEVELS[found.level[place]]


def test_a_gap_begins_and_ends_with_a_purchase_and_the_last_one_is_open():
    """Purchases of one day are one, what was bought once has no gap, quantities add up."""
    rows = [(1, 7, 10, 1), (1, 7, 10, 2), (1, 7, 40, 1), (1, 8, 5, 1), (1, 7, 60, 1)]
    gaps = gaps_of(*columns(rows), until=50)
    assert gaps.days.tolist() == [30.0, 10.0]
    assert gaps.is_open.tolist() == [False, True]
    assert gaps.quantity.tolist() == [3, 1]
    assert (gaps.items.tolist(), gaps.last.tolist()) == ([7, 8], [40, 5])


def test_it_finds_the_rhythms_of_a_made_up_shop():
    """With a spread of 0.4 between and 0.3 within, the model beats the shop's median by far."""
    found = judge(*shop(), until=799)
    assert found.off == ""
    assert found.gain > 0.3
    assert 0.85 < found.within < 0.97


def test_who_never_bought_an_item_again_is_expected_like_others():
    """The ladder: own gaps, other items of the customer, the item's other buyers, the shop."""
    customer, item, day, quantity = shop()
    extra = columns([(3, 99, 700, 1), (9000, 4, 700, 1), (9000, 98, 700, 1)])
    found = forecast(
        gaps_of(
            *(
                np.concatenate(pair)
                for pair in zip((customer, item, day, quantity), extra, strict=True)
            ),
            until=799,
        )
    )
    assert days_of(found, 3, 0)[1] == "own"
    assert days_of(found, 3, 99)[1] == "customer"
    assert days_of(found, 9000, 98)[1] == "shop"
    slow, level = days_of(found, 9000, 4)
    assert level == "item"
    assert slow == pytest.approx(100, rel=0.2)


def test_one_gap_is_drawn_to_the_others_and_many_are_not():
    """Somebody who came back after 5 days once, and somebody who does so always."""
    rows = list(zip(*shop(items=1), strict=True))
    rows += [(500, 0, 700, 1), (500, 0, 705, 1)]
    rows += [(501, 0, 600 + 5 * n, 1) for n in range(22)]
    found = forecast(gaps_of(*columns(rows), until=710))
    once, always = days_of(found, 500, 0)[0], days_of(found, 501, 0)[0]
    assert always == pytest.approx(5, rel=0.25)
    assert once > always + 1


def test_open_gaps_keep_a_short_history_from_knowing_short_gaps_only():
    """Gaps of about 60 days seen for 80: the closed ones alone say less than 60."""
    dice = np.random.default_rng(5)  # noqa: TID251  # a fixed seed
    rows = []
    for person in range(400):
        at = dice.uniform(-60, 30)
        while at < 80:
            if at >= 0:
                rows.append((person, 0, int(at), 1))
            at += 60 * np.exp(dice.normal(0, 0.6))
    gaps = gaps_of(*columns(rows), until=79)
    closed = float(np.median(gaps.days[~gaps.is_open]))
    found = forecast(gaps)
    shop_days = float(np.median(found.days[found.gaps > 0]))
    assert closed < shop_days < 75


def test_the_catalogue_serves_where_nobody_repeated_and_yields_to_repeats():
    """30 days a unit, two bought: 60. With forty repeats after 20 days the customer's word wins."""
    supply = np.array([30.0, 0.0])
    found = forecast(gaps_of(*columns([(1, 0, 0, 2), (1, 1, 0, 1)]), until=5), supply)
    assert days_of(found, 1, 0) == (60.0, "supply")
    assert days_of(found, 1, 1) == (DEFAULT_DAYS, "default")
    assert "nobody" in found.off
    repeats = [(p, 0, 20 * n, 1) for p in range(30) for n in range(40)]
    own, level = days_of(forecast(gaps_of(*columns(repeats), until=800), supply), 3, 0)
    assert level == "own"
    assert own == pytest.approx(20, abs=1)


def test_who_buys_more_at_once_comes_back_later():
    """Twice the quantity, twice the days, within each customer: the power is 1."""
    rows, at = [], 0
    for person in range(40):
        at = person % 7
        for n in range(10):
            many = 1 + n % 3
            rows.append((person, 0, at, many))
            at += 10 * many
    gaps = gaps_of(*columns(rows), until=400)
    assert quantity_power(gaps) == pytest.approx(1, abs=0.01)


def test_a_short_history_is_refused_with_its_figures():
    """Half a year: no forecast, and what it would have been worth."""
    found = judge(*shop(days=200, people=300), until=199)
    assert "200 days of history, 365 are needed" in found.off
    assert found.model > 0


def test_chance_alone_is_refused():
    """Where nobody has a rhythm, the shop's median does as well."""
    dice = np.random.default_rng(9)  # noqa: TID251  # a fixed seed
    rows = []
    for person in range(400):
        at = 0.0
        while at < 700:
            rows.append((person, int(dice.integers(2)), int(at), 1))
            at += 1 + dice.exponential(25)
    found = judge(*columns(rows), until=699)
    assert "shop's median" in found.off


@given(ROWS, st.integers(-400, 400))
def test_nothing_after_the_day_is_seen_and_nothing_is_not_a_number(rows, until):
    """The forecast of a day is that of the history cut there, whatever the history."""
    seen = forecast(gaps_of(*columns(rows), until=until), np.array([0.0, 10.0, np.nan, -3.0]))
    cut = [row for row in rows if row[2] <= until]
    same = forecast(gaps_of(*columns(cut), until=until), np.array([0.0, 10.0, np.nan, -3.0]))
    for name in ("customer", "item", "last", "days", "low", "high", "gaps", "level"):
        assert getattr(seen, name).tolist() == getattr(same, name).tolist()
    assert np.isfinite(seen.days).all()
    assert (seen.low <= seen.days).all()
    assert (seen.days <= seen.high).all()
    why = seen.drivers()
    assert all(why.of(n) for n in range(len(seen.days)))


@given(ROWS, st.integers(1, 20))
def test_it_does_not_matter_where_a_stretch_of_gaps_ends(rows, at_once):
    """Few gaps at once or all of them: the same days for everybody, but for rounding."""
    gaps = gaps_of(*columns(rows), until=400)
    supply = np.array([0.0, 10.0])
    whole, parted = forecast(gaps, supply), forecast(gaps, supply, at_once=at_once)
    assert parted.customer.tolist() == whole.customer.tolist()
    assert parted.item.tolist() == whole.item.tolist()
    for name in ("days", "low", "high", "gaps", "level"):
        np.testing.assert_allclose(getattr(parted, name), getattr(whole, name), rtol=1e-6)


@given(ROWS)
def test_judging_never_fails(rows):
    """No data, one customer, one day: a reason and no figure that is not a number."""
    found = judge(*columns(rows), until=300)
    assert found.off
    assert np.isfinite([found.model, found.median, found.gain, found.within]).all()


@pytest.mark.real_data
def test_a_real_shop_is_foreseen_better_than_by_its_median(shared_data):
    """Online Retail up to its end, cut at 2011-06-11: 10 % better than the better median.

    The part of the set that is here spans nine months, so it is judged and yet refused.
    """
    table = pq.read_table(shared_data / "uci_online_retail" / "online_retail.parquet")
    kept = pc.and_(pc.is_valid(table["CustomerID"]), pc.greater(table["Quantity"], 0))
    kept = pc.and_(kept, pc.invert(pc.starts_with(table["InvoiceNo"], "C")))
    table = table.filter(pc.and_(kept, pc.greater(table["UnitPrice"], 0)))
    code = table["StockCode"].combine_chunks().dictionary_encode().indices
    day = table["InvoiceDate"].to_numpy().astype("datetime64[D]").astype(np.int64)
    found = judge(
        table["CustomerID"].to_numpy().astype(np.int64),
        code.to_numpy().astype(np.int64),
        day,
        table["Quantity"].to_numpy().astype(np.int64),
        until=int(day.max()),
        cut=int(np.datetime64("2011-06-11").astype(np.int64)),
    )
    assert found.judged > 20_000
    assert found.gain >= 0.08
    assert 1 - found.model / found.median >= 0.12
    assert 0.88 < found.within < 0.97
    assert found.history_days < 365
    assert "365 are needed" in found.off


def test_what_a_label_says_is_corrected_by_what_all_labels_have_in_common():
    """Items last twice as long as the catalogue says: who never bought again is told nearly so.

    A label that is right is left alone, and who bought again is told its own days.
    """
    rows = [(n, n % 4, day, 1) for n in range(200) for day in (0, 60, 120)]
    rows += [(900, item, 125, 1) for item in range(4)]
    columns = [np.array([row[n] for row in rows], np.int64) for n in range(4)]
    found = forecast(gaps_of(*columns, 125), np.full(4, 30.0))
    strange = found.customer == 900
    assert ((found.days[strange] > 45) & (found.days[strange] < 61)).all()
    assert found.days[~strange] == pytest.approx(np.full(200, 60.0), rel=0.01)
    right = forecast(gaps_of(*columns, 125), np.full(4, 60.0))
    assert right.days == pytest.approx(np.full(204, 60.0), rel=0.01)
