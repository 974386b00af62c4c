"""Does a mean of few observations say as much as it can, and no more?"""

import ibis
import numpy as np
import pytest

from aftersale.features import leanings
from aftersale.kernel.instants import DAY, WEEK
from aftersale.models.leaning import ENOUGH, Sums, fit, standing, tell

UNTIL = 20_000 * DAY


def halves(values: list[list[float]]) -> tuple[Sums, Sums]:
    """Each customer's observations, taken in turn."""

    def sums(half: int) -> Sums:
        mine = [np.array(own[half::2]) for own in values]
        return Sums(
            np.array([float(len(v)) for v in mine]),
            np.array([float(v.sum()) for v in mine]),
            np.array([float((v**2).sum()) for v in mine]),
        )

    return sums(0), sums(1)


def drawn(customers: int, spread: float, noise: float) -> tuple[np.ndarray, list[list[float]]]:
    draw = np.random.default_rng(3)  # noqa: TID251  # a fixed seed
    truth = draw.normal(3, spread, customers)
    return truth, [list(draw.normal(t, noise, draw.integers(1, 9))) for t in truth]


def test_variances_are_those_of_the_analysis_of_variance() -> None:
    """Two observations each of 1, 3 and 5, 7: within 2, between (16 - 2) / 2 = 7."""
    model = fit(*halves([[1.0, 3.0], [5.0, 7.0]]))
    assert (model.mean, model.within, model.between) == (4.0, 2.0, 7.0)
    value, _ = tell(model, halves([[1.0, 3.0]])[0])
    assert value.tolist() == pytest.approx([4 + 7 / 9 * (1 - 4)])
    assert model.off == f"2 customers with two observations or more, {ENOUGH} are needed"


def test_leanings_are_nearer_to_the_truth_than_means_and_than_the_mean_of_all() -> None:
    """The variances are found again, and nine of ten truths lie within the bounds."""
    truth, values = drawn(2_000, 1.0, 2.0)
    first, second = halves(values)
    model = fit(first, second)
    assert model.off == ""
    assert model.between == pytest.approx(1.0, rel=0.15)
    assert model.within == pytest.approx(4.0, rel=0.1)
    value, reach = tell(model, first + second)
    means = np.array([np.mean(own) for own in values])
    error = np.mean((value - truth) ** 2)
    assert error < np.mean((means - truth) ** 2)
    assert error < np.mean((truth.mean() - truth) ** 2)
    assert np.mean(np.abs(value - truth) <= reach) == pytest.approx(0.9, abs=0.02)


def test_what_is_nothing_but_chance_says_so() -> None:
    """Without differences between customers the reliability is low, and mostly it is not told."""
    _, values = drawn(2_000, 0.0, 2.0)
    model = fit(*halves(values))
    assert model.noisy
    assert model.reliability < 0.1
    _, values = drawn(2_000, 2.0, 0.5)
    assert not fit(*halves(values)).noisy


def test_nobody_and_customers_that_are_all_alike_are_no_error() -> None:
    """There is a reason, and no number that is none."""
    nothing = np.zeros(0)
    assert fit(Sums(nothing, nothing, nothing), Sums(nothing, nothing, nothing)).off
    model = fit(*halves([[3.0, 3.0]] * 50))
    assert model.off == "the mean of all tells the other half as well"
    assert tell(model, halves([[3.0]])[0])[0].tolist() == [3.0]


def test_a_standing_is_the_share_of_the_others_below() -> None:
    """Equal values stand alike; one alone stands at nothing."""
    values = np.array([1.0, 2.0, 2.0, 9.0, 5.0])
    assert standing(values, values).tolist() == [0, 0.25, 0.25, 1, 0.75]
    assert standing(values, np.array([0.5, 2.1, 10.0])).tolist() == [0, 0.75, 1]
    assert standing(np.array([4.0]), np.array([4.0])).tolist() == [0]


def signals(*rows: tuple[int, int, str, int | None, str]) -> ibis.expr.types.Table:
    names = ("customer", "at", "type", "score", "word")
    kinds = dict(zip(names, ("int64", "int64", "string", "int64", "string"), strict=True))
    return ibis.memtable(
        [dict(zip(names, row, strict=True)) for row in rows], schema=ibis.schema(kinds)
    )


def orders(*rows: tuple[int, int, int, int]) -> ibis.expr.types.Table:
    names = ("customer", "at", "discount", "codes")
    schema = ibis.schema(dict.fromkeys(names, "int64"))
    return ibis.memtable([dict(zip(names, row, strict=True)) for row in rows], schema=schema)


def found(table: ibis.expr.types.Table) -> dict[int, list[float]]:
    rows = ibis.duckdb.connect().to_pyarrow(table).to_pylist()
    return {row["customer"]: [row[name] for name in leanings.COLUMNS] for row in rows}


def test_orders_with_a_discount_or_a_code_are_counted_in_turn() -> None:
    """Of three orders the first and third are one half; what is older than two years is gone."""
    told = orders(
        (1, UNTIL - 3 * DAY, 100, 0), (1, UNTIL - 2 * DAY, 0, 0), (1, UNTIL - DAY, 0, 2),
        (2, UNTIL - 731 * DAY, 100, 0),
    )  # fmt: skip
    assert found(leanings.discounted(told, UNTIL)) == {1: [2, 2, 2, 1, 0, 0]}


def test_ratings_and_answers_share_one_scale() -> None:
    """A rating of 4, a CSAT of 2, and an NPS of 10, which is a 5; other signals say nothing."""
    told = signals(
        (1, UNTIL - 3 * DAY, "review.submitted", 4, ""),
        (1, UNTIL - 2 * DAY, "survey.answered", 2, "csat"),
        (1, UNTIL - DAY, "survey.answered", 10, "nps"),
        (1, UNTIL, "survey.answered", 3, "taste"),
        (1, UNTIL, "product.viewed", 1, ""),
        (2, UNTIL, "review.submitted", None, ""),
    )
    assert found(leanings.opinions(told, UNTIL)) == {1: [2, 9, 41, 1, 2, 4]}


def test_weeks_with_any_act_count_since_the_customer_was_first_seen() -> None:
    """Seen first four weeks ago and again last week: two of five weeks, both of the even half."""
    told = signals(
        (1, UNTIL - 4 * WEEK - DAY, "product.viewed", 1, ""),
        (1, UNTIL - DAY, "message.clicked", None, ""),
        (1, UNTIL - 2 * DAY, "message.sent", None, ""),
        (3, UNTIL - DAY, "message.sent", None, ""),
    )
    bought = orders((2, UNTIL - 40 * WEEK, 0, 0))
    assert found(leanings.active_weeks(bought, told, UNTIL)) == {
        1: [3, 2, 2, 2, 0, 0],
        2: [13, 0, 0, 13, 0, 0],
    }
