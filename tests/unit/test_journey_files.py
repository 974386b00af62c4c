"""What does the merchant's folder become, and what is said about a mistake in it?"""

import json
import re
from pathlib import Path
from textwrap import dedent

import jsonschema
import msgspec
import pytest

from aftersale.adapters.folder import read_folder, starter_files, write_starter
from aftersale.gates.policy import Cap, Policy, Quiet
from aftersale.journeys.definition import (
    END,
    Branch,
    Exit,
    Journey,
    Send,
    Task,
    Wait,
    next_remaining,
)
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, HOUR, MINUTE
from aftersale.programme import grammar
from aftersale.programme.changes import diff
from aftersale.programme.journeys import read_journey
from aftersale.programme.load import (
    check,
    compile_programme,
    digest,
    paused_in,
    read_segments,
    with_paused,
)
from aftersale.programme.marked import Problem, read_marked
from aftersale.programme.policies import POLICIES, read_policies, read_shop
from aftersale.programme.ports import Deployment
from aftersale.programme.schema import journey_schema, schema_text

ROOT = Path(__file__).parents[2]
STARTER = starter_files()
SOUND = {path: text for path, text in STARTER.items() if path != "products.example.csv"}
SOUND.pop("schema/journey.schema.json")
NAMES = {path.split("/")[1].split(".")[0] for path in STARTER if path.startswith("templates/")}

HEAD = """\
journey: care
about: product
start: {on: order.completed}
"""


def read(text: str) -> Journey:
    journey, problems = read_journey(dedent(text), where="j.yaml", templates=NAMES)
    assert problems == []
    assert journey is not None
    return journey


def problems_of(text: str) -> list[Problem]:
    return read_journey(dedent(text), where="j.yaml", templates=NAMES)[1]


def only(text: str) -> Problem:
    (problem,) = problems_of(text)
    assert problem.file == "j.yaml"
    return problem


# --- the graph ------------------------------------------------------------------------------


def test_steps_lie_depth_first_and_ways_meet_after_the_branch() -> None:
    journey = read(
        HEAD
        + """\
steps:
  - wait: 5 days
  - branch:
      - if: orders.count > 3
        steps:
          - task: call
          - branch:
              - if: tickets.open > 0
                steps: [{exit: unhappy}]
      - else:
        steps:
          - wait: 1 day
  - send: delivered
    purpose: transactional
"""
    )
    ids = [step.id for step in journey.steps]
    assert ids == ["wait", "branch", "task-call", "branch-2", "exit-unhappy", "wait-2",
                   "send-delivered"]  # fmt: skip
    outer, inner = journey.steps[1], journey.steps[3]
    assert isinstance(outer, Branch)
    assert isinstance(inner, Branch)
    assert [first for _, first in outer.arms] == [2, 5]
    assert outer.next == 6
    assert outer.arms[1][0] is None
    assert [first for _, first in inner.arms] == [4]
    assert [journey.steps[n].next for n in (0, 2, 3, 5, 6)] == [1, 3, 6, 6, END]


def test_a_journey_without_steps_has_no_first_one() -> None:
    journey = read(HEAD + "steps: []")
    assert (journey.steps, journey.first) == ((), END)


