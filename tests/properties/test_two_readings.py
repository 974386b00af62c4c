"""Do the two readings of a condition agree on every row?"""

from itertools import product

import duckdb
import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aftersale.kernel.errors import Refusal
from aftersale.segments.condition import compile_condition, lowered
from aftersale.segments.expression import spell
from aftersale.segments.fields import Field, Fields
from aftersale.segments.table import as_filter, column_of

LAW = settings(max_examples=25, suppress_health_check=list(HealthCheck))
"""So many tables of up to sixty rows, each asked up to eight conditions in one query."""

TYPES = {
    "name": "text",
    "customer.city": "text",
    "orders.count": "number",
    "churn.score": "number",
    "margin": "number",
    "vip": "boolean",
    "consent.email": "boolean",
    "now": "instant",
    "last_order_at": "instant",
    "lead": "duration",
}
COLUMNS = {
    "text": pa.string(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "instant": pa.int64(),
    "duration": pa.int64(),
}
WHOLE = {"orders.count": pa.int64()}


def field(name: str) -> Field:
    return Field(name, TYPES[name], "customer", "", lambda row: row[name])


FIELDS = Fields(field(name) for name in TYPES)

TEXTS = ["", "a", "A", "ab", "a%b", "a_b", "\\", "it's", "\n", "a\nb", "é", "e\u0301", "İ", "ΑΣ",
         "ẞ", "\uffff", "\ue000",
         "\U0001f600", "\U00010000", "a\U0001f600b", " a", "a "]  # fmt: skip
NUMBERS = [0.0, -0.0, 1.0, -1.0, 2.0, 0.1, 0.3, 0.12345678901234567, 5e-324, 1e308, -1e308, 1e22,
           2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63), 1e-300]  # fmt: skip
COUNTS = [0, 1, -1, 2, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**62 + 1]
INSTANTS = [0, 1_700_000_000_000_000, 1_700_000_000_000_001, 1_699_136_000_000_000, -1,
            2**53 + 1, 2**63 - 1, -(2**63)]  # fmt: skip
DURATIONS = [0, 86_400_000_000, 864_000_000_000, 60_000_000, -1, 1, 2**63 - 1, -(2**63)]
VALUES = {
    "text": st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    "number": st.sampled_from(NUMBERS) | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "instant": st.sampled_from(INSTANTS) | st.integers(-(2**63), 2**63 - 1),
    "duration": st.sampled_from(DURATIONS) | st.integers(-(2**63), 2**63 - 1),
}
COUNT = st.sampled_from(COUNTS) | st.integers(-(2**63), 2**63 - 1)


def value_of(name: str) -> st.SearchStrategy:
    return st.none() | (COUNT if name in WHOLE else VALUES[TYPES[name]])


ROW = st.fixed_dictionaries({name: value_of(name) for name in TYPES})
ROWS = st.lists(ROW, min_size=1, max_size=60)


# --- conditions as text, so that the grammar is exercised too -----------------------------


def names(kind: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name for name, of in TYPES.items() if of == kind])


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


NUMBER = st.sampled_from(["0", "1", "2", "0.1", "0.3", "1e308", "9007199254740992", "5e-324",
                          "0.12345678901234567", "9223372036854775807", "1.5"])  # fmt: skip
TEXT = st.sampled_from(TEXTS).map(quoted)
PATTERN = st.lists(
    st.sampled_from(["%", "_", "a", "b", "\\", "é", "\U0001f600", "A", "\n"]), max_size=4
)
UNIT = st.sampled_from(["weeks", "days", "hours", "minutes"])


def text(depth: int) -> st.SearchStrategy[str]:
    if not depth:
        return names("text") | TEXT
    inner = st.deferred(lambda: text(depth - 1))
    return st.one_of(
        names("text"),
        TEXT,
        st.builds("lower({})".format, inner),
        st.builds("coalesce({}, {})".format, inner, inner),
    )


