"""What does each journey do, and where are people in it now?"""

import re
from collections import defaultdict
from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aftersale.journeys.definition import Journey
from aftersale.kernel.instants import DAY
from aftersale.programme.load import JOURNEYS
from aftersale.programme.ports import Transaction
from aftersale.turn.ports import DecisionRow
from aftersale.web.census import Census
from aftersale.web.charts import Bar
from aftersale.web.graph import Box, Drawn, draw_journey
from aftersale.web.overview import JourneyRow, journey_rows, reason_bars
from aftersale.web.pages import Pages, as_json, pages_of
from aftersale.web.words import grouped

DAYS = 90


class Version(msgspec.Struct, frozen=True):
    """One version of a journey."""

    number: int
    running: int
    in_force: bool


class JourneyView(msgspec.Struct, frozen=True):
    """Everything on the page."""

    row: JourneyRow
    about: str
    drawn: Drawn
    reasons: list[Bar]
    text: str
    file: str
    versions: list[Version]
    exits: list[str]
    days: int


def journeys(request: Request) -> Response:
    """All journeys."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        now = pages.app.now(tx)
        rows = journey_rows(pages, tx, pages.census(tx, now), now)
        return pages.framed(request, tx, "journeys.html", section="journeys", rows=rows)


def journeys_json(request: Request) -> Response:
    """The same for programs."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        now = pages.app.now(tx)
        return as_json(journey_rows(pages, tx, pages.census(tx, now), now))


def journey(request: Request) -> Response:
    """One journey."""
    pages = pages_of(request)
    name = request.path_params["name"]
    with pages.app.store.read() as tx:
        if name not in pages.world(tx).programme.journeys:
            raise HTTPException(404, f"No journey in force is called {name}.")
        view = journey_of(pages, tx, name)
        return pages.framed(request, tx, "journey.html", section="journeys", view=view)


def journey_of(pages: Pages, tx: Transaction, name: str) -> JourneyView:
    """What the page shows."""
    now = pages.app.now(tx)
    programme = pages.world(tx).programme
    found = programme.journeys[name]
    census = pages.census(tx, now)
    counts = [
        row
        for row in tx.decisions.counts(since=now - DAYS * DAY, until=now + 1)
        if row.journey == name
    ]
    rows = {row.name: row for row in journey_rows(pages, tx, census, now, days=DAYS)}
    drawn = draw_journey(found)
    for box in drawn.boxes:
        box.numbers = numbers_of(box, counts, census.waiting.get(name, {}))
    file, text = text_of(_files(tx), name)
    return JourneyView(
        rows[name],
        found.about,
        drawn,
        reason_bars(counts),
        text,
        file,
        _versions(programme.graphs, found, census),
        [kind for watch in found.exits for kind in watch.types],
        DAYS,
    )


def _files(tx: Transaction) -> Mapping[str, str]:
    latest = tx.deployments.latest()
    return latest.files if latest else {}


def text_of(files: Mapping[str, str], name: str) -> tuple[str, str]:
    """The file that holds the journey, and its text."""
    line = re.compile(rf"^journey:\s*['\"]?{re.escape(name)}['\"]?\s*(#.*)?$", re.MULTILINE)
    for path, text in sorted(files.items()):
        if path.startswith(JOURNEYS) and line.search(text):
            return path, text
    return "", ""


def numbers_of(
    box: Box, counts: list[DecisionRow], waiting: Mapping[str, int]
) -> list[tuple[str, str, str]]:
    """The numbers on one box, each with how it is counted."""
    by_kind: dict[str, int] = defaultdict(int)
    for row in counts:
        at = "(start)" if row.kind in {"start", "refuse"} else row.step
        if row.kind in {"goal", "exit"} and box.id == "(end)":
            at = "(end)"
        if at == box.id and not (row.kind == "start" and row.reason == "moved"):
            by_kind[row.kind] += row.count
    found = []

    def say(count: int, what: str, how: str, *, always: bool = False) -> None:
        if count or always:
            found.append((grouped(count), what, how))

    here = "runs that stand at this step now"
    match box.kind:
        case "start":
            say(by_kind["start"], "began", f"runs begun in {DAYS} days", always=True)
            say(by_kind["refuse"], "did not", "triggers that began no run")
        case "send":
            say(by_kind["send"], "sent", f"messages decided in {DAYS} days", always=True)
            say(by_kind["hold"], "held back", "messages that a gate refused for good")
            say(by_kind["would-send"], "left out", "not sent to measure what the journey brings")
            say(waiting.get(box.id, 0), "waiting", here)
        case "goal" | "end":
            say(by_kind["goal"], "reached it", f"runs in {DAYS} days", always=box.kind == "goal")
            say(by_kind["exit"], "left before", "runs that ended before their last step")
        case "task":
            say(by_kind["task"], "made", f"tasks in {DAYS} days", always=True)
            say(waiting.get(box.id, 0), "waiting", here)
        case "branch":
            say(by_kind["branch"], "came by", f"runs in {DAYS} days", always=True)
        case _:
            say(waiting.get(box.id, 0), "waiting now", here, always=box.kind == "wait")
    return found


def _versions(
    graphs: Mapping[tuple[str, int], object], found: Journey, census: Census
) -> list[Version]:
    running = census.versions.get(found.name, {})
    numbers = sorted({version for name, version in graphs if name == found.name}, reverse=True)
    return [Version(number, running.get(number, 0), number == found.version) for number in numbers]
