"""Is what a customer is said to be drawn to more than chance, and the share of it right?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersale.models.affinity import Points, fit, leading

NAMES = ("kitchen/coffee", "kitchen/tea", "outdoor/boots", "outdoor/shoes")
WAYS = [name.split("/") for name in NAMES]


def fixed(seed):
    return np.random.default_rng(seed)  # noqa: TID251  # a fixed seed


def points(rows, names=NAMES):
    """Of (customer, choice, first, second)."""
    columns = [np.array([row[n] for row in sorted(rows)]) for n in range(4)]
    whole = [column.astype(np.int64) for column in columns[:2]]
    return Points(*whole, *(column.astype(float) for column in columns[2:]), names)


def drawn(customers, acts, pull, seed=1, names=NAMES):
    """Acts of customers whose shares are a Dirichlet's with this pull to equal ones."""
    dice = fixed(seed)
    rows = []
    for customer in range(customers):
        shares = dice.dirichlet(np.full(len(names), pull / len(names)))
        halves = [dice.multinomial(acts // 2, shares) for _ in range(2)]
        rows += [
            (customer, n, 3.0 * one, 3.0 * other)
            for n, (one, other) in enumerate(zip(*halves, strict=True))
            if one or other
        ]
    return points(rows, names)


def test_the_pull_is_found_and_bounds_hold():
    """In points of a line, and the share said of the leading choice is what comes."""
    told = drawn(4_000, 12, 4.0)
    model = fit(told)
    assert not model.off
    assert 8 <= model.pull <= 16
    assert model.error < model.constant
    assert model.reliability > 0.6
    later = drawn(4_000, 12, 4.0)
    found = leading(model, Points(*(getattr(told, f) for f in ("customer", "choice", "first")),
        np.zeros(len(told.customer)), NAMES), [(name,) for name in NAMES])  # fmt: skip
    sums = np.zeros((4_000, 4))
    sums[later.customer, later.choice] = later.second
    came = sums[found.customer, found.name] / sums[found.customer].sum(1)
    assert found.share.mean() == pytest.approx(came.mean(), abs=0.02)


def test_where_all_are_alike_nothing_is_told_or_it_is_called_chance():
    """Everybody has the shares of the shop."""
    model = fit(drawn(2_000, 6, 1e6))
    assert model.off or model.noisy


def test_shoes_and_boots_lead_to_outdoor_and_shoes_alone_to_shoes():
    """The deepest part that holds nine tenths of what the strongest root holds."""
    told = points([(1, 3, 3, 3), (1, 2, 0.5, 0.5), (1, 0, 0, 2), (2, 3, 9, 9), (2, 2, 0.5, 0)])
    found = leading(fit(told), told, WAYS)
    assert [found.names[n] for n in found.name] == ["outdoor", "outdoor/shoes"]
    assert found.share[0] == pytest.approx(7 / 9)
    assert (found.low <= found.share).all()
    assert (found.share <= found.high).all()


def test_too_little_is_said_so():
    """Nothing, one choice, few customers, and customers of one act."""
    assert "0 to choose from" in fit(points([], ())).off
    assert "1 to choose from" in fit(points([(1, 0, 1, 1)], ("a",))).off
    assert "1 customers" in fit(points([(1, 0, 1, 1), (2, 1, 1, 0)])).off
    assert "0 to choose from" in fit(points([(1, 0, 0, 0)], ())).off


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 3), st.integers(0, 9), st.integers(0, 9)),
        min_size=1,
        max_size=200,
        unique_by=lambda row: row[:2],
    )
)
def test_whatever_was_done_shares_are_shares(rows):
    """Within 0 and 1, one row a customer with points, and never not a number."""
    told = points([row for row in rows if row[2] + row[3]])
    model = fit(told)
    assert np.isfinite([model.error, model.constant, model.reliability]).all()
    if not model.shares:
        return
    found = leading(model, told, WAYS)
    assert found.customer.tolist() == sorted({row[0] for row in rows if row[2] + row[3]})
    for ends in (found.low, found.share, found.high):
        assert ((ends >= 0) & (ends <= 1 + 1e-12)).all()


@given(st.randoms(use_true_random=False))
def test_nothing_depends_on_the_names_of_choices(shuffled):
    """Another order of the choices leads to the same ones."""
    told = drawn(60, 8, 2.0)
    order = list(range(4))
    shuffled.shuffle(order)
    place = np.argsort(order)
    other = Points(told.customer, place[told.choice], told.first, told.second,
        tuple(NAMES[n] for n in order))  # fmt: skip
    ways = [WAYS[n] for n in order]
    one, two = leading(fit(told), told, WAYS), leading(fit(other), other, ways)
    assert one.share.sum() == pytest.approx(two.share.sum(), rel=0.05)
    assert fit(one and told).error == pytest.approx(fit(other).error)