def quantity(kind: str, depth: int) -> st.SearchStrategy[str]:
    leaf = names(kind)
    if kind == "number":
        leaf |= NUMBER
    if kind == "duration":
        leaf |= st.builds("{}(2)".format, UNIT)
    if not depth:
        return leaf

    def inner(of: str) -> st.SearchStrategy[str]:
        return st.deferred(lambda: quantity(of, depth - 1))

    more = [leaf, st.builds("coalesce({}, null, {})".format, inner(kind), inner(kind))]
    if kind != "instant":
        more += [st.builds("abs({})".format, inner(kind)), st.builds("-({})".format, inner(kind))]
    if kind == "number":
        more.append(
            st.builds("({} {} {})".format, inner(kind), st.sampled_from("+-*/"), inner(kind))
        )
    if kind == "instant":
        more.append(
            st.builds("({} {} {})".format, inner(kind), st.sampled_from("+-"), inner("duration"))
        )
    if kind == "duration":
        more += [
            st.builds("{}({})".format, UNIT, inner("number")),
            st.builds("({} - {})".format, inner("instant"), inner("instant")),
            st.builds("({} {} {})".format, inner(kind), st.sampled_from("+-"), inner(kind)),
        ]
    return st.one_of(more)


def of_type(kind: str, depth: int) -> st.SearchStrategy[str]:
    match kind:
        case "text":
            return text(depth)
        case "boolean":
            return condition(depth)
        case _:
            return quantity(kind, depth)


LISTED = {
    "text": TEXT,
    "number": NUMBER | NUMBER.map("-{}".format),
    "boolean": st.sampled_from(["true", "false"]),
    "duration": st.builds("{}({})".format, UNIT, st.integers(0, 9)),
}
ORDERED = ["text", "number", "instant", "duration"]


def comparison(depth: int) -> st.SearchStrategy[str]:
    def of(kind: str) -> st.SearchStrategy[str]:
        part = of_type(kind, depth)
        tests = [
            st.builds("({}) is {}null".format, part, NOT),
            st.builds("({}) {} ({})".format, part, st.sampled_from(["=", "<>"]), part),
        ]
        if kind in LISTED:
            listed = st.lists(LISTED[kind] | st.just("null"), min_size=1, max_size=4).map(", ".join)
            tests.append(st.builds("({}) {}in ({})".format, part, NOT, listed))
        if kind in ORDERED:
            order = st.sampled_from(["<", "<=", ">", ">="])
            tests.append(st.builds("({}) {} ({})".format, part, order, part))
            tests.append(st.builds("({}) {}between ({}) and ({})".format, part, NOT, part, part))
        if kind == "text":
            pattern = PATTERN.map("".join).map(quoted)
            tests.append(st.builds("({}) {}like {}".format, part, NOT, pattern))
        if kind == "boolean":
            truth = st.sampled_from(["true", "false"])
            tests.append(st.builds("({}) is {}{}".format, part, NOT, truth))
        return st.one_of(tests)

    return st.sampled_from([*ORDERED, "boolean"]).flatmap(of)


NOT = st.sampled_from(["", "not "])


def condition(depth: int) -> st.SearchStrategy[str]:
    if not depth:
        return names("boolean") | st.sampled_from(["true", "false"])
    inner = st.deferred(lambda: condition(depth - 1))
    return st.one_of(
        comparison(depth - 1),
        comparison(depth - 1),
        names("boolean"),
        st.builds("not ({})".format, inner),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("coalesce({}, {})".format, inner, inner),
    )


def has_value(written: str) -> bool:
    """A constant part without a value (1e308 * 1e308, 1 / 0) is refused, not read."""
    try:
        compile_condition(written, FIELDS, scopes=None)
    except Refusal as refusal:
        assert "far too large" in refusal.what  # noqa: PT017 - any other refusal is a bug
        return False
    return True


CONDITION = condition(3).filter(has_value)


# --- the two readings ---------------------------------------------------------------------


def as_table(rows: list[dict]) -> pa.Table:
    columns = {
        column_of(name): pa.array([row[name] for row in rows], WHOLE.get(name, COLUMNS[kind]))
        for name, kind in TYPES.items()
    }
    return pa.table(columns | {"row": pa.array(range(len(rows)), pa.int64())})


