"""What do conditions say, and how are mistakes refused?"""

import pickle

import ibis
import pytest

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY
from aftersale.segments.condition import Term, compile_condition
from aftersale.segments.fields import Field, Fields
from aftersale.segments.segment import load_segments
from aftersale.segments.table import as_filter

NOW = 1_700_000_000_000_000


class Reads:
    """Reads one value of a row; a class, so that it can travel between processes."""

    def __init__(self, name):
        self.name = name

    def __call__(self, row):
        return row.get(self.name)


def field(name, kind, scope="customer"):
    return Field(name, kind, scope, f"{name} of the {scope}", Reads(name))


FIELDS = Fields(
    [
        field("now", "instant"),
        field("lifecycle.stage", "text"),
        field("churn.band", "text"),
        field("churn.score", "number"),
        field("orders.count", "number"),
        field("last_order_at", "instant"),
        field("customer.country", "text"),
        field("vip", "boolean"),
        field("refill.lead", "duration"),
        field("name", "text"),
        field("x", "number"),
        field("y", "number"),
        field("event.rating", "number", "event"),
        field("line.product", "text", "event"),
        field("run.product", "text", "run"),
    ]
)


def condition(text, scopes=None):
    return compile_condition(text, FIELDS, scopes=scopes)


def holds(text, **row):
    return condition(text).holds({name.replace("__", "."): value for name, value in row.items()})


