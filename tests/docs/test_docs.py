"""Do the documents tell what the program does?"""

import json
import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
import typer

from aftersale.adapters.telemetry.prometheus import WorkerMetrics
from aftersale.api.resources import RESOURCES
from aftersale.cli import app
from aftersale.customers.fold import KEPT_LINES, KEPT_ORDERS
from aftersale.delivery.life import LIFE
from aftersale.delivery.reasons import SEND_REASONS
from aftersale.delivery.telling import Settled
from aftersale.events.event import read_event
from aftersale.events.vocabulary import BODIES, OURS, Line
from aftersale.features.tables import TABLES
from aftersale.gates.chain import NAMES
from aftersale.gates.verdict import REASONS
from aftersale.journeys.definition import Step
from aftersale.journeys.run_fields import RUN_FIELDS
from aftersale.kernel.instants import DAY, parse_instant
from aftersale.programme import grammar, policies
from aftersale.programme.journeys import read_journey
from aftersale.programme.marked import read_marked
from aftersale.programme.policies import read_policies
from aftersale.programme.telemetry import TROUBLES, Vitals
from aftersale.settings import Settings, variable
from aftersale.translation import commerce
from aftersale.translation.happening import REASONS as REASONS_OF_REQUESTS
from aftersale.translation.providers import TRANSLATORS
from aftersale.translation.segment import CALLS
from aftersale.translation.signatures import CHECKS
from aftersale.turn.decision import KINDS, Decision
from aftersale.turn.programme import KEPT_CONTACTS
from aftersale.turn.state import HARD_LIMIT, SOFT_LIMIT
from aftersale.turn.words import GATE_WORDS, RUN_REASONS, sentence
from aftersale.web.site import ROUTES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
] + sorted(DOCS.rglob("*.md"))
COMMANDS = DOCS / "reference" / "commands.md"
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]

each_page = pytest.mark.parametrize("page", PAGES, ids=IDS)


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def reference(name: str) -> str:
    return text(DOCS / "reference" / f"{name}.md")


def missing(words: Iterable[str], page: str) -> list[str]:
    """The words that do not stand in the page as `words`."""
    told = set(re.findall(r"`([^`\n]+)`", page))
    return [word for word in words if word not in told]


def blocks(page: str, *languages: str) -> Iterator[str]:
    """Fenced blocks of these languages, also those in a list."""
    for indent, language, body in re.findall(r"(?ms)^( *)```(\w*)\n(.*?)^ *```", page):
        if language in languages:
            yield "\n".join(line.removeprefix(indent) for line in body.splitlines())


# --- every name has its place -------------------------------------------------------------


def test_the_page_of_events_names_every_type_and_every_field() -> None:
    page = reference("events")
    assert missing(BODIES, page) == []
    fields = {name for body in (*BODIES.values(), Line) for name in body.__struct_fields__}
    assert missing(sorted(fields), page) == []


def test_every_type_that_others_may_send_has_an_example_that_is_read_as_it() -> None:
    shown = set()
    for block in blocks(reference("events"), "json"):
        event = read_event(json.loads(block))
        shown.add(event.type)
        assert event.refs, block
    alike = {kind for kind in BODIES if kind.startswith("message.")} - {"message.bounced"}
    assert shown == set(BODIES) - OURS - alike


def test_the_page_of_tracking_names_every_call_and_every_name_with_its_type() -> None:
    page = reference("tracking")
    assert missing(CALLS, page) == []
    told = {}
    for names, kind in re.findall(r"(?m)^\| (`[A-Z].+?`) \| `([\w.]+)`", page):
        told |= {name.lower(): kind for name in re.findall(r"`(.+?)`", names)}
    assert told == {name: found[0] for name in commerce.NAMES if (found := commerce.meaning(name))}


def test_the_page_of_the_api_names_every_address() -> None:
    """As the server has them, in their order."""
    named = re.findall(r"^\| `(/api/[^`]+)` \|", reference("api"), re.MULTILINE)
    assert named == [resource.path for resource in RESOURCES]


def test_the_page_of_webhooks_names_every_provider_and_every_reason() -> None:
    page = reference("webhooks")
    first, _, second = page.partition("## Signatures")
    assert re.findall(r"(?m)^\| `(\w+)` \| .+? \| .+ \|$", first) == list(TRANSLATORS)
    rows = re.findall(r"(?m)^\| (`.+?`) \| .+? \| .+ \|$", second.partition("## What is kept")[0])
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(CHECKS)
    rows = re.findall(
        r"(?m)^\| `([\w-]+)` \| ([^|`]+) \|$", page.partition("## What becomes no event")[2]
    )
    assert rows == [(code, reason.text) for code, reason in REASONS_OF_REQUESTS.items()]


