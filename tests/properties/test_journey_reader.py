"""Which laws does the reader of journeys keep, whatever is in a file?"""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aftersale.journeys.definition import END, Branch, Exit
from aftersale.kernel.errors import Refusal
from aftersale.programme import grammar
from aftersale.programme.journeys import read_journey
from aftersale.programme.load import check, compile_programme
from aftersale.programme.marked import read_marked
from aftersale.programme.policies import read_policies, read_shop
from aftersale.programme.schema import journey_schema

VALIDATOR = jsonschema.Draft202012Validator(journey_schema())

# --- anything at all --------------------------------------------------------------------------

KEYS = sorted({key.name for keys in (grammar.JOURNEY, grammar.START, grammar.GOAL, grammar.WAIT,
               grammar.BENEFIT, grammar.ARM, *grammar.STEPS.values()) for key in keys})  # fmt: skip
WORDS = [*grammar.EVENT_TYPES, *grammar.ABOUT, *grammar.PURPOSES, "refill.due", "refill.lead",
         "order.gift", "line.product = run.product", "3 days", "9" * 400 + " days", "1e999 days",
         "21:00", "never", "orders.count > 0", "((", "'", "event.", "{{ x", "{% if %}"]  # fmt: skip
scalars = (
    st.sampled_from(WORDS)
    | st.text(max_size=12)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=30,
)
MARKS = [": ", "\n", "\n  ", "- ", "{", "}", "[", "]", ",", "&a ", "*a", "!", "!!int ", "|\n",
         ">-\n", "#", "'", '"', "%", "---\n", "? ", "\t", "\\", "<<", "\ufeff", "\x07",
         "\u2028", '"\\ud800"', '"\\x00"']  # fmt: skip
fragments = st.lists(st.sampled_from([*KEYS, *WORDS, *MARKS]), max_size=40).map("".join)


def sound(document: Any) -> str:
    # JSON is YAML too, but for the numbers that JSON itself does not have.
    return json.dumps(document, ensure_ascii=True)


def damaged(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@pytest.mark.slow
@settings(max_examples=150)
@given(st.text(max_size=200) | fragments | documents.map(sound) | st.binary().map(damaged))
def test_no_text_raises_anything_and_what_is_no_journey_has_a_problem(text: str) -> None:
    journey, problems = read_journey(text, where="j.yaml")
    assert (journey is None) == any(not problem.warning for problem in problems)
    lines = text.count("\n") + text.count("\r") + text.count("\x85") + 2
    lines += text.count("\u2028") + text.count("\u2029")
    assert all(problem.what and 1 <= problem.line <= lines for problem in problems)
    read_policies(text)
    read_shop(text)


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["aftersale.toml", "policies.yaml", "segments.yaml", "products.csv",
                         "paused.yaml", "journeys/a.yaml", "templates/a.liquid", "other"]),
        st.text(max_size=80) | fragments | documents.map(sound),
    )
)  # fmt: skip
def test_a_folder_compiles_or_is_refused_with_its_mistakes(files: dict[str, str]) -> None:
    mistakes = [problem for problem in check(files) if not problem.warning]
    if not mistakes:
        assert compile_programme(files, version=1).programme.version == 1
        return
    with pytest.raises(Refusal) as refused:
        compile_programme(files, version=1)
    assert str(mistakes[0]) in str(refused.value)


# --- journeys as they should be ---------------------------------------------------------------