@pytest.mark.parametrize(
    ("text", "row", "answer"),
    [
        ("true", {}, True),
        ("lifecycle.stage = 'at_risk'", {"lifecycle__stage": "at_risk"}, True),
        ("lifecycle.stage = 'at_risk'", {"lifecycle__stage": "new"}, False),
        ("lifecycle.stage = 'at_risk'", {}, None),
        ("LIFECYCLE.stage is null or TRUE", None, None),
        ("event.rating <= 2", {"event__rating": 2}, True),
        ("line.product = run.product", {"line__product": "tea", "run__product": "tea"}, True),
        ("name = 'it''s'", {"name": "it's"}, True),
        ("name like 'A%'", {"name": "Ada"}, True),
        ("name like '%a'", {"name": "Ada"}, True),
        ("name like '%d%'", {"name": "Ada"}, True),
        ("name like 'A_a'", {"name": "Ada"}, True),
        ("name like 'Ada'", {"name": "Adam"}, False),
        ("name like 'A.a'", {"name": "Ada"}, False),
        ("name not like 'A%'", {"name": None}, None),
        ("lower(name) = 'ada'", {"name": "ADA"}, True),
        ("x between 1 and 5", {"x": 5}, True),
        ("x not between 1 and y", {"x": 7, "y": 5}, True),
        ("x between 1 and y", {"x": 0}, False),
        ("x between 1 and y", {"x": 2}, None),
        ("x in (1, -2, 3)", {"x": -2.0}, True),
        ("x in (1, null)", {"x": 2}, None),
        ("x in (1, null)", {"x": 1}, True),
        ("x not in (1, null)", {"x": 1}, False),
        ("x not in (1, null)", {"x": None}, None),
        ("x / y > 1", {"x": 3, "y": 2}, True),
        ("x / y > 1", {"x": 3, "y": 0}, None),
        ("x / y = 0.5", {"x": 1, "y": 2}, True),
        ("x * x > 1", {"x": 1e300}, None),
        ("2 + 3 * 4 = 14", {}, True),
        ("abs(-x) = 3", {"x": 3}, True),
        ("coalesce(x, null, y, 7) = 7", {}, True),
        ("x = y", {"x": 2**53 + 1, "y": 2**53}, True),
        ("vip", {"vip": True}, True),
        ("not vip", {}, None),
        ("vip is true", {}, False),
        ("vip is not true", {}, True),
        ("vip is false", {"vip": False}, True),
        ("vip = (x > 1)", {"vip": True, "x": 2}, True),
        ("customer.country is null", {}, True),
        ("customer.country is not null", {"customer__country": ""}, True),
        ("vip and x > 1", {"vip": False}, False),
        ("vip and x > 1", {"vip": True}, None),
        ("vip or x > 1", {"vip": True}, True),
        ("vip or x > 1", {"vip": False}, None),
        ("x > 1 and x > 1 or vip", {"vip": True}, True),
        ("last_order_at < now - days(90)", {"last_order_at": NOW - 91 * DAY, "now": NOW}, True),
        ("now - last_order_at > weeks(1)", {"last_order_at": NOW - 6 * DAY, "now": NOW}, False),
        ("refill.lead = hours(36)", {"refill__lead": 36 * DAY // 24}, True),
        ("refill.lead > days(x) - minutes(1)", {"refill__lead": DAY, "x": 1}, True),
        ("days(x) > refill.lead", {"x": 1e308, "refill__lead": 1}, None),
    ],
)
def test_a_condition_answers_as_sql_does(text, row, answer):
    if row is None:
        with pytest.raises(Refusal):
            condition(text)
    else:
        assert holds(text, **row) is answer


WRITTEN_WRONGLY = [
    # text, place, part of what is said, nearest right word or advice
    ("stage = 'new'", "column 1", "no field or word stage", "lifecycle.stage"),
    ("x > 1 and orders.cuont > 1", "column 11", "orders.cuont", "orders.count"),
    ("Orders.count > 1", "column 1", "Orders.count", "orders.count"),
    ("vip and\n  customer.county is null", "line 2, column 3", "county", "customer.country"),
    ("dayz(3) = refill.lead", "column 1", "no function dayz", "days"),
    ("exists(x)", "column 1", "no function exists", ""),
    ("a.b.c = 1", "column 4", "one dot", ""),
    ("x.", "column 1", "no field x.", ""),
    ("x = 1 as foo", "column 7", "as", "no name of its own"),
    ("x = 1 vip", "column 7", "vip is not expected", "and, or"),
    ("x = 1; y = 2", "column 6", ";", "one condition"),
    ("select 1", "column 1", "select", "true-or-false"),
    ("x = (select 1)", "column 6", "select", ""),
    ("case when vip then 1 end", "column 1", "case", "and, or"),
    ("x in (y)", "column 7", "constants only", "="),
    ("x in ()", "column 1", "list of values", "in ("),
    ("x in y", "column 1", "list of values", "in ("),
    ("(x > 1", "column 1", "never closed", ""),
    ("x > 1)", "column 6", "closes nothing", ""),
    ("name = 'abc", "column 8", "quote is never closed", ""),
    ('name = "Ada"', "column 8", "wrong quotes", "'Ada'"),
    ("name = `Ada`", "column 8", "", ""),
    ("x =", "column 3", "something is missing", ""),
    ("not", "column 1", "something is missing", ""),
    ("", "column 1", "empty", "true"),
    ("x", "column 1", "a number stands", "compare"),
    ("vip and x", "column 9", "a number stands", "compare"),
    ("x > 'a'", "column 1", "a number cannot be compared with text", ""),
    ("x between 1 and 'a'", "column 1", "compared with text", ""),
    ("x in (1, 'a')", "column 10", "compared with text", ""),
    ("now > 5", "column 1", "an instant", "days(10)"),
    ("now - 10 > last_order_at", "column 1", "no meaning", "days(10)"),
    ("refill.lead * 2 > refill.lead", "column 1", "no meaning", ""),
    ("now + now > now", "column 1", "no meaning", ""),
    ("-name = 'a'", "column 2", "text stands", ""),
    ("abs(name) = 'a'", "column 5", "text stands", ""),
    ("lower(x) = 'a'", "column 7", "a number stands", ""),
    ("lower(name, name) = 'a'", "column 17", "one value", ""),
    ("days(1, 2) > refill.lead", "column 1", "takes one number", "days(10)"),
    ("days(name) > refill.lead", "column 6", "text stands", ""),
    ("coalesce(x, name) = 1", "column 13", "text stands", ""),
    ("coalesce(null) = 1", "column 1", "always unknown", ""),
    ("vip < vip", "column 1", "no order", "<>"),
    ("vip between true and true", "column 1", "no order", "<>"),
    ("x = null", "column 5", "always unknown", "is null"),
    ("vip and null", "column 9", "always unknown", "is null"),
    ("x is 1", "column 6", "null, true or false", "="),
    ("x is true", "column 1", "a number stands", ""),
    ("x like 'a'", "column 1", "a number stands", ""),
    ("name like name", "column 11", "pattern", "quotes"),
    ("name like 'a' escape '!'", "column 15", "escape", ""),
    ("name ilike 'a'", "column 6", "ilike", "lower(x)"),
    ("name || 'a' = 'b'", "column 6", "||", "or"),
    ("vip && vip", "column 5", "&&", "and"),
    ("x == 1", "column 3", "==", "="),
    ("x::int = 1", "column 2", "::", ""),
    ("x % 2 = 1", "column 3", "%", ""),
    ("x = ?", "column 5", "?", ""),
    ("x[1] = 1", "column 2", "[", ""),
    ("x = 1 -- all", "column 7", "comments", ""),
    ("x - --1 > 1", "column 5", "comments", ""),
    ("/* all */ vip", "column 1", "comments", ""),
    ("current_date > now", "column 1", "current_date", "now"),
    ("interval '1' day < refill.lead", "column 1", "interval", "days(10)"),
    ("1 / 0 = x", "column 1", "no value", ""),
    ("x = 1e999", "column 5", "no number", ""),
    ("x = 5.", "column 5", "no number", ""),
    ("(x, y)", "column 2", "not part of the condition language", ""),
    ("x < y < x", "column 1", "true or false cannot be compared", ""),
    ("name = N'a'", "column 8", "no sign", ""),
    ("(" * 100 + "vip" + ")" * 100, "column 1", "nested too deeply", ""),
    ("not " * 60 + "vip", "column", "nested too deeply", ""),
    ("vip and " * 400 + "vip", "column", "at most", "segments"),
]


@pytest.mark.parametrize(("text", "place", "said", "advice"), WRITTEN_WRONGLY)
def test_a_mistake_is_refused_with_its_place_and_the_nearest_word(text, place, said, advice):
    with pytest.raises(Refusal) as caught:
        condition(text)
    refusal = caught.value
    assert (refusal.where == place) if place != "column" else refusal.where.startswith(place)
    assert said in refusal.what
    assert advice in refusal.hint


def test_a_long_chain_of_and_is_no_depth():
    assert holds(" and ".join(["x > 1"] * 140), x=2) is True


def test_an_event_field_is_refused_where_no_event_is():
    with pytest.raises(Refusal, match=r"event\.rating cannot be read here") as caught:
        condition("vip and event.rating < 3", frozenset({"customer"}))
    assert (caught.value.where, caught.value.why) == (
        "column 9",
        "it exists only where there is an event",
    )
    assert condition("event.rating < 3", frozenset({"customer", "event"}))


def test_a_near_word_of_a_scope_that_is_not_at_hand_is_not_offered():
    with pytest.raises(Refusal) as caught:
        condition("event.ratin < 3", frozenset({"customer"}))
    assert caught.value.hint == ""


def test_a_condition_knows_the_names_it_reads():
    assert condition("vip and (x > y or x is null)").names == {"vip", "x", "y"}


def test_the_first_part_that_decides_is_the_last_that_is_read():
    read = []
    fields = Fields(
        Field(name, "boolean", "customer", "", lambda row, name=name: read.append(name))
        for name in ("first", "second")
    )
    assert compile_condition("first is null or second", fields, scopes=None).holds({}) is True
    assert read == ["first"]


def test_a_condition_explains_every_leaf_with_what_it_saw():
    asked = condition(
        "lifecycle.stage = 'at_risk' and not (x > 1 or last_order_at < now - days(9))"
    )
    row = {"lifecycle.stage": "at_risk", "x": 2, "now": NOW}
    assert asked.explain(row) == (
        Term("lifecycle.stage = 'at_risk'", (("lifecycle.stage", "at_risk"),), holds=True),
        Term("not (x > 1)", (("x", 2),), holds=False),
        Term(
            "not (last_order_at < (now - days(9)))",
            (("last_order_at", None), ("now", NOW)),
            holds=None,
        ),
    )


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("not x between 1 and 5", "x not between 1 and 5"),
        ("NOT name LIKE 'it''s%'", "name not like 'it''s%'"),
        ("not x in (1.5, null)", "x not in (1.5, null)"),
        ("not vip is true", "vip is not true"),
        ("refill.lead < -minutes(90)", "refill.lead < -minutes(90)"),
        ("refill.lead < hours(48)", "refill.lead < days(2)"),
        ("coalesce(x, 0) + abs(-y) > 1", "(coalesce(x, 0) + abs(-(y))) > 1"),
        ("days(x) < refill.lead", "days(x) < refill.lead"),
        ("lower(name) is null", "lower(name) is null"),
    ],
)
def test_a_leaf_is_spelled_as_a_merchant_would(text, spelled):
    assert [term.text for term in condition(text).explain({})] == [spelled]


