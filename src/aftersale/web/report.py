"""What would the programme have done in the past, on one page that can be sent to somebody?

The same view serves the page of the latest backtest and the file that a demo leaves behind.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from aftersale.kernel.instants import DAY, Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.backtest import CANNOT_TELL, Backtested, Plan
from aftersale.turn.programme import World
from aftersale.turn.words import moment, reason_words, sentence
from aftersale.web.charts import Bar, Columns, bars, columns
from aftersale.web.pages import FOLDER, environment
from aftersale.web.words import is_healthy

_IN_FORCE, _OF_DRAFT = "backtest", "backtest_draft"


class JourneyLine(msgspec.Struct, frozen=True):
    """One journey in the period."""

    name: str
    title: str
    people: int
    runs: int
    messages: int
    held_back: int
    left_out: int
    steps: dict[str, dict[str, int]] = {}
    """Step, empty for the start of runs → kind of decision → how many."""


class Sample(msgspec.Struct, frozen=True):
    """What one customer would have lived through."""

    customer: int
    lines: list[tuple[str, str]]
    """Moment and sentence."""


class Report(msgspec.Struct, frozen=True):
    """A backtest as people read it."""

    shop: str
    start: Instant
    end: Instant
    customers: int
    people: int
    messages: int
    per_week: float
    """Messages a week."""
    per_person_week: float
    """Messages a week to each customer who got any."""
    decisions: int
    held_back: int
    reasons: list[Bar]
    journeys: list[JourneyLine]
    weeks: list[tuple[int, int]]
    """Messages in a customer's week, and how many such weeks there were."""
    days: Columns
    samples: list[Sample]
    cannot_tell: list[str]
    digest: str
    zone: str = "UTC"
    demo: bool = False
    draft: str = ""
    """Which draft was played; empty: the programme in force."""


class Difference(msgspec.Struct, frozen=True):
    """One journey as it is in force and in the draft; None where it is not there."""

    name: str
    title: str
    people: tuple[int | None, int | None]
    messages: tuple[int | None, int | None]
    held_back: tuple[int | None, int | None]


class Comparison(msgspec.Struct, frozen=True):
    """What a draft would have said where the programme in force said something else."""

    draft: str
    totals: list[tuple[str, float, float]]
    """What, in force, in the draft."""
    journeys: list[Difference]


def report_of(
    result: Backtested,
    plan: Plan,
    *,
    shop: str,
    titles: Mapping[str, str],
    zone: str = "UTC",
    demo: bool = False,
    draft: str = "",
    samples: int = 6,
) -> Report:
    """The view of a backtest; `titles`: journey → its title."""
    weeks = result.weeks(plan)
    return Report(
        shop=shop,
        start=plan.start,
        end=plan.end,
        customers=result.customers,
        people=result.people,
        messages=result.messages,
        per_week=result.messages / weeks,
        per_person_week=result.messages / weeks / max(result.people, 1),
        decisions=result.decisions,
        held_back=sum(n for reason, n in result.held_back.items() if reason != "holdout"),
        reasons=bars(
            [
                (reason_words(reason), count, is_healthy(reason), reason)
                for reason, count in result.held_back.items()
            ]
        ),
        journeys=[
            JourneyLine(
                name,
                titles.get(name, name),
                counts.people,
                counts.runs,
                counts.messages,
                sum(counts.held_back.values()),
                counts.held_out,
                counts.steps,
            )
            for name, counts in sorted(
                result.journeys.items(), key=lambda item: (-item[1].messages, item[0])
            )
        ],
        weeks=sorted(result.per_person_week.items()),
        days=columns(result.per_day, plan.start // DAY, (plan.end - 1) // DAY),
        samples=[
            Sample(
                customer,
                [(moment(decision.now, zone), sentence(decision, zone)) for decision in decisions],
            )
            for customer, decisions in sorted(result.samples.items())[:samples]
        ],
        cannot_tell=list(CANNOT_TELL),
        digest=result.digest,
        zone=zone,
        demo=demo,
        draft=draft,
    )


def keep_report(
    app: App, result: Backtested, plan: Plan, world: World, *, draft: str = ""
) -> Report:
    """Keep a backtest in the store for the pages and for going live; as people read it.

    That of a `draft` is kept beside that of the programme in force.
    """
    with app.store.write() as tx:
        compiled = app.worlds.compiled(tx, app.worlds.newest(tx))
        journeys = world.programme.journeys
        report = report_of(
            result,
            plan,
            shop=compiled.shop.name,
            titles={name: journey.title or name for name, journey in journeys.items()},
            zone=compiled.programme.policy.zone,
            demo=bool(tx.meta.get("demo")),
            draft=draft,
        )
        hours = {"busiest_hour": result.busiest_hour, "programme": compiled.programme.version}
        kept = {**msgspec.to_builtins(report, str_keys=True), **hours}
        tx.meta.set(_OF_DRAFT if draft else _IN_FORCE, kept)
    return report


def kept_report(tx: Transaction, *, of_draft: bool = False) -> Report | None:
    """The newest backtest that was kept, of the programme in force or of a draft."""
    kept = tx.meta.get(_OF_DRAFT if of_draft else _IN_FORCE)
    return None if kept is None else msgspec.convert(kept, Report)


def comparison_of(live: Report, draft: Report | None) -> Comparison | None:
    """The two side by side; None where they are not of the same days."""
    if draft is None or (draft.start, draft.end) != (live.start, live.end):
        return None
    titles = {line.name: line.title for line in (*live.journeys, *draft.journeys)}

    def both(field: str, name: str) -> tuple[int | None, int | None]:
        found = [
            next((getattr(line, field) for line in report.journeys if line.name == name), None)
            for report in (live, draft)
        ]
        return found[0], found[1]

    return Comparison(
        draft.draft,
        [
            ("Customers who would have got a message", live.people, draft.people),
            ("Messages", live.messages, draft.messages),
            ("Messages to each of them a week", live.per_person_week, draft.per_person_week),
            ("Held back", live.held_back, draft.held_back),
        ],
        [
            Difference(
                name,
                titles[name],
                both("people", name),
                both("messages", name),
                both("held_back", name),
            )
            for name in sorted(titles)
        ],
    )


def write_report(path: Path, view: Report) -> None:
    """Write one HTML file that needs nothing else."""
    style = (FOLDER / "static" / "site.css").read_text(encoding="utf-8")
    text = environment().get_template("report.html").render(view=view, style=style)
    path.write_text(text, encoding="utf-8")
