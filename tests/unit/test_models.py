"""Do the estimators give what a person with paper gets?"""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersale.catalogue.product import Catalogue, Product, read_products
from aftersale.customers.fold import fold
from aftersale.customers.profile import Profile
from aftersale.customers.purchases import Purchases, by_product, purchases
from aftersale.customers.tiers import tier as tier_of
from aftersale.events.event import Entry
from aftersale.events.vocabulary import Line, OrderCompleted, OrderDelivered, ReturnInitiated
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, HOUR
from aftersale.models import lifecycle, rfm
from aftersale.models.calibration import DEFAULT_RHYTHM, Calibration, Cuts, Rhythm, decode, encode
from aftersale.models.fit import Fitting
from aftersale.models.lifecycle import Gaps, quantile, rhythm_of, survivor_quantile
from aftersale.models.refill import ENOUGH_REPEATS, Refill, Repeats, run_out

START = 1_700_000_000_000_000
GROUP = Rhythm(50, 40.0, 30.0, 60.0, "segment")


def buyer(*days: int, **facts: object) -> Profile:
    """Make a customer with an order of one `x` on each of the days."""
    profile = Profile()
    body = {"currency": "EUR", "total": 1000, "lines": (Line("x", 1, 1000),), **facts}
    for n, day in enumerate(days):
        at = START + day * DAY
        order = OrderCompleted(order=f"o{n}", **body)
        fold(profile, Entry(0, 1, "order.completed", at, at, order))
    return profile


def bought(*days: int) -> Purchases:
    return purchases(buyer(*days))


# --- quantiles -----------------------------------------------------------------------------


def test_a_quantile_by_hand():
    """Of 10, 20, 20, 40 the median is 20 and P90 lies seven tenths from 20 to 40."""
    counts = {10: 1, 20: 2, 40: 1}
    assert quantile(counts, 0.5) == 20
    assert quantile(counts, 0.9) == pytest.approx(20 + 0.7 * 20)
    assert quantile(counts, 0.0) == 10
    assert quantile(counts, 1.0) == 40
    assert quantile({7: 1}, 0.9) == 7


