"""What a card shows of a model is true of it: its bins, gains, windows, corrections and seasons."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersale.models import chances, churn
from aftersale.models.chances import Measured, bins, calibration_error, corrected, correction, gains
from aftersale.models.scores import Card, Proof, Window
from aftersale.models.seasons import needs, season


def fixed(seed):
    return np.random.default_rng(seed)  # noqa: TID251  # a fixed seed


def test_the_calibration_error_by_hand():
    """Two bins of five of ten: one is right, the other forecasts 0.5 where all came."""
    chance = np.repeat([0.25, 0.5], 40)
    came = np.zeros(80, bool)
    came[:10] = came[40:60] = True
    assert calibration_error(bins(chance, came))[0] == pytest.approx(0)
    came[40:] = True
    assert calibration_error(bins(chance, came))[0] == pytest.approx(0.25)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=300),
    st.randoms(use_true_random=False),
)
def test_bins_hold_every_row_once_and_do_not_depend_on_their_order(rows, shuffled):
    """Equal probabilities share a bin; bins ascend by what was said."""
    chance, came = (np.array([row[n] for row in rows]) for n in (0, 1))
    found = bins(chance.astype(float), came.astype(bool))
    assert sum(one.rows for one in found) == len(rows)
    said = [one.said for one in found]
    assert said == sorted(said)
    again = list(range(len(rows)))
    shuffled.shuffle(again)
    other = bins(chance.astype(float)[again], came.astype(bool)[again])
    assert [one.rows for one in other] == [one.rows for one in found]
    assert [one.came for one in other] == pytest.approx([one.came for one in found])


def test_gains_by_hand():
    """A rank that knows finds all at once; one that knows nothing finds a tenth in each."""
    amount = np.array([5.0, 5.0, *([0.0] * 18)])
    assert gains(amount, amount) == (1.0,) * 10
    assert gains(np.zeros(20), amount) == pytest.approx([n / 10 for n in range(1, 11)])
    assert gains(np.zeros(9), np.ones(9)) == ()
    assert gains(np.arange(20.0), np.zeros(20)) == ()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 9)), min_size=10, max_size=60))
def test_gains_rise_to_all(rows):
    """Whatever the ranks and amounts: never falling, and all at the end."""
    rank, amount = (np.array([row[n] for row in rows]) for n in (0, 1))
    found = gains(rank, amount)
    assert not found or found[-1] == pytest.approx(1)
    assert all(one <= other + 1e-9 for one, other in pairwise(found))


def test_a_correction_finds_how_far_off_probabilities_were():
    """Said too surely by half: the slope is the half, and what comes out is calibrated."""
    dice = fixed(5)
    truth = chances.logistic.sigmoid(dice.normal(-0.5, 1, 40_000))
    came = dice.random(40_000) < truth
    logit = np.log(truth / (1 - truth))
    said = chances.logistic.sigmoid(2 * logit + 1)
    shift, slope = correction(said, came)
    assert (shift, slope) == pytest.approx((-0.5, 0.5), abs=0.03)
    assert corrected(said, (shift, slope)).mean() == pytest.approx(came.mean(), abs=0.002)


def test_where_all_did_the_same_or_the_ranking_turned_nothing_is_corrected():
    """There is no scale to be read from it."""
    chance = np.linspace(0.1, 0.9, 50)
    assert correction(chance, np.ones(50, bool)) == chances.NO_CORRECTION
    assert correction(chance, chance < 0.5) == chances.NO_CORRECTION
    assert correction(np.zeros(0), np.zeros(0, bool)) == chances.NO_CORRECTION
    assert corrected(chance, chances.NO_CORRECTION) == pytest.approx(chance)


def test_a_model_that_was_off_twice_alike_is_corrected_and_otherwise_left_alone():
    """Half the truth was said, twice: the next is moved. Off in another way each time: not."""
    dice = fixed(6)
    truth = dice.uniform(0.3, 0.9, 4_000)
    first, second = (dice.random(4_000) < truth for _ in range(2))
    shift, slope = churn._correction(truth / 2, first, truth / 2, second)
    assert corrected(truth / 2, (shift, slope)).mean() == pytest.approx(truth.mean(), abs=0.02)
    assert churn._correction(truth / 2, first, truth, second) == chances.NO_CORRECTION
    assert churn._correction(truth, first, truth, second) == chances.NO_CORRECTION


def test_a_corrected_model_keeps_its_ranking_and_scales_its_reasons():
    """The correction is one line through all logits, and bounds and reasons follow it."""
    dice = fixed(7)
    customer = np.repeat(np.arange(400), 4)
    day = (dice.integers(0, 300, 400).repeat(4) + dice.integers(0, 300, 1_600)).astype(np.int64)
    model = churn.learn((customer, day, np.ones(1_600)), 520, windows=3)
    bare = churn.msgspec.structs.replace(model, correction=chances.NO_CORRECTION)
    plain = churn.score(bare, (customer, day, np.ones(1_600)))
    moved = churn.msgspec.structs.replace(model, correction=(0.3, 0.8))
    other = churn.score(moved, (customer, day, np.ones(1_600)))
    assert (np.argsort(plain.churn) == np.argsort(other.churn)).all()
    assert ((other.low <= other.churn) & (other.churn <= other.high)).all()
    assert other.push == pytest.approx(0.8 * plain.push)
    assert other.version != plain.version
    assert [one.cut for one in model.windows] == [430, 340, 250]
    assert model.windows[0].measured in model.judged


def window(said, came, rows=1_000):
    return Window("2026-01-01", "2026-03-31", rows, said, came, 0.2)


def test_drift_is_the_newest_window_off_by_more_than_chance_and_than_ever():
    """A window that is off as all before it were is no drift, and nothing is none."""
    assert Proof(windows=(window(0.3, 0.4), window(0.3, 0.31))).drifted
    assert not Proof(windows=(window(0.3, 0.31), window(0.3, 0.31))).drifted
    assert not Proof(windows=(window(0.3, 0.4), window(0.3, 0.42))).drifted
    assert not Proof().drifted
    assert Proof(gains=(0.4, 1.0)).lift == 0.8
    assert Proof().lift is None


def test_a_card_of_before_has_no_proof():
    """Cards that an older version kept are still read."""
    kept = churn.msgspec.json.encode({"name": "churn", "version": "", "rows": 1, "measure": "m",
        "baseline": None, "model": None, "verdict": "on", "why": "", "seconds": 0.1})  # fmt: skip
    assert churn.msgspec.json.decode(kept, type=Card).proof == Proof()


def shop(rates, *, people=400, seed=3):
    """Purchases of a shop in which everybody buys with a probability of its own month, daily."""
    dice = fixed(seed)
    chance = np.repeat(np.array(rates), 30) / 30
    customer, day = np.nonzero(dice.random((people, len(chance))) < chance)
    return customer.astype(np.int64), day.astype(np.int64)


def test_a_season_is_known_by_a_year_before():
    """Three months at thrice the rate a year ago: said; a steady shop: not; too short: unknown."""
    flat = [0.4] * 20
    customer, day = shop(flat)
    assert not season(customer, day, 599, 90).marked
    assert season(customer, day, 599, 90).known == 1
    high = [*flat[:8], 1.2, 1.2, 1.2, *flat[:9]]
    customer, day = shop(high)
    found = season(customer, day, 240 + 365, 90)
    assert found.marked
    assert 1.4 < found.ratio < 3
    assert not season(customer, day, needs(90) - 1, 90).known
    assert not season(customer[:20], day[:20], 599, 90).known


def test_a_small_first_year_does_not_outvote_a_great_last_one():
    """Eighty customers are too few to show the season that two thousand do a year later."""
    rates = [*[0.4] * 8, 0.9, 0.9, 0.9, *[0.4] * 9]
    few, before = shop(rates, people=80, seed=8)
    customer, day = shop(rates, people=2_000)
    assert not season(few, before, 605, 90).marked
    both = np.concatenate([few, customer + 80]), np.concatenate([before, day + 365])
    told = season(*both, 970, 90)
    assert (told.known, told.marked) == (2, True)


def test_years_that_contradict_each_other_are_no_season():
    """Thrice as many a year ago and a third two years ago."""
    rates = [*[0.6] * 8, 0.2, 0.2, 0.2, *[0.6] * 9, *[0.4] * 2, *[1.2] * 3, *[0.4] * 8]
    customer, day = shop(rates)
    assert not season(customer, day, 240 + 2 * 365, 90).marked


def test_growth_is_no_season():
    """Who had just bought is asked alone: new customers of each month make no difference."""
    customer, day = shop([0.4] * 20, people=1_200)
    began = (customer // 2) % 600
    kept = day >= began
    assert not season(customer[kept], day[kept], 599, 90).marked


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-50, 900)), max_size=50),
    st.integers(0, 900),
)
def test_whatever_was_bought_a_season_is_a_number(rows, until):
    """No purchases, all on one day, days after the end."""
    customer, day = (np.array([row[n] for row in rows], np.int64) for n in (0, 1))
    assert season(customer, day, until, 90).ratio > 0


def test_measured_nothing_has_no_bins():
    """A way without rows."""
    assert chances.measure("way", np.zeros(0), np.zeros(0, bool)) == Measured(
        "way", 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0
    )
