"""What does each journey do, and where are people in it now?"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aftersale.journeys.definition import Journey
from aftersale.programme.load import JOURNEYS, paused_in
from aftersale.programme.ports import Transaction
from aftersale.turn.decision import Decision, decision_name
from aftersale.turn.ports import DecisionRow
from aftersale.turn.words import reason_words
from aftersale.web.census import Census, Counting, Overlap
from aftersale.web.charts import Bar
from aftersale.web.figures import Decided, Figure
from aftersale.web.graph import Box, Drawn, draw_journey
from aftersale.web.overview import JourneyRow, journey_rows, reason_bars
from aftersale.web.pages import Pages, Shown
from aftersale.web.period import Period
from aftersale.web.report import Report, kept_report
from aftersale.web.words import KIND_TITLES, day, grouped, person_name

CROWDED = 0.25
"""Share of the smaller journey's people that are in another one too, from which on it is said."""


class Version(msgspec.Struct, frozen=True):
    """One version of a journey."""

    number: int
    running: int
    in_force: bool


class Shared(msgspec.Struct, frozen=True):
    """Two journeys with people who are in both."""

    one: str
    other: str
    people: int
    share: float
    """Of the smaller one's people."""


class Journeys(msgspec.Struct, frozen=True):
    """Everything on the page of all journeys; the same as JSON."""

    period: Period
    counting: Counting
    journeys: list[JourneyRow]
    shared: list[Shared]


class Step(msgspec.Struct, frozen=True):
    """One number of one step."""

    step: str
    title: str
    number: str
    what: str
    how: str


class JourneyView(msgspec.Struct, frozen=True):
    """Everything on the page of one journey; the same as JSON."""

    row: JourneyRow
    about: str
    period: Period
    shows: str
    """live, backtest or customer."""
    customer: int
    name: str
    """Of that customer."""
    figures: list[Figure]
    drawn: Drawn
    steps: list[Step]
    reasons: list[Bar]
    text: str
    file: str
    versions: list[Version]
    exits: list[str]
    shared: list[Shared]
    counting: Counting
    backtested: str
    """From when to when, empty where no backtest was kept."""
    can_pause: bool