@given(st.lists(st.integers(0, 400), min_size=1), st.sampled_from([0.0, 0.2, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_that_of_numpy(gaps, share):
    """Counts of whole days give the linearly interpolated percentile."""
    assert quantile(Counter(gaps), share) == pytest.approx(np.percentile(gaps, share * 100))


def test_the_survivor_function_by_hand():
    """Kaplan and Meier: 10 closed at 5, 2 of 8 open at 10, 10 closed at 20.

    At 5, 30 are at risk: 2/3 are left. At 20, 18 are at risk (two left at 10): 2/3 * 8/18 = 0.296.
    At 30 the last four of eight end: 0.148.
    """
    closed, waiting = {5: 10, 20: 10, 30: 4}, {10: 2, 40: 4}
    assert survivor_quantile(closed, waiting, 0.33) == 5
    assert survivor_quantile(closed, waiting, 0.34) == 20
    assert survivor_quantile(closed, waiting, 0.70) == 20
    assert survivor_quantile(closed, waiting, 0.71) == 30
    assert survivor_quantile(closed, waiting, 0.85) == 30


def test_a_share_that_is_never_reached_falls_back_to_the_closed_gaps():
    """Where most still wait, the quantile of those who came back serves."""
    assert survivor_quantile({10: 1, 20: 1}, {50: 8}, 0.9) == pytest.approx(19.0)


def test_who_still_waits_on_the_day_was_at_risk_on_it():
    """An open gap of the same length counts among those who could have ended."""
    assert survivor_quantile({10: 1}, {10: 1}, 0.5) == 10
    assert survivor_quantile({10: 1, 30: 1}, {10: 1}, 0.5) == 30


@given(st.lists(st.integers(1, 300), min_size=1), st.sampled_from([0.5, 0.9]))
def test_without_open_gaps_the_survivor_quantile_is_an_order_statistic(gaps, share):
    """It is the first day by which that share has ended."""
    found = survivor_quantile(Counter(gaps), {}, share)
    assert found in gaps
    assert sum(gap <= found for gap in gaps) >= share * len(gaps) - 1e-9
    assert sum(gap < found for gap in gaps) < share * len(gaps)


@given(st.lists(st.integers(0, 100), min_size=1), st.lists(st.integers(0, 200)))
def test_waiting_customers_never_make_the_rhythm_faster(gaps, waiting):
    """P90 with open gaps is not below the lower order statistic of the closed ones."""
    rhythm = rhythm_of(Counter(gaps), Counter(waiting), "shop")
    assert rhythm.p90 >= quantile(Counter(gaps), 0.9) or rhythm.p90 >= rhythm.p50
    assert rhythm.mean == pytest.approx(np.mean(gaps))
    assert rhythm.gaps == len(gaps)


# --- the dates of a customer ---------------------------------------------------------------


@given(st.floats(0.5, 400.0))
def test_the_lapse_date_is_strictly_past_the_threshold(p90):
    """At it more than P90 days have gone, a day before not."""
    group = Rhythm(50, 40.0, 30.0, p90, "segment")
    date = lifecycle.lapse_date(bought(0), group)
    assert date is not None
    days = (date - START) / DAY
    assert days > p90
    assert days - 1 <= p90


def test_the_lapse_date_of_a_whole_number_of_days():
    """P90 of sixty days lapses on the sixty-first."""
    assert lifecycle.lapse_date(bought(0, 10), GROUP) == START + (10 + 61) * DAY


@given(st.lists(st.integers(1, 200), max_size=6), st.integers(1, 300))
def test_the_winback_date_is_a_date_of_the_own_rhythm_past_the_threshold(gaps, p90):
    """A whole number of own rhythms after the last order, the first strictly past the threshold."""
    days = [sum(gaps[:n]) for n in range(len(gaps) + 1)]
    group = Rhythm(50, 40.0, 30.0, float(p90), "segment")
    history = bought(*days)
    date = lifecycle.winback_date(history, group)
    lapse = lifecycle.lapse_date(history, group)
    assert date is not None
    assert lapse is not None
    step = max(round(lifecycle.own_rhythm(history.gaps, group) * DAY), DAY)
    assert (date - history.last_at) % step == 0
    assert date >= lapse > date - step
    assert date - history.last_at > p90 * DAY


def test_the_own_rhythm_by_hand():
    """Three own gaps of 10, 20 and 60 days and two of the group's thirty: (3*20 + 2*30) / 5."""
    assert lifecycle.own_rhythm((10, 20, 60), GROUP) == 24
    assert lifecycle.own_rhythm((10, 20), GROUP) == (2 * 15 + 2 * 30) / 4
    assert lifecycle.own_rhythm((), GROUP) == 30
    assert lifecycle.next_order_date(bought(0, 10), GROUP) == START + 10 * DAY + round(
        (10 + 2 * 30) / 3 * DAY
    )


@pytest.mark.parametrize(
    ("days", "now", "stage"),
    [
        ((), 0, "prospect"),
        ((0,), 60, "new"),
        ((0, 10), 70, "active"),
        ((0,), 61, "at_risk"),
        ((0, 10), 71, "at_risk"),
        ((0,), 121, "at_risk"),
        ((0,), 122, "lapsed"),
    ],
)
def test_the_stages_follow_each_other(days, now, stage):
    """New or active within P90, at risk past it, lapsed past twice the lapse."""
    assert lifecycle.stage(bought(*days), GROUP, START + now * DAY) == stage


def test_who_never_bought_has_no_dates():
    """A prospect has nothing to come back to."""
    nobody = purchases(Profile())
    assert lifecycle.lapse_date(nobody, GROUP) is None
    assert lifecycle.winback_date(nobody, GROUP) is None
    assert lifecycle.next_order_date(nobody, GROUP) is None


@pytest.mark.parametrize(
    ("orders", "total", "tier"),
    [(1, 100, "new"), (2, 100, "loyal"), (4, 100, "loyal"), (5, 100, "vip"), (1, 50_000, "vip")],
)
def test_tiers(orders, total, tier):
    """Two orders make loyal; five, or five hundred spent, make vip."""
    assert tier_of(purchases(buyer(*range(orders), total=total))) == tier


# --- groups --------------------------------------------------------------------------------


def test_a_small_segment_borrows_from_the_next_larger_group():
    """Category before tier before shop before the default."""
    gaps = Gaps()
    as_of = START + 400 * DAY
    for _ in range(30):
        gaps.add(bought(0, 10), ("loyal", "tea"), as_of)
    for _ in range(6):
        gaps.add(bought(0, 10, 30, 60, 100, 150), ("vip", "cups"), as_of)
    gaps.add(bought(0, 99), ("loyal", "cups"), as_of)
    gaps.add(bought(0), ("new", "cups"), as_of)
    calibration = Calibration(rhythms=gaps.rhythms())
    assert calibration.rhythm("loyal", "tea").level == "segment"
    assert calibration.rhythm("loyal", "cups") == calibration.rhythms["/cups"]
    assert calibration.rhythm("vip", "tea").level == "category"
    assert calibration.rhythm("vip", "spoons").level == "tier"
    assert calibration.rhythm("new", "spoons").level == "shop"
    assert calibration.rhythm("new", "spoons").gaps == 30 + 30 + 1
    assert Calibration().rhythm("new", "tea") == DEFAULT_RHYTHM


def test_gaps_older_than_two_years_do_not_count():
    """A gap belongs to the order that ended it."""
    gaps = Gaps()
    gaps.add(bought(0, 10, 1000), ("loyal", ""), START + 1010 * DAY)
    assert gaps.closed["/"] == {990: 1}
    assert gaps.open["/"] == {10: 1}


# --- recency, frequency, value -------------------------------------------------------------


def test_ten_different_customers_fall_into_equal_fifths():
    """Two of ten get each score, and the best get five."""
    cuts = rfm.fit([(day, day, day) for day in range(1, 11)])
    assert [rfm.recency_score(day, cuts) for day in range(1, 11)] == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert [rfm.frequency_score(n, cuts) for n in range(1, 11)] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [rfm.monetary_score(n, cuts) for n in range(1, 11)] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_equal_customers_get_equal_scores_and_better_ones_no_worse(values):
    """Scores are from one to five and follow the value; more recent is better."""
    cuts = rfm.fit([(value, value, value) for value in values])
    ordered = sorted(values)
    assert [rfm.frequency_score(v, cuts) for v in ordered] == sorted(
        rfm.frequency_score(v, cuts) for v in values
    )
    recent = [rfm.recency_score(v, cuts) for v in ordered]
    assert recent == sorted(recent, reverse=True)
    assert recent[0] == 5
    assert rfm.frequency_score(ordered[-1], cuts) == 5
    assert {rfm.monetary_score(v, cuts) for v in values} <= {1, 2, 3, 4, 5}


def test_without_buyers_there_are_no_scores():
    """Nought, not one: nobody knows."""
    assert rfm.fit([]) == Cuts()
    assert rfm.recency_score(3, Cuts()) == rfm.frequency_score(3, Cuts()) == 0
    assert rfm.monetary_score(3, Cuts()) == 0
    assert rfm.named(0, 3) == ""


def test_every_pair_of_scores_has_a_name():
    """The grid of recency and frequency is covered."""
    grid = {(r, f): rfm.named(r, f) for r in range(1, 6) for f in range(1, 6)}
    assert all(grid.values())
    assert grid[5, 5] == grid[4, 4] == "champions"
    assert grid[3, 5] == grid[5, 3] == "loyal"
    assert grid[5, 1] == "recent"
    assert grid[3, 2] == "promising"
    assert grid[1, 5] == grid[2, 4] == "cannot-lose"
    assert grid[1, 3] == "at-risk"
    assert grid[2, 2] == "about-to-sleep"
    assert grid[1, 1] == "hibernating"


# --- refill --------------------------------------------------------------------------------


def refill(profile: Profile, supply: float = 0.0, guess: float = 0.0) -> Refill | None:
    catalogue = Catalogue({"x": Product("x", supply_days=supply)} if supply else {})
    calibration = Calibration(supply={"x": guess} if guess else {})
    return run_out(profile, "x", by_product(profile, {"x"})["x"], catalogue, calibration)


@pytest.mark.parametrize(("supply", "day"), [(60, 50), (30, 25), (90, 80), (6, 5)])
def test_the_reminder_comes_ten_days_or_a_sixth_before_the_end(supply, day):
    """Sixty days are reminded at day 50, thirty at day 25."""
    found = refill(buyer(0), supply)
    assert found is not None
    assert found.due == START + supply * DAY
    assert found.due - found.lead == START + day * DAY


def test_the_quantity_multiplies_the_supply():
    """Three units last three times as long, in one line or in two."""
    once = refill(buyer(0, lines=(Line("x", 3, 300),)), 20)
    split = refill(buyer(0, lines=(Line("x", 1, 100), Line("y", 9, 9), Line("x", 2, 200))), 20)
    assert once == split
    assert once is not None
    assert once.supply_days == 60


def test_the_supply_begins_when_the_parcel_arrives():
    """A late parcel moves the date."""
    profile = buyer(0)
    at = START + 4 * DAY
    fold(profile, Entry(0, 1, "order.delivered", at, at, OrderDelivered(order="o0")))
    found = refill(profile, 30)
    assert found is not None
    assert found.due == START + 34 * DAY


def test_the_own_rhythm_pulls():
    """One own gap of 60 days against a supply of 30: (60 + 2*30) / 3; more gaps pull more."""
    once, thrice = refill(buyer(0, 60), 30), refill(buyer(0, 60, 120, 180), 30)
    assert once is not None
    assert thrice is not None
    assert once.supply_days == 40
    assert thrice.supply_days == pytest.approx((3 * 60 + 2 * 30) / 5)
    assert (once.own_gaps, thrice.own_gaps) == (1, 3)
    assert 0.5 < once.confidence < thrice.confidence < 1


def test_a_guess_serves_where_the_catalogue_is_silent():
    """The median repeat gap of the product, with less confidence; nothing tells: no date."""
    found = refill(buyer(0), guess=45.0)
    assert found is not None
    assert (found.supply_days, found.confidence) == (45, 0.3)
    assert refill(buyer(0)) is None
    assert refill(buyer(0, 40)) is None
    own = refill(buyer(0, 40, 90))
    assert own is not None
    assert own.supply_days == 45


def test_what_went_back_does_not_run_out():
    """A returned line is no purchase; one of two returned leaves the supply of one."""
    profile = buyer(0, 50, lines=(Line("x", 2, 200),))
    at = START + 52 * DAY
    back = ReturnInitiated(record="r", order="o1", lines=(Line("x", 2),))
    fold(profile, Entry(0, 1, "return.initiated", at, at, back))
    found = refill(profile, 30)
    assert found is not None
    assert (found.due, found.own_gaps) == (START + 60 * DAY, 0)
    half = ReturnInitiated(record="s", order="o0", lines=(Line("x", 1),))
    fold(profile, Entry(0, 1, "return.initiated", at, at, half))
    found = refill(profile, 30)
    assert found is not None
    assert found.due == START + 30 * DAY


def test_an_endless_supply_still_gives_an_instant():
    """A quantity or a supply beyond reason ends in ten years."""
    found = refill(buyer(0, lines=(Line("x", 10**6, 1),)), 36_500)
    assert found is not None
    assert found.due == START + 3650 * DAY


def test_a_guess_needs_enough_repeats():
    """The supply of a product is guessed from twenty repeat gaps on."""
    repeats = Repeats()
    for n in range(ENOUGH_REPEATS - 1):
        repeats.add(bought(0, 20 + n % 3))
    assert repeats.supply() == {}
    repeats.add(bought(0, 21))
    assert repeats.supply() == {"x": 21.0}


# --- the fit of a shop ---------------------------------------------------------------------


def test_a_calibration_of_a_few_customers():
    """Forty who come back after ten days, one who bought once, one who never did."""
    catalogue = Catalogue({"x": Product("x", category="tea/green")})
    as_of = START + 20 * DAY + HOUR
    fitting = Fitting(catalogue, as_of)
    for _ in range(40):
        fitting.add(buyer(0, 10))
    fitting.add(buyer(5, currency="USD"))
    fitting.add(Profile())
    found = fitting.fitted("7")
    assert (found.version, found.fitted_at, found.currency) == ("7", as_of, "EUR")
    assert set(found.rhythms) == {"loyal/tea", "/tea", "loyal/", "/"}
    # Forty gaps closed after ten days and forty open for ten: half are still alive.
    assert found.rhythms["loyal/tea"] == Rhythm(40, 10.0, 10.0, 10.0, "segment")
    assert found.supply == {"x": 10.0}
    assert found.cuts.orders == (2, 2, 2, 2)
    assert rfm.frequency_score(1, found.cuts) == 1
    assert rfm.frequency_score(2, found.cuts) == 5
    assert decode(encode(found)) == found


def test_a_calibration_of_nobody_is_the_default():
    """Without a history every rhythm is the default."""
    found = Fitting(Catalogue(), START).fitted("1")
    assert found.rhythm("loyal", "tea") == DEFAULT_RHYTHM
    assert (found.currency, found.cuts, found.supply) == ("", Cuts(), {})


# --- the merchant's products ---------------------------------------------------------------


def test_a_catalogue_is_read_from_a_table():
    """Columns by name, amounts in major units, empty cells at their defaults."""
    header = "\ufeffproduct,name,kind,price,currency,supply_days,complements"
    found = read_products(f"{header}\nx,Green tea,consumable,12.50,EUR,30,y z\ny,,,,,,\n")
    assert found.get("x") == Product(
        "x", "Green tea", "consumable", price=1250, currency="EUR", supply_days=30.0,
        complements=("y", "z"),
    )  # fmt: skip
    assert found.get("y") == Product("y")
    assert found.get("nobody") == Product("nobody")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("name\nx\n", "products.csv:1"),
        ("", "products.csv:1"),
        ("product,colour\nx,red\n", "products.csv:1"),
        ("product,kind\nx,toy\n", "products.csv:2"),
        ("product,price\nx,1\ny,cheap\n", "products.csv:3"),
        ("product,supply_days\nx,nan\n", "products.csv:2"),
        ("product,supply_days\nx,inf\n", "products.csv:2"),
        ("product,margin\nx,-1\n", "products.csv:2"),
        ("product,margin\nx,much\n", "products.csv:2"),
        ("name,product\nonly a name\n", "products.csv:2"),
        ("product\nx,more\n", "products.csv:2"),
        ("product\na\rb\n", "products.csv:2"),
    ],
)
def test_a_mistake_in_the_catalogue_is_refused_with_its_line(text, where):
    """Unknown columns, kinds and numbers, and lines that do not fit the header."""
    with pytest.raises(Refusal) as refused:
        read_products(text)
    assert refused.value.where == where