def answers_of_table(texts: list[str], rows: list[dict]) -> list[list]:
    """The answer of every condition for every row, computed by DuckDB in one query."""
    customers = as_table(rows)
    table = ibis.table(ibis.Schema.from_pyarrow(customers.schema), name="customers")
    answers = {
        f"answer{index}": as_filter(compile_condition(written, FIELDS, scopes=None), table)
        for index, written in enumerate(texts)
    }
    query = ibis.to_sql(table.select("row", **answers).order_by("row"), dialect="duckdb")
    with duckdb.connect() as connection:
        connection.register("customers", customers)
        found = connection.sql(query).to_arrow_table()
    return [found[name].to_pylist() for name in answers]


def disagreements(texts: list[str], rows: list[dict]) -> list[tuple]:
    found = []
    for written, answers in zip(texts, answers_of_table(texts, rows), strict=True):
        asked = compile_condition(written, FIELDS, scopes=None)
        found += [
            (written, {name: row[name] for name in asked.names}, asked.holds(row), answer)
            for row, answer in zip(rows, answers, strict=True)
            if asked.holds(row) is not answer
        ]
    return found


@pytest.mark.slow
@LAW
@given(st.lists(CONDITION, min_size=1, max_size=8, unique=True), ROWS)
def test_the_two_readings_agree_on_every_row(texts, rows):
    assert disagreements(texts, rows) == []


@LAW
@given(CONDITION, ROW)
def test_a_condition_spelled_from_its_tree_says_the_same(written, row):
    asked = compile_condition(written, FIELDS, scopes=None)
    again = compile_condition(spell(asked.tree), FIELDS, scopes=None)
    assert again.holds(row) is asked.holds(row)


@LAW
@given(CONDITION, ROW)
def test_met_is_holds_without_the_unknown(written, row):
    asked = compile_condition(written, FIELDS, scopes=None)
    assert asked.met(row) is (asked.holds(row) is True)


def test_every_comparison_of_awkward_values_agrees():
    """Each operator, on every pair of the values that engines are known to treat differently."""
    texts = [f"name {sign} customer.city" for sign in ("=", "<>", "<", "<=", ">", ">=")]
    texts += [f"name like '{p}'" for p in ("%", "", "_", "a%", "%b", "%\\%", "a_b", "__", "a\n%")]
    rows = [
        dict.fromkeys(TYPES) | {"name": one, "customer.city": two}
        for one, two in product([None, *TEXTS], repeat=2)
    ]
    assert disagreements(texts, rows) == []
    signs = ("=", "<>", "<", "<=", ">", ">=")
    texts = [f"orders.count {sign} churn.score" for sign in signs]
    texts += [f"orders.count {op} churn.score > margin" for op in "+-*/"]
    literals = ("0", "-0", "0.1", "0.12345678901234567", "9007199254740991", "9007199254740992",
                "9007199254740993", "9223372036854775807", "1e22", "5e-324")  # fmt: skip
    texts += [f"orders.count {sign} {literal}" for sign, literal in product(signs, literals)]
    texts += [f"churn.score {sign} {literal}" for sign, literal in product(signs, literals)]
    texts += ["orders.count / 0 is null", "churn.score / 0 > 1", "churn.score / -0 > 1"]
    texts += ["churn.score in (0, 0.1, 9007199254740993)", "orders.count in (9007199254740993)"]
    rows = [
        dict.fromkeys(TYPES) | {"orders.count": one, "churn.score": two, "margin": 0.0}
        for one, two in product([None, *COUNTS], [None, *NUMBERS])
    ]
    assert disagreements(texts, rows) == []


def test_every_letter_has_one_lower_case():
    """For each letter of every script, `lower` gives what the table engine gives."""
    points = [point for point in range(1, 0x20000) if not 0xD800 <= point < 0xE000]
    letters = pa.table({"letter": [chr(point) for point in points]})
    found = duckdb.sql("select lower(letter) as small from letters").to_arrow_table()
    assert [lowered(letter) for letter in letters["letter"].to_pylist()] == found[
        "small"
    ].to_pylist()
