"""Do chances of churn come from the past alone, and do they hold up on bad data?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aftersale.models import churn, logistic, medians, next_purchase
from aftersale.models.buying import Buying
from aftersale.models.chances import area, measure
from aftersale.models.churn import BANDS, FLAGS, REASONS, WAYS, learn, score
from aftersale.models.logistic import sigmoid
from aftersale.models.rhythms import FAMILIES, WORDS, rhythms

UNTIL = 400


def fixed(seed):
    """Draws that are the same every time."""
    return np.random.default_rng(seed)  # noqa: TID251 - the seed is fixed


def whole(*values):
    return np.array(values, np.int64)


def shop(people=600, seed=1, days=UNTIL):
    """Customers of several speeds, of whom a part falls silent."""
    dice = fixed(seed)
    rows = []
    for customer in range(people):
        day, gap = int(dice.integers(0, days - 60)), float(dice.choice([15, 40, 150]))
        while day <= days:
            rows.append((customer, day, round(float(dice.gamma(2, 20)), 2)))
            if dice.random() < 0.12:
                break
            day += 1 + int(dice.exponential(gap))
    table = np.array(sorted(rows))
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]


@pytest.fixture(scope="module")
def bought():
    return shop()


def of_one(customer, day, amount, cut):
    found = rhythms(whole(*customer), whole(*day), np.array(amount, float), cut)
    return dict(zip(found.names, found.values[0].tolist(), strict=True))


# --- numbers of a customer --------------------------------------------------------------------


def test_the_numbers_are_those_of_a_calculation_by_hand():
    """Bought on days 10, 20, 40 and 110 (twice), seen on day 120."""
    found = of_one([7] * 5, [10, 20, 40, 110, 110], [5.0, 15.0, 10.0, 4.0, 6.0], 120)
    whole_numbers = {
        name: round(float(np.expm1(value)), 6)
        for name, value in found.items()
        if name not in {"overdue", "slowing", "trend", "spend_trend", "rate"}
    }
    assert whole_numbers == {
        "since": 10, "frequency": 3, "age": 110, "recency": 100, "gap_mean": 33.333333,
        "gap_median": 20, "gap_spread": 26.246693, "gap_last": 70, "gap_before": 20,
        "count_30": 1, "count_90": 2, "count_180": 4,
        "spend_30": 10, "spend_90": 20, "spend_180": 40,
        "spend_mean": 10, "spend_total": 40, "spend_last": 10, "spend_first": 5,
    }  # fmt: skip
    assert found["overdue"] == pytest.approx(np.log(11) - np.log1p(100 / 3))
    assert found["slowing"] == pytest.approx(np.log(71) - np.log(21))
    assert found["trend"] == pytest.approx(np.log(2) - np.log(4))  # 1 after day 65, 3 before
    assert found["spend_trend"] == 0
    assert found["rate"] == pytest.approx(np.log1p(3 / (110 / 30)))


def test_somebody_who_bought_once_has_no_gaps():
    """And what is not known is not a number, which is not 0."""
    found = of_one([1], [3], [10.0], 9)
    unknown = {name for name, value in found.items() if np.isnan(value)}
    assert unknown == {
        "overdue", "gap_mean", "gap_median", "gap_spread", "gap_last", "gap_before", "slowing"
    }  # fmt: skip


def test_every_number_has_words_and_a_family():
    """So that every driver can be told."""
    assert set(WORDS) == {name for _, names in FAMILIES.values() for name in names.split()}
    assert {*FAMILIES, churn.EXPECTED} == set(REASONS)


purchases = st.lists(
    st.tuples(st.integers(-3, 5), st.integers(0, 60), st.floats(-1e3, 1e15)), max_size=40
)


@given(purchases, purchases, st.integers(0, 60))
def test_nothing_after_the_cut_changes_a_number(rows, later, cut):
    """Neither for those known nor by customers that come later, in any order of rows."""
    before = [row for row in rows if row[1] <= cut]
    after = [(who, cut + 1 + day, paid) for who, day, paid in later]
    alone, with_rest = (
        rhythms(*(np.array([row[n] for row in some], t) for n, t in enumerate((int, int, float))),
                cut)
        for some in (before, sorted(after, reverse=True) + before)
    )  # fmt: skip
    assert alone.customer.tolist() == with_rest.customer.tolist()
    assert np.array_equal(alone.values, with_rest.values, equal_nan=True)
    assert not np.isinf(alone.values).any()


@given(purchases.filter(bool))
def test_a_customer_has_the_same_numbers_alone(rows):
    """Other customers do not change them."""
    columns = [np.array([row[n] for row in rows], t) for n, t in enumerate((int, int, float))]
    everybody = rhythms(*columns, 60)
    mine = columns[0] == columns[0][0]
    alone = rhythms(*(column[mine] for column in columns), 60)
    place = everybody.customer.tolist().index(columns[0][0])
    assert alone.values[0] == pytest.approx(everybody.values[place], nan_ok=True, abs=1e-2)


def test_what_else_is_known_is_placed_beside_its_customer():
    """Whoever is not named has no value, whoever never bought has no row."""
    known = {"tickets": (whole(1, 5, 9), np.array([2.0, 3.0, np.inf]))}
    found = rhythms(whole(1, 2, 9), whole(1, 1, 1), np.ones(3), 5, known)
    assert found.names[-1] == "tickets"
    assert found.values[:, -1] == pytest.approx([2.0, np.nan, np.nan], nan_ok=True)


# --- logistic regression ----------------------------------------------------------------------


def test_the_fit_is_that_of_scikit_learn():
    """Coefficients to 1e-5, with the same penalty, on the same standardised columns."""
    linear = pytest.importorskip("sklearn.linear_model")
    dice = fixed(3)
    values = dice.normal(size=(2_000, 5)) * [1, 10, 0.1, 3, 1] + 2
    values[dice.random(2_000) < 0.3, 2] = np.nan
    came = dice.random(2_000) < sigmoid(values[:, 0] - 0.2 * values[:, 1])
    ours = logistic.fit(values, came, penalty=4.0)
    table = logistic.columns(ours, values)
    theirs = linear.LogisticRegression(C=0.25, tol=1e-10, max_iter=1_000).fit(table, came)
    assert ours.flags == ()
    assert ours.blanks == (2,)
    assert theirs.coef_[0] == pytest.approx(ours.coefficients, abs=1e-5)
    assert theirs.intercept_[0] == pytest.approx(ours.intercept, abs=1e-5)
    assert theirs.decision_function(table) == pytest.approx(logistic.logits(ours, table), abs=1e-4)


@given(
    st.integers(0, 30),
    st.integers(0, 3),
    st.lists(st.sampled_from([0.0, 1.0, -5.0, 1e12, np.nan, np.inf, -np.inf]), min_size=1),
    st.lists(st.booleans(), min_size=1),
)
def test_a_fit_never_fails_and_never_tells_what_is_no_number(rows, numbers, cells, outcomes):
    """Without rows, with one outcome, with columns that are all alike or all unknown."""
    values = np.resize(np.array(cells), (rows, numbers))
    model = logistic.fit(values, np.resize(np.array(outcomes), rows).astype(bool))
    table = logistic.columns(model, values) if model.fitted else np.zeros((rows, 0))
    assert np.isfinite(logistic.logits(model, table)).all()
    assert np.isfinite(logistic.errors(model, table)).all()
    assert set(model.flags) <= set(logistic.FLAGS)


def test_a_number_that_tells_the_outcome_for_sure_does_not_run_away():
    """The penalty holds it, where the likelihood alone would have no greatest point."""
    values = np.arange(100.0)[:, None]
    model = logistic.fit(values, values[:, 0] >= 50, penalty=1e-3)
    assert model.flags == ()
    assert np.isfinite(model.coefficients).all()


def test_an_error_is_how_much_the_logit_varies_over_samples():
    """Within a fifth, without a penalty to speak of."""
    logits, told = [], []
    for seed in range(60):
        dice = fixed(seed)
        values = dice.normal(size=(400, 2))
        came = dice.random(400) < sigmoid(0.5 + values[:, 0])
        model = logistic.fit(values, came, penalty=1e-3)
        table = logistic.columns(model, np.array([[1.0, -1.0]]))
        logits.append(float(logistic.logits(model, table)[0]))
        told.append(float(logistic.errors(model, table)[0]))
    assert np.mean(told) == pytest.approx(np.std(logits), rel=0.2)


# --- measures ---------------------------------------------------------------------------------


def test_the_area_and_its_error_are_those_of_all_pairs():
    """Ties count half; the error is that over many samples, within a fifth."""
    assert area(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True]))[0] == 0.875
    found = []
    for seed in range(100):
        dice = fixed(seed)
        came = dice.random(300) < 0.3
        found.append(area(dice.normal(size=300) + came, came))
    areas, errors = np.array(found).T
    assert errors.mean() == pytest.approx(areas.std(), rel=0.2)


def test_the_base_rate_is_calibrated_and_ranks_nobody():
    """Equal probabilities share a bin."""
    came = np.arange(1_000) % 4 == 0
    found = measure("base-rate", np.full(1_000, 0.25), came)
    assert (found.auc, found.ece, found.brier) == (0.5, 0.0, 0.1875)


def test_nothing_measured_is_still_numbers():
    """No rows, and one outcome."""
    assert measure("way", np.zeros(0), np.zeros(0, bool)).auc == 0.5
    assert measure("way", np.full(3, 0.5), np.ones(3, bool)).auc_error == 0


# --- churn ------------------------------------------------------------------------------------


def test_a_shop_with_a_past_is_learnt_from_and_judged(bought):
    """Better than the base rate on its own last horizon, and better than recency."""
    model = learn(bought, UNTIL)
    assert (model.way, model.flags) == ("learned", ())
    told = {one.way: one for one in model.judged}
    assert list(told) == ["learned", "closed-form", "base-rate", "recency", "p90-rule"]
    assert told["learned"].auc > told["recency"].auc - told["recency"].auc_error
    assert told["learned"].brier < told["base-rate"].brier


def test_a_score_is_a_probability_with_bounds_a_band_and_reasons(bought):
    """Bands by their edges; three reasons, strongest first, with the sign of their push."""
    found = score(learn(bought, UNTIL), bought, high=0.6, low=0.4)
    assert (found.low < found.churn).all()
    assert (found.churn < found.high).all()
    assert (found.band == np.where(found.churn > 0.6, 2, np.where(found.churn > 0.4, 1, 0))).all()
    assert len(BANDS) == 3
    assert (np.abs(found.push[:, 0]) >= np.abs(found.push[:, 2])).all()
    words = found.told(0)
    assert len(words) == 3
    assert words[0].endswith("raises the risk" if found.push[0, 0] > 0 else "lowers the risk")


def test_who_bought_once_long_ago_is_at_risk_though_alive_for_certain(bought):
    """P(alive) of a one-time buyer is 1; it must not make its churn small."""
    customer, day, amount = bought
    once = (np.append(customer, 10_000), np.append(day, 5), np.append(amount, 20.0))
    found = score(learn(bought, UNTIL), once)
    assert found.churn[found.customer == 10_000][0] > np.median(found.churn)


def test_the_future_changes_neither_what_is_learnt_nor_a_score(bought):
    """Purchases after the day are not seen, those of customers unknown so far included."""
    customer, day, amount = bought
    known = day <= 300
    past = (customer[known], day[known], amount[known])
    ours, theirs = learn(bought, 300), learn(past, 300)
    assert ours == theirs
    assert ours.version == theirs.version
    assert np.array_equal(score(ours, bought).churn, score(theirs, past).churn)


def test_a_version_changes_with_what_is_learnt(bought):
    """And with nothing else."""
    assert learn(bought, UNTIL).version == learn(bought, UNTIL).version
    assert learn(bought, UNTIL).version != learn(bought, UNTIL - 1).version


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=30), st.floats(0.01, 0.99))
def test_setting_the_level_keeps_the_order_and_meets_the_mean(logits, target):
    """It only moves all logits by the same."""
    before = np.array(logits)
    after = before + churn._level(before, np.full(3, target))
    assert sigmoid(after).mean() == pytest.approx(target, abs=1e-6)
    order = np.argsort(before, kind="stable")
    assert (np.diff(sigmoid(after)[order]) >= 0).all()


def test_further_numbers_are_learnt_from_and_named_as_reasons(bought):
    """A number that foretells everything comes first among the reasons."""
    customer, day, _ = bought

    def others(cut):
        who = np.unique(customer)
        soon = np.isin(who, customer[(day > cut) & (day <= cut + 90)])
        return {"oracle": (who, soon.astype(float))}

    model = learn(bought, UNTIL - 90, others=others)
    found = score(model, bought, others=others)
    assert model.way == "learned"
    first = [found.reasons[place] for place in found.drivers[:, 0]]
    assert first.count("oracle") > len(first) * 0.9


def test_the_ladder_goes_down_step_by_step(bought):
    """Less history, fewer outcomes, fewer repeaters: each with its reason."""
    customer, day, amount = bought
    young = day >= UNTIL - 100
    model = learn((customer[young], day[young], amount[young]), UNTIL)
    assert (model.way, model.flags[0]) == ("closed-form", "short-history")
    few = customer < 60
    model = learn((customer[few], day[few], amount[few]), UNTIL)
    assert (model.way, model.flags[0]) == ("closed-form", "too-few-outcomes")
    tiny = score(model, (customer[few], day[few], amount[few]))
    assert (tiny.drivers == -1).all()
    assert (tiny.low < tiny.churn).all()
    once = np.flatnonzero(np.diff(customer, prepend=-1))
    model = learn((customer[once], day[once], amount[once]), UNTIL)
    assert model.way == "base-rate"
    assert "too-few-buyers" in model.flags
    flat = score(model, (customer[once], day[once], amount[once]))
    assert len(set(flat.churn.tolist())) == 1
    few = slice(0, 5)
    model = learn((customer[few], day[few], amount[few]), UNTIL)
    assert model.way == "none"
    assert not score(model, (customer[few], day[few], amount[few])).customer.size


BAD = {
    "no data": ([], [], []),
    "one customer": ([1], [10], [5.0]),
    "one order each": (range(500), [n % 390 for n in range(500)], [1.0] * 500),
    "all on one day": ([n % 100 for n in range(500)], [100] * 500, [1.0] * 500),
    "negative and zero amounts": (
        [n % 100 for n in range(2_000)],
        [n * 7 % 391 for n in range(2_000)],
        [0.0, -5.0] * 1_000,
    ),
    "dates in the future": ([1, 1, 2], [9_000, 9_001, 9_002], [1.0, 2.0, 3.0]),
    "amounts that are no numbers": (
        [n % 200 for n in range(3_000)],
        [n * 11 % 397 for n in range(3_000)],
        [np.nan, np.inf, 3.0] * 1_000,
    ),
    "everybody buys every week": (
        [n % 100 for n in range(5_000)],
        [n // 100 * 8 for n in range(5_000)],
        [3.0] * 5_000,
    ),
}


@pytest.mark.parametrize("rows", BAD.values(), ids=BAD)
def test_bad_data_give_an_answer_with_a_reason(rows):
    """Probabilities within bounds or none at all, and only flags of the closed list."""
    customer, day, amount = rows
    some = (whole(*customer), whole(*day), np.array(list(amount), float))
    model = learn(some, UNTIL)
    found = score(model, some)
    assert model.way in WAYS
    assert set(model.flags) <= set(FLAGS)
    assert model.way == "learned" or model.flags
    assert ((found.churn > 0) & (found.churn < 1)).all()
    assert ((found.low <= found.churn) & (found.churn <= found.high)).all()
    assert np.isfinite(found.push).all()
    told = next_purchase.learn(some, UNTIL)
    days = next_purchase.tell(told, some)
    assert told.way in next_purchase.WAYS
    assert set(told.flags) <= set(next_purchase.FLAGS)
    assert told.way != "none" or told.flags
    assert ((days.early > 0) & (days.early <= days.middle)).all()
    assert ((days.middle <= days.late) & (days.late <= 90)).all()


@pytest.mark.slow
def test_a_million_orders_of_one_customer_are_one_customer():
    """And the others have the same answer as without it, nearly."""
    customer, day, amount = shop(200, seed=5)
    many = np.arange(1_000_000)
    some = (
        np.append(customer, np.full(len(many), 7_000)),
        np.append(day, many % UNTIL),
        np.append(amount, np.ones(len(many))),
    )
    found = score(learn(some, UNTIL), some)
    assert found.customer[-1] == 7_000
    assert found.churn[-1] < 0.3
    assert np.isfinite(found.churn).all()


@settings(max_examples=25)
@given(purchases)
def test_whatever_was_bought_there_is_an_answer(rows):
    """No exception, no missing number."""
    columns = [np.array([row[n] for row in rows], t) for n, t in enumerate((int, int, float))]
    found = score(learn(tuple(columns), 50, horizon=10), tuple(columns))
    assert np.isfinite(found.churn).all()
    assert np.isfinite(found.low + found.high).all()


# --- next purchase ----------------------------------------------------------------------------


def test_the_closed_form_is_the_median_of_draws():
    """Of a customer who is there and buys within the horizon, by the model itself."""
    model = Buying(r=0.8, alpha=50.0, a=0.5, b=2.0)
    seen = rhythms(whole(1, 1, 1), whole(0, 30, 70), np.ones(3), 100)
    dice = fixed(4)
    rate = dice.gamma(0.8 + 2, 1 / (50 + 100), 400_000)
    wait = dice.exponential(1 / rate)
    wait = wait[wait <= 90]
    for share in (0.1, 0.5, 0.9):
        told = next_purchase._closed_form(model, seen, 90, share)[0]
        assert told == pytest.approx(np.quantile(wait, share), rel=0.02)


def test_days_are_learnt_where_there_is_a_past_and_beat_the_median_of_the_shop(bought):
    """And eight of ten who come lie within the interval, or a few more."""
    cut = UNTIL - 90
    model = next_purchase.learn(bought, cut)
    assert (model.way, model.flags) == ("both", ())
    found = next_purchase.compare(bought, cut)
    assert found["both"].mae < found["shop"].mae
    assert found["both"].mae < found["own-gap"].mae
    days = next_purchase.tell(model, bought)
    after = next_purchase._view(bought, cut, 90)[1]
    came = ~np.isnan(after)
    within = (days.early <= after) & (after <= days.late)
    assert 0.7 < within[came].mean() < 0.95


def test_days_know_nothing_of_the_future(bought):
    """Purchases after the day change neither the way nor a day."""
    customer, day, amount = bought
    known = day <= 300
    past = (customer[known], day[known], amount[known])
    ours, theirs = next_purchase.learn(bought, 300), next_purchase.learn(past, 300)
    assert ours == theirs
    told, same = next_purchase.tell(ours, bought), next_purchase.tell(theirs, past)
    assert np.array_equal(told.late, same.late)


def test_a_median_line_finds_the_median_and_not_the_mean():
    """Of days with a long tail, along one number."""
    dice = fixed(9)
    values = dice.normal(size=(5_000, 1))
    logs = 3 + 0.5 * values[:, 0] + dice.exponential(1, 5_000)
    _, line = medians.fit(values, logs, 1.0)
    assert line[0] == pytest.approx(3 + np.log(2), abs=0.08)
    assert line[1] == pytest.approx(0.5, abs=0.05)


def test_a_shop_whose_customers_come_at_random_gets_no_days():
    """Where everybody is alike, the median of the shop is as near, or as good as."""
    dice = fixed(11)
    customer = np.repeat(np.arange(300), 20)
    some = (customer, dice.integers(0, UNTIL, len(customer)), np.ones(len(customer)))
    model = next_purchase.learn(some, UNTIL)
    judged = {one.way: one for one in model.judged}
    assert model.way == "none" or judged["both"].mae > judged["shop"].mae * 0.97
