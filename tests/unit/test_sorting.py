"""Do the fast ways to sort and to tell apart say what the plain ones say?"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aftersale.models.sorting import differs, distinct, in_order, numbered, order, places, tally

NEAR = st.integers(-5, 5)
FAR = st.sampled_from([-(1 << 62), -7, 0, 3, 1 << 40, 1 << 62])
COLUMN = st.lists(NEAR | FAR, max_size=30)
ROWS = st.lists(st.tuples(NEAR | FAR, NEAR, NEAR | FAR), max_size=30)


def whole(values):
    return np.array(values, np.int64)


@given(ROWS)
def test_rows_come_in_the_order_of_their_columns_however_far_apart_they_are(rows):
    """One number a row where the columns fit into it, and the slow way where they do not."""
    columns = tuple(whole(rows).reshape(-1, 3).T)
    by = order(*columns)
    assert sorted(by.tolist()) == list(range(len(rows)))
    assert [rows[place] for place in by] == sorted(rows)


@given(ROWS)
def test_what_is_in_order_is_known_to_be(rows):
    """By all columns, the first of which counts most."""
    columns = tuple(whole(rows).reshape(-1, 3).T)
    assert in_order(*columns) == (rows == sorted(rows))
    assert in_order(*tuple(whole(sorted(rows)).reshape(-1, 3).T))


@given(COLUMN, st.booleans())
def test_values_are_told_apart_and_counted(values, ascending):
    """In order or not: the different ones, how often there is each, and which one a row has."""
    values = sorted(values) if ascending else values
    apart = sorted(set(values))
    assert distinct(whole(values)).tolist() == apart
    found, counts = tally(whole(values))
    assert found.tolist() == apart
    assert counts.tolist() == [values.count(value) for value in apart]
    found, place = numbered(whole(values))
    assert found.tolist() == apart
    assert found[place].tolist() == values
    assert places(whole(values), whole(apart)).tolist() == place.tolist()


@given(COLUMN)
def test_a_value_that_is_not_the_one_before_it_is_new(values):
    """The first always is."""
    before = [None, *values]
    assert differs(whole(values)).tolist() == [
        value != before[place] for place, value in enumerate(values)
    ]