def test_the_page_of_gates_names_every_gate_in_its_order_with_every_reason() -> None:
    page = reference("gates")
    assert tuple(re.findall(r"(?m)^\| \d \| `(\w+)`", page)) == NAMES == tuple(GATE_WORDS)
    rows = re.findall(r"(?m)^\| `([\w-]+)` \| (.+?) \| (healthy|needs action) \|$", page)
    known = [
        (code, reason.text, "healthy" if reason.healthy else "needs action")
        for code, reason in REASONS.items()
    ]
    assert rows == known


def test_the_page_of_decisions_names_every_kind_and_every_reason_of_a_run() -> None:
    page = reference("decisions")
    assert missing(KINDS, page) == []
    rows = re.findall(
        r"(?m)^\| `([\w-]+)` \| (.+?) \|$", page.partition("## Reasons about runs")[2]
    )
    assert rows == list(RUN_REASONS.items())
    assert missing(Decision.__struct_fields__, page) == []


def test_the_page_of_sending_names_every_status_and_every_reason() -> None:
    page = reference("sending")
    statuses, _, reasons = page.partition("## Reasons")
    rows = re.findall(r"(?m)^\| `([\w-]+)` \| ([\w, ]+) \| (.+?) \|$", reasons)
    known = [
        (code, ", ".join(reason.statuses), reason.text) for code, reason in SEND_REASONS.items()
    ]
    assert rows == known
    ways = dict(re.findall(r"(?m)^\| `(\w+)` \| .+? \| (.+?) \|$", statuses))
    assert set(ways) == set(LIFE)
    for status, way in ways.items():
        assert set(re.findall(r"`(\w+)`", way)) == LIFE[status] - {status}


def test_the_example_sentences_are_those_that_the_program_says() -> None:
    def at(moment: str) -> int:
        return parse_instant(f"2026-{moment}Z")

    order, refill, review, back = "order-confirmation", "refill", "review-request", "win-back"
    made = [
        ("start", refill, "coffee", "", "", ()),
        ("refuse", order, "main/10042", "", "stale", ()),
        ("send", "shipment", "main/10042#1", "send-shipment", "", ()),
        ("would-send", refill, "coffee", "send-refill-reminder", "holdout", ()),
        (
            "hold",
            review,
            "main/10042",
            "send-review-request",
            "called-off",
            ((), at("03-03T10:11")),
        ),
        ("defer", back, "", "send-win-back", "open-ticket", ((), at("03-19T10:00"))),
        ("task", back, "", "task-personal-outreach", "", ("personal-outreach", "success")),
        ("branch", back, "", "branch", "", (0,)),
        ("wait", refill, "coffee", "wait", "moved", (at("04-01T09:00"), at("04-10T09:00"))),
        ("goal", review, "main/10042", "", "", ()),
        ("exit", review, "main/10042", "", "returned", ()),
        ("late", refill, "coffee", "", "before-we-knew", (0, at("03-01T18:30"))),
    ]
    said = {
        kind: sentence(Decision(42, 7, 0, 0, kind, journey, 1, run, step, reason, values))
        for kind, journey, run, step, reason, values in made
    }
    assert dict(re.findall(r"(?m)^- `([\w-]+)`: \*(.+)\*$", reference("decisions"))) == said
    assert set(said) == set(KINDS)


def test_the_page_of_steps_names_every_kind() -> None:
    kinds = [kind.__name__.lower() for kind in Step.__args__]
    page = reference("steps")
    assert set(kinds) == set(grammar.STEPS)
    assert missing(kinds, page) == []
    assert missing(kinds, reference("journeys").replace("`task` and `exit`", "`task` `exit`")) == []


def test_the_page_of_journeys_names_every_key_and_every_type() -> None:
    page = reference("journeys")
    keys = {
        key.name for keys in (grammar.JOURNEY, grammar.START, grammar.SEND_STEP) for key in keys
    }
    assert missing(sorted(keys - {"id"}), page) == []
    assert missing(grammar.EVENT_TYPES, page) == []


def test_the_page_of_fields_is_the_list_of_fields() -> None:
    kinds = {"boolean": "true or false"}
    rows = [
        f"| `{field.name}` | {kinds.get(field.type, field.type)} | {field.scope} | {field.doc} |"
        for field in RUN_FIELDS.values()
    ]
    told = [line for line in reference("fields").splitlines() if line.startswith("| `")]
    new = "\n".join(row for row in rows if row not in told)
    assert told == rows, (
        f"fields.md holds every field in the order of RUN_FIELDS; its new rows:\n{new}"
    )