def journeys(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """All journeys."""
    now, period = pages.app.now(tx), pages.period(request, tx)
    counting = pages.census(tx, now)
    known = pages.world(tx).programme.journeys
    rows = journey_rows(known, counting.census, pages.tally.decided(tx, period, now))
    view = Journeys(period, counting, rows, shared_of(counting.census))
    return Shown("journeys.html", "journeys", view, ("journeys", "shared"))


def shared_of(census: Census, name: str = "") -> list[Shared]:
    """Journeys that compete for the same people, those of one where it is named."""

    def share(one: Overlap) -> float:
        fewer = min(census.people.get(one.one, 0), census.people.get(one.other, 0))
        return one.count / fewer if fewer else 0.0

    found = [
        Shared(one.one, one.other, one.count, share(one))
        for one in census.together
        if not name or name in {one.one, one.other}
    ]
    return [one for one in found if one.share >= CROWDED]


def journey(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """One journey."""
    name = request.path_params["name"]
    if name not in pages.world(tx).programme.journeys:
        raise HTTPException(404, f"No journey in force is called {name}.")
    view = journey_of(pages, tx, name, request)
    return Shown("journey.html", "journeys", view, ("steps", "reasons", "versions", "figures"))


def journey_of(pages: Pages, tx: Transaction, name: str, request: Request) -> JourneyView:
    """What the page shows."""
    now, period = pages.app.now(tx), pages.period(request, tx)
    programme = pages.world(tx).programme
    found = programme.journeys[name]
    counting = pages.census(tx, now)
    census = counting.census
    told = pages.tally.decided(tx, period, now)
    counts = [row for row in told.rows if row.journey == name]
    (row,) = journey_rows({name: found}, census, told)
    drawn = draw_journey(found)
    report = kept_report(tx)
    shows, customer = _asked(tx, request, report)
    mine = [one for one in tx.decisions.of(customer) if one.journey == name] if customer else []
    for box in drawn.boxes:
        if shows == "customer":
            box.numbers = lived(box, mine, period.zone)
        elif shows == "backtest" and report is not None:
            box.numbers = numbers_of(box, _backtested(report, name), {}, _when(report))
        else:
            box.numbers = numbers_of(box, counts, census.waiting.get(name, {}), period.words)
    file, text = text_of(_files(tx), name)
    person = tx.personal.of_many([customer]).get(customer, {}) if customer else {}
    return JourneyView(
        row=row,
        about=found.about,
        period=period,
        shows=shows,
        customer=customer,
        name=person_name(customer, person) if customer else "",
        figures=_figures(row, told, period),
        drawn=drawn,
        steps=[
            Step(box.id, box.title, number, what, how)
            for box in drawn.boxes
            for number, what, how in box.numbers
        ],
        reasons=reason_bars(counts),
        text=text,
        file=file,
        versions=_versions(programme.graphs, found, census),
        exits=[kind for watch in found.exits for kind in watch.types],
        shared=shared_of(census, name),
        counting=counting,
        backtested=_when(report),
        can_pause=not (found.paused and name not in paused_in(_files(tx))),
    )


def _asked(tx: Transaction, request: Request, report: Report | None) -> tuple[str, int]:
    shows = request.query_params.get("show", "live")
    asked = request.query_params.get("customer", "")
    if asked:
        if not asked.isdigit() or not 0 < int(asked) <= tx.identities.last():
            raise HTTPException(404, f"There is no customer {asked}.")
        return "customer", tx.identities.living(int(asked))
    if shows not in {"live", "backtest"}:
        raise HTTPException(404, f"The steps show live or backtest, not {shows}.")
    if shows == "backtest" and report is None:
        raise HTTPException(404, "No backtest was kept yet: run aftersale backtest.")
    return shows, 0


def _backtested(report: Report, name: str) -> list[DecisionRow]:
    """What the backtest decided at each step, as rows of decisions."""
    line = next((line for line in report.journeys if line.name == name), None)
    return [
        DecisionRow(name, step, kind, "", count, 0)
        for step, kinds in (line.steps if line else {}).items()
        for kind, count in kinds.items()
    ]


def lived(box: Box, mine: Sequence[Decision], zone: str) -> list[tuple[str, str, str]]:
    """What one customer lived through at a step, newest first, as dates and words."""
    found = []
    for one in mine:
        at = "(start)" if one.kind in {"start", "refuse"} else one.step
        if one.kind in {"goal", "exit"} and box.id == "(end)":
            at = "(end)"
        if at == box.id:
            why = reason_words(one.reason) if one.reason else ""
            words = KIND_TITLES.get(one.kind, one.kind).lower()
            how = f"decision {decision_name(one.customer, one.seq)}"
            found.append((day(one.now, zone), words, f"{how}: {why}" if why else how))
    return found[:2]


def _when(report: Report | None) -> str:
    if report is None:
        return ""
    return f"{day(report.start, report.zone)} to {day(report.end, report.zone)}"


def _figures(row: JourneyRow, told: Decided, period: Period) -> list[Figure]:
    def of(key: str, title: str, kind: str, how: str) -> Figure:
        one = told.sum(
            lambda r: (
                r.journey == row.name
                and r.kind == kind
                and not (kind == "start" and r.reason == "moved")
            )
        )
        whom = f"/decisions?journey={quote(row.name)}&kind={kind}"
        return Figure(
            key, title, one.number, grouped(one.number), how, one.change(period), people=whom
        )

    by_day = "By the day of the decision, which may be later than the day its run began."
    return [
        of("began", "Began", "start", f"Runs begun. {by_day}"),
        of("sent", "Sent", "send", f"Messages decided. {by_day}"),
        of("held", "Held back", "hold", f"Messages that a gate refused for good. {by_day}"),
        of("left", "Left out to measure", "would-send",
           f"Not sent because the customer is in the holdout. {by_day}"),
        of("goal", "Reached the goal", "goal", f"Runs that came to their goal. {by_day}"),
        Figure("waiting", "In it now", row.waiting, grouped(row.waiting),
               "Runs that have begun and not ended, at the last count of everybody."),
    ]  # fmt: skip


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
    box: Box, counts: Sequence[DecisionRow], waiting: Mapping[str, int], when: str
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
            say(by_kind["start"], "began", f"runs begun ({when})", always=True)
            say(by_kind["refuse"], "did not", "triggers that began no run")
        case "send":
            say(by_kind["send"], "sent", f"messages decided ({when})", always=True)
            say(by_kind["hold"], "held back", "messages that a gate refused for good")
            say(by_kind["would-send"], "left out", "not sent to measure what the journey brings")
            say(waiting.get(box.id, 0), "waiting", here)
        case "goal" | "end":
            say(by_kind["goal"], "reached it", f"runs ({when})", always=box.kind == "goal")
            say(by_kind["exit"], "left before", "runs that ended before their last step")
        case "task":
            say(by_kind["task"], "made", f"tasks ({when})", always=True)
            say(waiting.get(box.id, 0), "waiting", here)
        case "branch":
            say(by_kind["branch"], "came by", f"runs ({when})", always=True)
        case _:
            say(waiting.get(box.id, 0), "waiting now", here, always=box.kind == "wait")
    return found


def _versions(
    graphs: Mapping[tuple[str, int], object], found: Journey, census: Census
) -> list[Version]:
    running = census.versions.get(found.name, {})
    numbers = sorted({version for name, version in graphs if name == found.name}, reverse=True)
    return [Version(number, running.get(number, 0), number == found.version) for number in numbers]