def test_a_condition_travels_as_its_text():
    asked = condition("x in (1, 2) and name like 'A_a'")
    again = pickle.loads(pickle.dumps(asked))
    assert again == asked
    assert hash(again) == hash(asked)
    assert again.holds({"x": 1, "name": "Ada"}) is True
    assert asked != condition("x in (1, 3)")


def test_a_name_defined_twice_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="defined twice"):
        Fields([field("x", "number"), field("x", "text")])


def test_fields_list_their_names_by_scope():
    assert FIELDS.names("run") == ("run.product",)
    assert len(FIELDS.names()) == len(FIELDS)
    assert FIELDS.nearest("run.prodct", "run") == "run.product"
    assert FIELDS.nearest("zebra") is None


def test_a_table_without_the_column_is_refused():
    table = ibis.table({"orders__cont": "int64"}, name="customers")
    with pytest.raises(Refusal, match="no column orders__count") as caught:
        as_filter(condition("orders.count > 1"), table)
    assert "orders__cont" in caught.value.hint


# --- segments -----------------------------------------------------------------------------


def test_segments_are_read_in_their_order_and_get_their_space():
    loaded = load_segments(
        {
            "vip": {"where": "orders.count >= 5", "doc": "Buys often."},
            "segment.quiet": {"where": "last_order_at < now - days(90)"},
        },
        FIELDS,
    )
    assert [(s.name, s.doc) for s in loaded] == [
        ("segment.vip", "Buys often."),
        ("segment.quiet", ""),
    ]
    assert loaded[0].condition.met({"orders.count": 5}) is True


@pytest.mark.parametrize(
    ("written", "said", "where", "hint"),
    [
        ({"stage.new": {"where": "vip"}}, "stage.new is taken", "", "segment.new"),
        ({"tier.gold": {"where": "vip"}}, "tier.gold is taken", "", "segment.gold"),
        ({"other.x": {"where": "vip"}}, "no name", "", "small letters"),
        ({"Big spender": {"where": "vip"}}, "no name", "", "small letters"),
        ({"vip": "orders.count > 1"}, "has a condition", "segment.vip", "where:"),
        ({"vip": {"were": "vip"}}, "no were", "segment.vip", "where"),
        ({"vip": {"doc": "x"}}, "are text", "segment.vip", "quotes"),
        ({"vip": {"where": "vipp"}}, "vipp", "segment.vip where, column 1", "vip"),
        (
            {"vip": {"where": "vip"}, "segment.vip": {"where": "vip"}},
            "segment.vip is written twice",
            "",
            "",
        ),
    ],
)
def test_a_segment_written_wrongly_is_refused_with_its_name(written, said, where, hint):
    with pytest.raises(Refusal) as caught:
        load_segments(written, FIELDS)
    assert said in caught.value.what
    assert caught.value.where == where
    assert hint in caught.value.hint