def test_the_page_of_settings_names_every_setting_with_its_variable_and_default() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \| `(\w+)` \| (.+?) \|", reference("settings"))
    defaults = msgspec.structs.asdict(Settings())
    assert [(name, env) for name, env, _ in rows] == [(name, variable(name)) for name in defaults]
    told = {name: default.strip("`") for name, _, default in rows}
    assert told == {
        n: "the current folder" if n == "home" else str(v) or "none" for n, v in defaults.items()
    }


def metrics_made() -> dict[str, tuple[str, set[str]]]:
    """Every metric of a worker: name → kind and labels."""
    vitals = Vitals(0, "live", 1, 0, 0, 0, {"sent": 1}, 0, ("email",), 0, 0, {"acted-once": 0})
    metrics = WorkerMetrics(lambda: vitals, lambda: 0)
    metrics.settled([Settled("1-1", "a", "refill", "email", "sent")], 1.0)
    made = {}
    for family in metrics.registry.collect():
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        name = family.name + ("_total" if family.type == "counter" else "")
        made[name] = (family.type, labels)
    return made


def test_the_page_of_metrics_names_every_metric_with_its_kind_and_labels() -> None:
    made = metrics_made()
    rows = re.findall(r"(?m)^\| `(aftersale_\w+)` \| (\w+) \| (.*?) ?\| ", reference("metrics"))
    told = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    told |= {name: made[name] for name in ("aftersale_build_info",)}
    assert told == {name: row for name, row in made.items() if name.startswith("aftersale_")}
    assert missing([*TROUBLES, "aftersale_build_info"], reference("metrics")) == []


def test_alerts_ask_for_metrics_and_labels_that_exist() -> None:
    page = text(DOCS / "how-to" / "run-in-production.md")
    made = metrics_made()
    asked = re.findall(r"\b(aftersale_\w+)(?:\{(\w+)=)?", page)
    assert len(asked) > 12
    assert [name for name, _ in asked if name not in made] == []
    assert [name for name, label in asked if label and label not in made[name][1]] == []
    words = set(re.findall(r'status=~?"([\w|]+)"', page))
    assert {word for group in words for word in group.split("|")} <= set(LIFE)


def test_the_page_of_the_history_tells_every_table_with_its_columns_and_types() -> None:
    told = {}
    for part in reference("history").split("### `")[1:]:
        rows = re.findall(r"(?m)^\| `(\w+)` \| (\w+) \|$", part)
        told[part.partition("`")[0]] = dict(rows)
    head = ["position", "customer", "at", "received_at", "day"]
    assert missing(head, reference("history")) == []
    assert told == {
        name: {column: str(kind) for column, kind in table.items() if column not in head}
        for name, table in TABLES.items()
    }


def test_the_page_of_policies_names_every_key() -> None:
    page = reference("policies")
    assert missing([key.name for key in policies.POLICIES], page) == []
    assert missing([key.name for key in policies.CAP], page) == []


def test_every_starter_journey_is_counted_and_sound() -> None:
    folder = ROOT / "src" / "aftersale" / "programme" / "starter" / "journeys"
    count = len(list(folder.glob("*.yaml")))
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    assert f"{words[count]} starter journeys" in text(ROOT / "README.md")


def test_every_example_mapping_is_named_somewhere() -> None:
    told = text(DOCS / "how-to" / "import-orders.md")
    assert [p.name for p in (ROOT / "examples" / "mappings").iterdir() if p.name not in told] == []


def test_the_bounds_of_a_state_are_those_that_are_told() -> None:
    turn = text(DOCS / "explanation" / "the-turn.md")
    closing = text(DOCS / "decisions" / "0010-closing-old-orders.md")
    assert f"messages of the last {KEPT_CONTACTS // DAY} days" in turn
    assert f"{KEPT_ORDERS} orders one by one" in turn
    assert f"{SOFT_LIMIT:,} bytes" in turn
    assert f"{HARD_LIMIT:,} older orders" in turn
    assert f"Beyond {KEPT_ORDERS} orders or {KEPT_LINES:,} lines" in closing


def test_the_glossary_is_sorted_and_has_one_word_for_one_thing() -> None:
    words = re.findall(r"(?m)^\| \*\*(.+?)\*\*", text(DOCS / "glossary.md"))
    assert words == sorted(set(words))