def test_every_kind_of_wait_is_understood() -> None:
    journey = read(
        HEAD
        + """\
steps:
  - wait: 5 days
  - wait: {for: 2 days, at: "09:00"}
  - wait: {at: 18:30}
  - wait: {on: review.submitted, if: event.order = run.order, for: 7 days}
  - wait: {until: refill.due, before: refill.lead}
  - wait: {until: refill.due, before: 1 day 6 hours}
    id: near
"""
    )
    waits = [step for step in journey.steps if isinstance(step, Wait)]
    assert waits[0].delay == 5 * DAY
    assert (waits[1].delay, waits[1].minute) == (2 * DAY, 540)
    assert (waits[2].delay, waits[2].minute) == (0, 18 * 60 + 30)
    assert waits[3].until is not None
    assert (waits[3].until.types, waits[3].timeout) == (("review.submitted",), 7 * DAY)
    assert (waits[4].date, waits[4].before_field, waits[4].before) == (
        "refill.due",
        "refill.lead",
        0,
    )
    assert (waits[5].before, waits[5].id) == (DAY + 6 * HOUR, "near")
    assert [step.line for step in waits] == [5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize(
    ("evidence", "means"),
    [
        ("refill.confidence", "refill.confidence > 0"),
        ("order.gift", "order.gift"),
        ("product.kind", "product.kind is not null"),
        ("orders.count >= 2", "orders.count >= 2"),
    ],
)
def test_a_field_alone_as_evidence_must_have_a_value_above_nothing(
    evidence: str, means: str
) -> None:
    journey = read(
        HEAD
        + f"""\
steps:
  - send: delivered
    benefit: {{information: It lasts longer., evidence: {evidence}}}
"""
    )
    (send,) = journey.steps
    assert isinstance(send, Send)
    assert send.benefit is not None
    assert send.benefit.evidence is not None
    assert send.benefit.evidence.text == means


def test_what_is_left_out_has_its_default() -> None:
    journey = read(
        HEAD + "steps: [{send: delivered, purpose: transactional}, {task: call}, {exit: done}]"
    )
    send, task, leave = journey.steps
    assert isinstance(send, Send)
    assert (send.channel, send.useful, send.helpful, send.value) == ("email", 7 * DAY, False, 0)
    assert isinstance(task, Task)
    assert task.due == 2 * DAY
    assert isinstance(leave, Exit)
    assert leave.reason == "done"
    assert (journey.lineage, journey.reentry, journey.holdout) == ("care", 0, None)
    assert (journey.in_flight, journey.paused, journey.goal) == ("keep", False, None)


def test_a_journey_about_the_customer_begins_again_only_after_the_policys_time() -> None:
    text = "journey: a\nabout: customer\nstart: {on: product.viewed}\nsteps: []\n"
    assert read(text).reentry == 90 * DAY
    assert read_journey(text, where="", restart_after=7 * DAY)[0].reentry == 7 * DAY  # type: ignore[union-attr]
    assert read(text + "reentry: always").reentry == 0
    assert read(text + "reentry: never").reentry is None
    assert read(text + "reentry: 10 days").reentry == 10 * DAY


def test_nothing_held_out_is_other_than_nothing_said() -> None:
    assert read(HEAD + "steps: []\nholdout: 0").holdout == 0
    assert read(HEAD + "steps: []").holdout is None


# --- mistakes -------------------------------------------------------------------------------

SEND = "steps:\n  - send: delivered\n    purpose: transactional\n"
STEP = HEAD + "steps:\n  - "
WAYS = STEP + "branch:\n    - "
ORDER = "journey: a\nabout: order\nstart: {on: order.completed}\n"
CUSTOMER = "journey: a\nabout: customer\n"


@pytest.mark.parametrize(
    ("text", "line", "what", "hint"),
    [
        ("", 1, "a journey is a mapping", ""),
        (HEAD + "stepz: []", 4, "a journey has no key stepz", "did you mean steps?"),
        (HEAD + "goal:\n" + SEND, 4, "goal is empty", ""),
        (HEAD + "title: a\ntitle: b\n" + SEND, 5, "title is given twice", "line 4"),
        (HEAD + "title: a: b", 4, "mapping values are not allowed here", "quotes"),
        (HEAD + "in_flight: migrat\n" + SEND, 4, "in_flight: 'migrat'", "did you mean migrate?"),
        (HEAD + "holdout: 5\n" + SEND, 4, "holdout is 5", "from 0 to 0.9"),
        (HEAD + "reentry: nevr\n" + SEND, 4, "reentry: 'nevr'", "did you mean never?"),
        (HEAD + "reentry: 90\n" + SEND, 4, "reentry: '90' is no time span", "write 90 days"),
        (HEAD + "paused: maybe\n" + SEND, 4, "paused is true or false", ""),
        (HEAD + "exit: {on: order.cancelled}\n" + SEND, 4, "exit is a list", ""),
        (HEAD + "goal: {on: order.complete}\n" + SEND, 4, "there is no event 'order.complete'",
         "did you mean order.completed?"),
        (HEAD + "goal: {on: email.opened}\n" + SEND, 4, "there is no event 'email.opened'",
         "write message.opened with if: event.channel = 'email'"),
        (HEAD + "goal: {on: order.completed, if: lines.product = run.product}\n" + SEND, 4,
         "if, column 1: there is no field lines.product", "did you mean line.product?"),
        (HEAD + "goal: {on: order.completed, if: event.rating > 3}\n" + SEND, 4,
         "if: order.completed has no event.rating", ""),
        (HEAD + "goal: {on: review.submitted, if: line.product = 'x'}\n" + SEND, 4,
         "if: review.submitted has no lines", ""),
        (HEAD + "goal: {on: order.completed, within: 3 dais}\n" + SEND, 4,
         "within: '3 dais' is no time span", "days"),
        (STEP + "sned: x\n", 5, "'sned' is no step", "did you mean send?"),
        (STEP + "exit\n", 5, "'exit' is no step", ""),
        (STEP + "send: delivered\n    wait: 3 days\n", 5,
         "a step is one thing, not wait and send", ""),
        (STEP + "wait: 3 days\n    useful: 2 days\n", 6, "a wait step has no key useful", ""),
        (STEP + "wait: 0\n", 5, "wait is nothing", ""),
        (STEP + "wait: 5\n", 5, "wait: '5' is no time span", "write 5 days"),
        (STEP + "wait: 90000 days\n", 5, "wait is longer than 20 years", ""),
        (STEP + "wait: {at: 25:00}\n", 5, "at is a time of day", "09:00"),
        (STEP + "wait: {on: review.submitted}\n", 5, "a wait for an event needs for", ""),
        (STEP + "wait: {until: refill.due, for: 2 days}\n", 5,
         "for does not go with until", ""),
        (STEP + "wait: {until: refill.lead}\n", 5,
         "until: refill.lead is of type duration, where an instant is needed", ""),
        (STEP + "wait: {until: event.at}\n", 5,
         "until: event.at exists only where there is an event", ""),
        (STEP + "wait: {until: refil.due}\n", 5, "until: there is no field 'refil.due'",
         "did you mean refill.due?"),
        (STEP + "wait: {until: refill.due, before: refill.due}\n", 5,
         "before: refill.due is of type instant", "did you mean"),
        (STEP + "send: deliverd\n    purpose: transactional\n", 5,
         "there is no template deliverd", "did you mean delivered?"),
        (STEP + "send: delivered\n", 5, "a marketing message needs a benefit",
         "what the customer gets"),
        (STEP + "send: delivered\n    benefit: {information: x}\n", 6,
         "a benefit needs evidence", ""),
        (STEP + "send: delivered\n    benefit: {information: x, experience: y, evidence: true}\n",
         6, "a benefit is exactly one thing", ""),
        (STEP + "send: delivered\n    benefit: {information: '{{ refil.due }}', evidence: true}\n",
         6, "benefit: there is no fact refil", "did you mean refill?"),
        (HEAD + SEND + "    value: product.kind\n", 7, "value: product.kind is of type text", ""),
        (HEAD + SEND + "    value: -2\n", 7, "value is -2", ""),
        (HEAD + SEND + "    channel: e-mail\n", 7, "channel: 'e-mail'", "did you mean email?"),
        (HEAD + SEND + "    if: event.gift\n", 7, "if, column 1: event.gift cannot be read here",
         ""),
        (HEAD + SEND + "    id: a b\n", 7, "id: 'a b' is no name", "write a-b"),
        (HEAD + "steps: [{wait: 1 day, id: a}, {wait: 2 days, id: a}]", 4,
         "the id a is given twice", ""),
        (STEP + "branch: []\n", 5, "a branch is a list", ""),
        (STEP + "branch: [{if: order.gift, steps: []}]\n", 5, "this way has no steps", ""),
        (WAYS + "else:\n      steps: [{exit: a}]\n", 6, "else is the last way", ""),
        (WAYS + "steps: [{exit: a}]\n", 6,
         "a way of a branch has either if or else", ""),
        ("journey: a\nabout: order\nstart: {at: lifecycle.winback_date}\nsteps: []", 3,
         "a date begins runs about the customer", "about: customer"),
        (CUSTOMER + "start: {at: lifecycle.tier}\nsteps: []", 3,
         "at: lifecycle.tier is of type text", ""),
        (CUSTOMER + "start: {at: refill.due}\nsteps: []", 3,
         "at: refill.due exists only where there is a run", ""),
        (CUSTOMER + "start: {}\nsteps: []", 3, "start needs either on", ""),
        ("journey: a\nabout: parcel\nstart: {on: order.completed}\nsteps: []", 3,
         "order.completed does not tell which parcel it concerns", "key"),
        ("journey: a\nabout: order\nstart: {on: order.completed, if: line.quantity > 1}\nsteps: []",
         3, "if: line.quantity exists in a start only", "about: product"),
        (ORDER + "steps: [{wait: {until: refill.due}}]", 4,
         "until: refill.due never has a value here", "about: product"),
        (CUSTOMER + "key: event.tickt\nstart: {on: support.ticket_created}\nsteps: []", 3,
         "key: there is no field 'event.tickt'", "did you mean event.ticket?"),
        ("journey: a\nabout: custmer\nstart: {on: order.completed}\nsteps: []", 2,
         "about: 'custmer'", "did you mean customer?"),
        (HEAD + "steps: [" + "{wait: 1 day}, " * 301 + "]", 4,
         "a journey has at most 300 steps", ""),
        ("a: &a 1\nb: [" + "*a, " * 17 + "]", 1, "17 aliases", "write the values out"),
        ("journey: !!python/object x", 1, "the tag", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_with_its_line_and_the_nearest_right_word(
    text: str, line: int, what: str, hint: str
) -> None:
    found = [p for p in problems_of(text) if what in p.what]
    assert found, [str(problem) for problem in problems_of(text)]
    assert found[0].line == line
    assert hint in found[0].hint
    assert read_journey(text, where="j.yaml", templates=NAMES)[0] is None


def test_all_mistakes_of_a_file_are_shown_at_once_in_their_order() -> None:
    problems = problems_of(
        """\
        journey: Care!
        about: produkt
        start: {on: order.complete, fresh: soon}
        goal: {on: order.completed, within: soon}
        steps:
          - send: deliverd
            purpose: transaktional
          - wait: {at: noon}
        """
    )
    assert [problem.line for problem in problems] == [1, 2, 3, 3, 4, 6, 6, 7, 8]


def test_a_step_that_no_way_leads_to_is_only_a_warning() -> None:
    journey, problems = read_journey(
        HEAD + "steps:\n  - exit: done\n  - wait: 3 days\n", where="j.yaml"
    )
    assert journey is not None
    assert [(p.line, p.what, p.warning) for p in problems] == [
        (6, "no way leads to this step", True)
    ]


def test_words_that_other_yaml_takes_for_truth_or_time_stay_words() -> None:
    document, problems = read_marked("on: [yes, no, 21:00, 2020-01-01, 0x1F, 1_000]", where="f")
    assert problems == []
    assert document is not None
    assert document.plain() == {"on": ["yes", "no", "21:00", "2020-01-01", "0x1F", "1_000"]}


@pytest.mark.slow
def test_a_file_that_refers_to_itself_or_is_nested_too_deeply_is_refused() -> None:
    for text in ("&a [*a]", "[" * 60 + "]" * 60, "[" * 2_000, "a" * 300_000):
        document, problems = read_marked(text, where="f")
        assert document is None
        assert len(problems) == 1


# --- the starter programme and its schema -----------------------------------------------------


def test_the_starter_programme_has_neither_mistakes_nor_warnings() -> None:
    assert check(SOUND) == []
    compiled = compile_programme(SOUND, version=1)
    assert set(compiled.programme.journeys) == {
        "order-confirmation", "shipment", "delivered", "review-request", "education", "refill",
        "win-back",
    }  # fmt: skip
    assert all(journey.version == 1 for journey in compiled.programme.journeys.values())
    assert compiled.segments[0].name == "segment.regular"
    assert set(compiled.templates) == {p for p in STARTER if p.startswith("templates/")}


def test_the_starter_policies_are_the_defaults_written_out() -> None:
    policy, problems = read_policies(STARTER["policies.yaml"])
    assert problems == []
    assert policy == Policy()
    assert {key.name for key in POLICIES} <= set(
        read_marked(STARTER["policies.yaml"], where="")[0].keys
    )  # type: ignore[union-attr]


def test_order_facts_are_transactional_and_marketing_names_its_benefit() -> None:
    journeys = compile_programme(SOUND, version=1).programme.journeys
    for name, journey in journeys.items():
        for step in journey.steps:
            if isinstance(step, Send):
                facts = name in {"order-confirmation", "shipment", "delivered"}
                assert step.purpose == ("transactional" if facts else "marketing")
                assert facts or (step.benefit is not None and step.benefit.evidence is not None)


def test_the_example_catalogue_is_one() -> None:
    files = {**SOUND, "products.csv": STARTER["products.example.csv"]}
    assert check(files) == []
    assert len(compile_programme(files, version=1).programme.catalogue.products) == 4


def test_the_schema_beside_the_starter_is_that_of_the_reader() -> None:
    assert STARTER["schema/journey.schema.json"] == schema_text()
    jsonschema.Draft202012Validator.check_schema(journey_schema())


def test_every_starter_journey_names_the_schema_and_fits_it() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema_text()))
    for path, text in STARTER.items():
        if path.startswith("journeys/"):
            assert text.startswith(
                "# yaml-language-server: $schema=../schema/journey.schema.json\n"
            )
            document, _ = read_marked(text, where=path)
            assert document is not None
            validator.validate(document.plain())


def test_the_reference_explains_every_key() -> None:
    page = (ROOT / "docs" / "reference" / "journeys.md").read_text(encoding="utf-8")
    tables = (grammar.JOURNEY, grammar.START, grammar.GOAL, grammar.WAIT, grammar.BENEFIT,
              grammar.ARM, *grammar.STEPS.values())  # fmt: skip
    assert [k.name for table in tables for k in table if f"`{k.name}`" not in page] == []
    page = (ROOT / "docs" / "reference" / "policies.md").read_text(encoding="utf-8")
    assert [key.name for key in POLICIES if f"`{key.name}`" not in page] == []


def test_the_examples_of_the_manual_are_sound() -> None:
    for page in ("reference/journeys.md", "how-to/write-a-journey.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        blocks = re.findall(r"^ *```yaml\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
        assert blocks
        for block in blocks:
            assert read_journey(dedent(block), where=page)[1] == []
    text = (ROOT / "docs" / "reference" / "policies.md").read_text(encoding="utf-8")
    policies, segments, shop = re.findall(r"```(?:yaml|toml)\n(.*?)```", text, re.DOTALL)
    assert read_policies(policies)[1] == []
    assert read_segments(segments)[1] == []
    assert read_shop(shop)[1] == []


# --- versions over deployments ----------------------------------------------------------------

ONE = "journey: care\nabout: order\nstart: {on: order.completed}\nsteps:\n"
A = ONE + "  - wait: 3 days\n  - task: call\n"
B = ONE + "  - wait: 4 days\n  - task: call\n"


def deployed(version: int, *texts: str, **more: str) -> Deployment:
    files = {f"journeys/{n}.yaml": text for n, text in enumerate(texts)} | more
    return Deployment(version, digest(files), 0, files)


def test_a_journeys_version_counts_the_changes_of_its_content() -> None:
    history = [deployed(1, A), deployed(2, "# a comment\n" + A), deployed(3, B), deployed(4, A)]
    found = []
    for deployment in history:
        compiled = compile_programme(
            deployment.files, version=deployment.version, earlier=history[::-1]
        )
        found.append(compiled.programme.journeys["care"].version)
    assert found == [1, 1, 2, 3]
    assert set(compiled.programme.graphs) == {("care", 1), ("care", 2), ("care", 3)}
    wait = compiled.programme.graphs["care", 2].steps[0]
    assert isinstance(wait, Wait)
    assert wait.delay == 4 * DAY


def test_a_journey_that_was_taken_out_keeps_its_graph_and_its_count() -> None:
    other = A.replace("journey: care", "journey: other")
    history = [deployed(1, A, other), deployed(2, other)]
    gone = compile_programme(history[1].files, version=2, earlier=history)
    assert set(gone.programme.journeys) == {"other"}
    assert gone.programme.graph("care", 1) is not None
    back = compile_programme(deployed(3, B).files, version=3, earlier=history)
    assert back.programme.journeys["care"].version == 2


def test_pausing_changes_no_version() -> None:
    history = [deployed(1, A)]
    files = with_paused(history[0].files, ["care"])
    assert paused_in(files) == ("care",)
    paused = compile_programme(files, version=2, earlier=history).programme.journeys["care"]
    assert (paused.paused, paused.version) == (True, 1)
    by_hand = compile_programme(deployed(2, A + "paused: true\n").files, version=2, earlier=history)
    assert by_hand.programme.journeys["care"].version == 1
    assert with_paused(files, []) == history[0].files


def test_a_changed_segment_is_a_changed_journey() -> None:
    text = ONE + "  - branch: [{if: segment.big, steps: [{exit: big}]}]\n"
    segments = {"segments.yaml": "big: {where: orders.count > 3}"}
    first = deployed(1, text, **segments)
    again = compile_programme(first.files, version=2, earlier=[first])
    assert again.programme.journeys["care"].version == 1
    files = {**first.files, "segments.yaml": "big: {where: orders.count > 4}"}
    assert (
        compile_programme(files, version=2, earlier=[first]).programme.journeys["care"].version == 2
    )


def test_an_earlier_journey_that_can_no_longer_be_read_still_counts_and_is_told() -> None:
    broken = deployed(1, A.replace("order.completed", "order.imagined"))
    compiled = compile_programme(deployed(2, A).files, version=2, earlier=[broken])
    assert compiled.programme.journeys["care"].version == 2
    assert "version 1 of care can no longer be read" in compiled.warnings[0].what


def test_who_stands_at_a_removed_step_goes_on_at_the_next_that_remains() -> None:
    old = read(HEAD + "steps: [{wait: 1 day, id: a}, {task: b}, {wait: 2 days, id: c}]")
    new = read(HEAD + "steps: [{wait: 1 day, id: a}, {wait: 9 days, id: c}, {exit: d}]")
    assert [next_remaining(old, place, new) for place in range(3)] == [0, 1, 1]


# --- the whole folder -------------------------------------------------------------------------


def test_two_journeys_share_neither_name_nor_lineage() -> None:
    problems = check({"journeys/a.yaml": A, "journeys/b.yaml": A})
    assert {p.what for p in problems} == {"the name care is taken", "the lineage care is taken"}


def test_a_refusal_shows_the_first_ten_mistakes() -> None:
    text = ONE + "  - wait: soon\n" * 13
    with pytest.raises(Refusal) as refused:
        compile_programme({"journeys/a.yaml": text}, version=1)
    lines = str(refused.value).splitlines()
    assert lines[0] == "the programme has 13 mistakes:"
    assert lines[1].startswith("  journeys/a.yaml:5: wait: 'soon' is no time span")
    assert (len(lines), lines[-1]) == (12, "  and 3 more")


def test_mistakes_of_every_file_have_their_line() -> None:
    files = {
        "aftersale.toml": "[shop]\nname = 'a'\nurll = 'b'\n[sender]\nemail = 'nobody'\n",
        "policies.yaml": "zone: Mars/Base\ncaps:\n  - {most: 1, par: 1 day}\nholdout: 5\n",
        "segments.yaml": "big:\n  doc: x\n  where: order.count > 3\n",
        "products.csv": "product,kind\na,durable\nb,eternal\n",
        "paused.yaml": "- caree\n",
        "journeys/a.yaml": A,
        "journeys/b.yml": A,
        "templates/x.liquid": "no subject",
    }
    found = {(p.file, p.line) for p in check(files)}
    assert found >= {
        ("aftersale.toml", 3), ("aftersale.toml", 5), ("policies.yaml", 1), ("policies.yaml", 3),
        ("policies.yaml", 4), ("segments.yaml", 3), ("products.csv", 3), ("paused.yaml", 1),
        ("journeys/b.yml", 1), ("templates/x.liquid", 1),
    }  # fmt: skip
    hints = [p.hint for p in check(files) if p.file in {"aftersale.toml", "paused.yaml"}]
    assert "did you mean url?" in hints
    assert "did you mean care?" in hints


def test_zero_and_empty_in_policies_are_other_than_absent() -> None:
    policy, problems = read_policies(
        "caps: []\nholdout: 0\nquiet: {purposes: []}\nslot: {spread: 10 minutes}\n"
    )
    assert problems == []
    assert (policy.caps, policy.holdout, policy.quiet) == ((), 0, Quiet(21 * 60, 8 * 60, ()))
    assert (policy.slot_minute, policy.slot_spread) == (600, 10 * MINUTE)
    assert read_policies("")[0] == Policy()
    (empty,) = read_policies("caps:\n")[1]
    assert empty.what == "caps is empty"


def test_policies_say_caps_by_channel_and_times_of_day() -> None:
    policy, problems = read_policies(
        """\
zone: Europe/Berlin
currency: JPY
caps: [{most: 2, per: 1 week, channel: sms, purpose: "*"}]
quiet: {from: 9:30, to: "10:15", purposes: [marketing, transactional]}
"""
    )
    assert problems == []
    assert policy.caps == (Cap(2, 7 * DAY, "sms", "*"),)
    assert policy.quiet == Quiet(570, 615, ("marketing", "transactional"))


def test_the_facts_of_the_shop_are_read_and_checked() -> None:
    shop, problems = read_shop(STARTER["aftersale.toml"])
    assert problems == []
    assert (shop.name, shop.sender_email) == ("Example Shop", "hello@shop.example")
    assert read_shop("[shop]\nname = 3\nurl = 'shop'\n")[1] == [
        Problem("aftersale.toml", 2, "shop.name is text", "put it in quotes"),
        Problem("aftersale.toml", 3, "shop.url: 'shop' is no address", "begin it with https://"),
    ]
    assert read_shop("[shop\n")[1][0].line == 1


def test_a_difference_is_told_in_words() -> None:
    new = dict(SOUND)
    new["journeys/refill.yaml"] = (
        SOUND["journeys/refill.yaml"].replace("wait: 5 days", "wait: 6 days") + "  - task: call\n"
    )
    new["policies.yaml"] = SOUND["policies.yaml"].replace("{most: 3,", "{most: 2,")
    new.pop("journeys/delivered.yaml")
    new["templates/delivered.liquid"] += "<p>More.</p>\n"
    told = "\n".join(str(change) for change in diff(SOUND, new))
    assert told == dedent(
        """\
        journey delivered removed
        journey refill changed
          step task-call added: task call
          step wait-2: delay: 5 days → 6 days
        policy changed
          caps: 1 marketing in 1 day, 3 marketing in 7 days → 1 marketing in 1 day, 2 marketing in 7 days
        template templates/delivered.liquid changed
          1 lines come, 0 go"""  # noqa: E501
    )
    assert diff(SOUND, SOUND) == []
    added = {change.name: change for change in diff({}, SOUND)}
    assert "wait until refill.lead before refill.due" in added["refill"].words
    with pytest.raises(Refusal, match="1 mistake:"):
        diff(SOUND, {**SOUND, "journeys/refill.yaml": "refill"})


# --- on disk ----------------------------------------------------------------------------------


def test_the_starter_is_written_once_and_read_back(tmp_path: Path) -> None:
    written = write_starter(tmp_path / "shop")
    assert written == sorted(STARTER)
    assert read_folder(tmp_path / "shop") == SOUND
    with pytest.raises(Refusal, match=r"already has aftersale\.toml"):
        write_starter(tmp_path / "shop")
    (tmp_path / "shop" / "policies.yaml").write_text("zone: UTC\n", encoding="utf-8")
    write_starter(tmp_path / "shop", overwrite=True)
    assert read_folder(tmp_path / "shop") == SOUND


def test_files_that_are_too_large_or_not_utf8_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="there is no folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(Refusal, match="holds no journeys"):
        read_folder(tmp_path)
    (tmp_path / "journeys").mkdir()
    file = tmp_path / "journeys" / "a.yaml"
    file.write_bytes(b"journey: a\ntitle: \xff\n")
    with pytest.raises(Refusal, match=r"journeys/a\.yaml is not UTF-8") as refused:
        read_folder(tmp_path)
    assert refused.value.where == "journeys/a.yaml:2"
    file.write_bytes(b"#" * 2_000_001)
    with pytest.raises(Refusal, match=r"journeys/a\.yaml is larger than 2 MB"):
        read_folder(tmp_path)


def test_an_equal_folder_has_an_equal_digest() -> None:
    assert digest(SOUND) == digest(dict(reversed(SOUND.items())))
    assert digest(SOUND) != digest({**SOUND, "policies.yaml": ""})


def test_a_compiled_journey_can_be_compared() -> None:
    one, other = read(A), read("# said again\n" + A)
    same = msgspec.structs.replace(
        other, steps=tuple(msgspec.structs.replace(s, line=s.line - 1) for s in other.steps)
    )
    assert one == same