spans = st.integers(1, 400).flatmap(
    lambda n: st.sampled_from(
        [f"{n} days", f"{n} hours", f"{n} minutes", f"{n} days {n % 23} hours"]
    )
)
words = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z]{1,4})?", fullmatch=True)
run_conditions = st.sampled_from(
    ["orders.count > 3", "not order.gift", "product.kind = 'durable' or refill.due is null", True]
)
watches = st.fixed_dictionaries(
    {"on": st.sampled_from(["order.completed", ["order.completed", "return.initiated"]])},
    optional={"if": st.sampled_from(["line.product = run.product", "orders.count > 1"])},
)
waits = st.one_of(
    spans,
    st.fixed_dictionaries({"for": spans}, optional={"at": st.just("09:00")}),
    st.fixed_dictionaries({"at": st.just("18:30")}),
    st.tuples(watches, spans).map(lambda pair: {**pair[0], "for": pair[1]}),
    st.fixed_dictionaries(
        {"until": st.sampled_from(["refill.due", "order.placed_at", "lifecycle.lapse_date"])},
        optional={"before": st.sampled_from(["refill.lead", "product.supply"]) | spans},
    ),
)
benefits = st.tuples(
    st.sampled_from(grammar.BENEFITS), st.sampled_from(["refill.confidence", "orders.count > 0"])
).map(lambda pair: {pair[0]: "It lasts {{ refill.due }}.", "evidence": pair[1]})
sends = st.fixed_dictionaries(
    {"send": words, "benefit": benefits},
    optional={
        "purpose": st.sampled_from(grammar.PURPOSES),
        "channel": st.sampled_from(grammar.CHANNELS),
        "value": st.floats(0, 100) | st.just("refill.expected_margin"),
        "helpful": st.booleans(),
        "unless": watches,
        "if": run_conditions,
        "useful": spans,
    },
)
leaves = st.one_of(
    waits.map(lambda wait: {"wait": wait}),
    sends,
    st.fixed_dictionaries({"task": words}, optional={"owner": words, "due": spans}),
    words.map(lambda word: {"exit": word}),
)


def branched(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    listed = st.lists(inner, min_size=1, max_size=3)
    ifs = st.lists(
        st.fixed_dictionaries({"if": run_conditions, "steps": listed}), min_size=1, max_size=2
    )
    elses = st.lists(st.fixed_dictionaries({"else": st.none(), "steps": listed}), max_size=1)
    return st.tuples(ifs, elses).map(lambda pair: {"branch": pair[0] + pair[1]})


journeys = st.fixed_dictionaries(
    {
        "journey": words,
        "about": st.just("product"),
        "start": st.fixed_dictionaries(
            {"on": st.sampled_from(["order.completed", "order.delivered"])},
            optional={"if": st.just("product.kind = 'consumable'"), "fresh": spans},
        ),
        "steps": st.lists(st.recursive(leaves, branched, max_leaves=6), max_size=5),
    },
    optional={
        "title": st.text("abc ", min_size=1),
        "lineage": words,
        "paused": st.booleans(),
        "in_flight": st.sampled_from(["keep", "migrate"]),
        "holdout": st.floats(0, 0.9),
        "reentry": st.sampled_from(["always", "never"]) | spans,
        "goal": st.tuples(watches, spans).map(lambda pair: {**pair[0], "within": pair[1]}),
        "exit": st.lists(watches, max_size=2),
    },
)


@settings(max_examples=25)
@given(journeys)
def test_what_fits_the_schema_is_read_and_its_graph_is_whole(document: dict[str, Any]) -> None:
    VALIDATOR.validate(document)
    text = sound(document)
    marked, _ = read_marked(text, where="j.yaml")
    assert marked is not None
    assert marked.plain() == document
    journey, problems = read_journey(text, where="j.yaml")
    assert journey is not None, [str(problem) for problem in problems]

    steps, names = journey.steps, [step.id for step in journey.steps]
    assert len(set(names)) == len(names)
    assert journey.first == (0 if steps else END)
    for place, step in enumerate(steps):
        ways = [step.next]
        if isinstance(step, Branch):
            ways += [first for _, first in step.arms]
            assert step.arms[0][1] == place + 1
        # Every way leads forward, so no run can go in circles.
        assert all(way == END or place < way < len(steps) for way in ways)
        assert isinstance(step, Exit) <= (step.next == END)
    again, _ = read_journey(f"# a comment\n{json.dumps(document, indent=1)}", where="j.yaml")
    assert again is not None
    assert again.text_digest == journey.text_digest


def slots(part: Any) -> list[tuple[Any, Any]]:
    """Return every place of a document at which another value could stand."""
    inner = part.items() if isinstance(part, dict) else enumerate(part)
    found = []
    for key, value in list(inner):
        found.append((part, key))
        if isinstance(value, dict | list):
            found += slots(value)
    return found


@pytest.mark.slow
@settings(max_examples=70)
@given(journeys, st.integers(0, 10**6), documents)
def test_one_wrong_value_in_a_sound_journey_raises_nothing(
    document: dict[str, Any], pick: int, value: Any
) -> None:
    copy = json.loads(json.dumps(document))
    places = slots(copy)
    container, key = places[pick % len(places)]
    container[key] = value
    journey, problems = read_journey(sound(copy), where="j.yaml")
    assert (journey is None) == any(not problem.warning for problem in problems)