# --- what is written works -------------------------------------------------------------------


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    """Relative links name a file of the repository, and a heading that it has."""
    outside = re.sub(r"(?ms)^ *```.*?^ *```", "", text(page))
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", outside):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        if not found.exists() or (heading and heading not in anchors(found)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"(?m)^#+ (.+)$", text(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_index() -> None:
    linked = {
        (DOCS / target.partition("#")[0]).resolve()
        for target in re.findall(r"\]\(([^)\s]+)\)", text(DOCS / "index.md"))
    }
    lost = [page.name for page in PAGES if DOCS in page.parents and page not in linked]
    assert [name for name in lost if name != "index.md"] == []


@each_page
def test_every_code_block_is_sound(page: Path) -> None:
    """JSON, TOML and YAML load, Python runs, journeys and policies are read without a mistake."""
    written = text(page)
    for block in blocks(written, "json"):
        json.loads(block)
    for block in blocks(written, "toml"):
        tomllib.loads(block)
    for block in blocks(written, "python"):
        exec(compile(block.replace("customers=5000", "customers=5"), page.name, "exec"), {})
    for block in blocks(written, "yaml"):
        document, problems = read_marked(block, where=page.name)
        assert document is not None, problems
        keys = document.value if isinstance(document.value, dict) else {}
        if "journey" in keys:
            assert read_journey(block, where=page.name)[1] == []
        elif keys.keys() & {key.name for key in policies.POLICIES}:
            assert read_policies(block)[1] == []


@each_page
def test_every_command_that_is_shown_exists(page: Path) -> None:
    """What begins with aftersale in a block or in code names a command and its options."""
    if not COMMANDS.is_file():
        pytest.skip("docs/reference/commands.md is not written yet")
    lines = [line for block in blocks(text(page), "sh", "") for line in block.splitlines()]
    lines += re.findall(r"`(aftersale [^`\n]+)`", text(page))
    root = typer.main.get_command(app)
    assert [line for line in map(str.strip, lines) if not is_known(line, root)] == []


def is_known(line: str, group: typer.core.TyperCommand | typer.core.TyperGroup) -> bool:
    words = shlex.split(line.partition("#")[0]) if line.startswith("aftersale ") else []
    for word in words[1:]:
        if word.startswith("--"):
            known = {
                option
                for parameter in group.params
                for option in (*parameter.opts, *parameter.secondary_opts)
            }
            if word.partition("=")[0] not in known | {"--help"}:
                return False
        elif getattr(group, "commands", None):
            if word not in group.commands and word[0].isalpha() and word.islower():
                return False
            group = group.commands.get(word, group)
    return True


def test_every_command_has_its_place_in_the_reference() -> None:
    if not COMMANDS.is_file():
        pytest.skip("docs/reference/commands.md is not written yet")
    page = text(COMMANDS)

    def names(group: typer.core.TyperGroup, before: str) -> Iterator[str]:
        for name, found in group.commands.items():
            yield f"{before} {name}"
            if getattr(found, "commands", None):
                yield from names(found, f"{before} {name}")

    assert [
        n for n in names(typer.main.get_command(app), "aftersale") if n.split(" ", 1)[1] not in page
    ] == []


def test_every_picture_is_taken_by_the_program_and_shown_somewhere() -> None:
    """And none is left that nothing takes."""
    taken = set(re.findall(r'(?m)^ +"([\w-]+)": f?"/', text(ROOT / "tests" / "pictures.py")))
    kept = {path.stem for path in (DOCS / "images").iterdir()}
    shown = {name for page in PAGES for name in re.findall(r"images/([\w-]+)\.png", text(page))}
    assert taken == kept == shown


def test_what_others_made_is_shipped_as_they_made_it() -> None:
    folder = ROOT / "src" / "aftersale" / "web" / "static" / "vendor"
    told = tomllib.loads(text(folder / "VENDOR.toml"))
    for one in told.values():
        assert sha256((folder / one["file"]).read_bytes()).hexdigest() == one["sha256"]
    assert len(told) == len([path for path in folder.iterdir() if path.suffix in {".woff2", ".js"}])


def test_the_page_of_pages_names_every_page() -> None:
    """Addresses with a part that stands for something are written in capitals there."""
    told = set(re.findall(r"(?m)^\| [^|]+ \| `(/[^`?]*)", reference("pages")))
    there = {
        re.sub(r"\{(\w+)(?::int)?\}", "X", route.path)
        for route in ROUTES
        if (route.path + ".json") in {one.path for one in ROUTES} or route.path in {"/", "/models"}
    }
    assert {re.sub(r"[A-Z]+", "X", path) for path in told} == there
