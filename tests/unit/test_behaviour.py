"""Are segments of behaviour and affinities what their definitions say?"""

import ibis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersale.catalogue.product import Catalogue, Product
from aftersale.features.affinity import affinities, branches
from aftersale.features.tables import TABLES
from aftersale.kernel.instants import DAY
from aftersale.segments.behaviour import MEASURES, SEGMENTS, Definition, judge, memberships

NOW = 1_700_000_000_000_000
BY_NAME = {definition.name: definition for definition in SEGMENTS}


def met(name, **measures):
    return judge(BY_NAME[name], measures).met


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("champion", {"engagement": 0.81, "satisfaction": 4.6}, {"satisfaction": 4.5}),
        ("loyal", {"purchases": 4, "engagement": 0.61}, {"purchases": 3}),
        ("at_risk", {"days_since_purchase": 61, "engagement": 0.39}, {"engagement": 0.4}),
        ("new", {"days_since_first_purchase": 30}, {"days_since_first_purchase": 31}),
        ("price_sensitive", {"price_sensitivity": 0.71}, {"price_sensitivity": 0.7}),
        ("premium", {"order_value_standing": 0.8, "satisfaction": 4.1}, {"satisfaction": 4.0}),
        ("first_time", {"purchases": 1}, {"purchases": 2}),
        ("repeat", {"purchases": 2}, {"purchases": 1}),
        ("high_clv", {"value_standing": 0.8}, {"value_standing": 0.79}),
        ("occasional", {"purchases": 2, "purchases_a_year": 2}, {"purchases_a_year": 2.1}),
    ],
)
def test_each_segment_begins_where_its_thresholds_say(name, inside, outside):
    assert met(f"segment.{name}", **inside) is True
    assert met(f"segment.{name}", **{**inside, **outside}) is False


@given(st.dictionaries(st.sampled_from(sorted(MEASURES)), st.none() | st.floats(), max_size=9))
def test_what_is_not_known_never_makes_a_member(measures):
    """Every test of a segment a customer is in has a value that is a number and is met."""
    for found in memberships(measures):
        assert (found.met is True) == all(e.met for e in found.evidence)
        assert all((e.value is None) == (e.met is None) for e in found.evidence)


def test_the_evidence_tells_value_and_threshold():
    (first, second) = judge(BY_NAME["segment.champion"], {"engagement": 0.9}).evidence
    assert (first.measure, first.value, first.threshold, first.met) == (
        "engagement",
        0.9,
        0.8,
        True,
    )
    assert (second.value, second.met) == (None, None)


def test_names_stand_in_one_space_each():
    assert len(BY_NAME) == len(SEGMENTS)
    assert all(name.startswith("segment.") for name in BY_NAME)
    with pytest.raises(ValueError, match="no name"):
        Definition("at_risk", SEGMENTS[0].tests)


# --- affinity -----------------------------------------------------------------------------


def table(name, rows=()):
    schema = TABLES[name]
    blank = dict.fromkeys(schema.names)
    for column, kind in schema.items():
        blank[column] = "" if kind.is_string() else 0
    full = [{**blank, "at": NOW, "customer": 1, **row} for row in rows]
    return ibis.memtable(pa.Table.from_pylist(full, schema=schema.to_pyarrow()))


CATALOGUE = Catalogue(
    {
        "runner": Product("runner", category="outdoor footwear/shoes"),
        "boot": Product("boot", category="outdoor footwear/boots"),
        "pan": Product("pan", category="kitchenware"),
        "odd": Product("odd"),
    }
)


def scores(lines=(), signals=(), undone=(), **options):
    history = {
        "lines": table("lines", lines),
        "signals": table("signals", signals),
        "undone": table("undone", undone),
    }
    tree = ibis.memtable(pa.table(branches(CATALOGUE)))
    found = affinities(history, tree, as_of=NOW, **options).to_pyarrow().to_pylist()
    return {row["node"]: row["score"] for row in found if row["customer"] == 1}


SHOES = [{"order": order, "product": "runner"} for order in ("a", "b")]
LOOKS = [{"type": "product.viewed", "product": "boot"} for _ in range(2)]


def test_shoes_bought_twice_and_boots_looked_at_twice_lead_to_outdoor_footwear():
    """6.0 and 1.0 are 7.0 one level up; a basket counts 2, what has no category nothing."""
    pan = [{"type": "product.added_to_cart", "product": name} for name in ("pan", "odd")]
    assert scores(SHOES, LOOKS + pan) == {
        "outdoor footwear": 7.0,
        "outdoor footwear/shoes": 6.0,
        "outdoor footwear/boots": 1.0,
        "kitchenware": 2.0,
    }


def test_weights_and_window_are_arguments():
    old = [{**row, "at": NOW - 10 * DAY} for row in LOOKS]
    assert scores(SHOES, old, window=10 * DAY, weights=(1.0, 1.0, 1.0)) == {
        "outdoor footwear": 2.0,
        "outdoor footwear/shoes": 2.0,
    }


def test_what_comes_later_or_was_undone_or_is_told_again_does_not_count():
    lines = [
        *SHOES,
        {**SHOES[0], "position": 9},
        {"order": "c", "product": "pan", "at": NOW + 1},
        {"order": "d", "product": "pan"},
        {"order": "e", "product": "boot"},
        {"order": "e", "product": "pan", "place": 1},
    ]
    undone = [
        {"kind": "cancelled", "order": "d"},
        {"kind": "returned", "order": "e", "product": "boot"},
        {"kind": "returned", "order": "e", "product": "pan", "at": NOW + 1},
    ]
    assert scores(lines, undone=undone) == {
        "outdoor footwear": 6.0,
        "outdoor footwear/shoes": 6.0,
        "kitchenware": 3.0,
    }


def test_no_history_gives_no_affinity():
    assert scores() == {}
