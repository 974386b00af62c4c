"""What would the programme have done, and does the log still give what it did?"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from aftersale.cli.answer import DONE, FAILED, Answer, Here, Table, command
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import format_instant, parse_instant

if TYPE_CHECKING:
    from aftersale.events.event import Entry
    from aftersale.runtime.app import App
    from aftersale.runtime.backtest import Backtested, Plan
    from aftersale.turn.programme import World


def try_backtest(
    here: Here,
    journey: Annotated[str, typer.Argument(help="Show only this journey; all are played.")] = "",
    *,
    start: Annotated[
        str,
        typer.Option("--from", metavar="DATE", help="Begin (default: half a year before the end)."),
    ] = "",
    end: Annotated[
        str, typer.Option("--to", metavar="DATE", help="End (default: the newest event).")
    ] = "",
    reactions: Annotated[
        str,
        typer.Option(
            "--reactions",
            metavar="none|recorded|drawn",
            help="Whether customers open and click: not at all, as recorded for the same message, "
            "or as a draw says.",
        ),
    ] = "none",
    draft: Annotated[
        Path | None,
        typer.Option("--draft", metavar="DIR", help="A folder instead of the deployed programme."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, help="How many processes (default: all cores)."),
    ] = None,
) -> Answer:
    """Show what the programme would have said in your own past. Nothing is sent."""
    from aftersale.runtime.backtest import REACTIONS, plan_of
    from aftersale.runtime.parallel import backtest_in_parts
    from aftersale.web.report import keep_report

    _one_of(reactions, REACTIONS, "--reactions")
    app = here.app()
    world = _world(app, draft)
    if journey:
        _known_journey(journey, world)
    with app.store.read() as tx:
        plan = plan_of(tx, start, end, reactions)
    with here.bar("backtest") as progress:
        result = backtest_in_parts(
            app,
            world,
            plan,
            processes=processes or os.cpu_count() or 1,
            tell=lambda phase, done, total: progress(done, total),
        )
    summary = summary_of(result, plan, world.programme.version)
    keep_report(app, result, plan, world, draft=str(draft) if draft else "")
    data = {
        **summary,
        "from": format_instant(plan.start),
        "to": format_instant(plan.end),
        "draft": str(draft) if draft else "",
    }
    if journey:
        data["journeys"] = {n: c for n, c in data["journeys"].items() if n == journey}
    return Answer(data, shown_backtest(data))


def summary_of(result: "Backtested", plan: "Plan", version: int) -> dict[str, Any]:
    """A backtest in numbers, as it is kept in the store and shown."""
    from aftersale.runtime.backtest import CANNOT_TELL

    weeks = result.weeks(plan)
    held_out = sum(counts.held_out for counts in result.journeys.values())
    return {
        "from": plan.start,
        "to": plan.end,
        "reactions": plan.reactions,
        "programme": version,
        "people": result.people,
        "customers": result.customers,
        "messages": result.messages,
        "per_week": round(result.messages / weeks, 2),
        "per_person_week": round(result.messages / max(result.people, 1) / weeks, 4),
        "decisions": result.decisions,
        "held_back": _most_first(result.held_back),
        "held_out": held_out,
        "consent_alone": result.consent_alone,
        "journeys": {
            name: {
                "people": counts.people,
                "runs": counts.runs,
                "messages": counts.messages,
                "per_week": round(counts.messages / weeks, 2),
                "held_back": _most_first(counts.held_back),
                "held_out": counts.held_out,
            }
            for name, counts in sorted(result.journeys.items())
        },
        "per_day": {
            datetime.fromtimestamp(day * 86_400, UTC).date().isoformat(): number
            for day, number in sorted(result.per_day.items())
        },
        "busiest_hour": result.busiest_hour,
        "digest": result.digest,
        "cannot_tell": list(CANNOT_TELL),
    }


def _most_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def shown_backtest(data: dict[str, Any]) -> list[str | Table]:
    """The same for people."""
    from aftersale.turn.words import reason_words

    journeys = [
        (
            name,
            counts["people"],
            counts["messages"],
            counts["per_week"],
            sum(counts["held_back"].values()),
            counts["held_out"],
        )
        for name, counts in data["journeys"].items()
    ]
    headings = ("journey", "people", "messages", "per week", "held back", "held out")
    reasons = [
        (reason, number, reason_words(reason)) for reason, number in data["held_back"].items()
    ]
    total = (
        f"{data['people']} of {data['customers']} customers would have got {data['messages']} "
        f"messages, {data['per_week']:.1f} a week, from {data['from'][:10]} to {data['to'][:10]}."
    )
    alone = data.get("consent_alone", 0)
    return [
        total,
        f"{alone} messages were held back for want of consent alone.",
        Table(headings, journeys),
        Table(("held back because", "times", "in words"), reasons),
        "What this cannot tell: " + " ".join(data["cannot_tell"]),
    ]


def _one_of(word: str, known: tuple[str, ...], where: str) -> None:
    if word not in known:
        raise Refusal(
            f"{word!r} is not one of {', '.join(known)}",
            where=where,
            hint=near(word, known),
            code=2,
        )


def near(word: str, known: Any) -> str:
    """A hint with the nearest right word."""
    from aftersale.adapters.sources.mapping import nearest

    return nearest(word, known)


def _known_journey(name: str, world: "World") -> None:
    journeys = world.programme.journeys
    if name not in journeys:
        raise Refusal(f"there is no journey {name!r}", hint=near(name, journeys))


def _world(app: "App", draft: Path | None) -> "World":
    """The world of the next turn, or the same with a draft instead of the programme."""
    from aftersale.adapters.folder import read_folder
    from aftersale.programme.load import compile_programme
    from aftersale.runtime.explaining import world_now
    from aftersale.runtime.worlds import CONCERNS_ALL, world_of

    with app.store.read() as tx:
        if draft is None:
            return world_now(tx, app.worlds)
        newest = app.worlds.newest(tx)
        found = [tx.deployments.get(version) for version in range(1, newest + 1)]
        compiled = compile_programme(
            read_folder(draft), version=newest + 1, earlier=[d for d in found if d is not None]
        )
        marks = [entry for kind in CONCERNS_ALL for entry in tx.ledger.everybodys(kind)]
        return world_of(compiled, sorted(marks, key=lambda entry: entry.position), {})


def try_replay(
    here: Here,
    *,
    drop: Annotated[
        list[int] | None,
        typer.Option("--drop", metavar="POSITION", help="Leave out the event at this position."),
    ] = None,
    put: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="POSITION.FIELD=VALUE",
            help="Let a field of the event at this position have another value.",
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy", metavar="NAME=VALUE", help="Another value of the policy: holdout=0.2."
        ),
    ] = None,
) -> Answer:
    """Make every decision again from the log and compare.

    Without options all must be equal; with an event or a policy value altered exactly the
    decisions that this changes are shown.
    """
    from aftersale.runtime.replay import replay
    from aftersale.turn.words import sentence

    alter = _alteration(drop or [], put or [])
    alter_world = _other_policy(policy or [])
    app = here.app()
    with app.store.read() as tx:
        found = replay(tx, app.worlds, alter=alter, alter_world=alter_world)
    examples = [
        {
            "decision": difference.name,
            "stored": sentence(difference.stored) if difference.stored else "",
            "replayed": sentence(difference.replayed) if difference.replayed else "",
        }
        for difference in found.differences
    ]
    altered = alter is not None or alter_world is not None
    data = {
        "turns": found.turns,
        "decisions": found.decisions,
        "differences": found.different,
        "states_different": found.states_different,
        "examples": examples,
        "digest": found.digest,
        "stored_digest": found.stored_digest,
        "altered": altered,
    }
    shown: list[str | Table] = [
        f"{found.decisions} decisions in {found.turns} turns, {found.different} came out otherwise."
    ]
    if examples:
        rows = [tuple(example.values()) for example in examples]
        shown.append(Table(("decision", "stored", "replayed"), rows))
    wrong = not altered and (found.different or found.states_different)
    return Answer(data, shown, code=FAILED if wrong else DONE)


def _alteration(drop: list[int], put: list[str]) -> "Callable[[Entry], Entry | None] | None":
    if not drop and not put:
        return None
    from aftersale.events.event import Entry

    dropped = set(drop)
    changed: dict[int, dict[str, str]] = {}
    for text in put:
        place, sign, value = text.partition("=")
        position, dot, field = place.partition(".")
        if not (sign and dot and position.isdigit() and field):
            raise Refusal(
                f"{text!r} is no change", where="--set", hint="write it as 17.rating=1", code=2
            )
        changed.setdefault(int(position), {})[field] = value

    def alter(entry: Entry) -> Entry | None:
        if entry.position in dropped:
            return None
        fields = changed.get(entry.position)
        return entry if fields is None else _altered(entry, fields)

    return alter


def _altered(entry: "Entry", fields: dict[str, str]) -> "Entry":
    kind = type(entry.body)
    facts = msgspec.structs.asdict(entry.body)
    for name, text in fields.items():
        if name in {"at", "received_at"}:
            instant = parse_instant(text, zone="UTC")
            entry = msgspec.structs.replace(entry, **{name: instant})
        elif name in facts:
            facts[name] = _value(text)
        else:
            raise Refusal(
                f"{entry.type} has no field {name!r}", where="--set", hint=near(name, facts), code=2
            )
    try:
        body = msgspec.convert(msgspec.to_builtins(facts), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Refusal(f"{entry.type} cannot have that: {error}", where="--set", code=2) from None
    return msgspec.structs.replace(entry, body=body)


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _other_policy(given: list[str]) -> "Callable[[World], World] | None":
    if not given:
        return None
    from aftersale.programme.policies import read_policies
    from aftersale.turn.programme import Programme, World

    text = "\n".join(": ".join(part.split("=", 1)) for part in given)
    other, problems = read_policies(text, where="--policy")
    if problems:
        raise Refusal(problems[0].what, where="--policy", hint=problems[0].hint, code=2)
    usual, _ = read_policies("")
    changed = {
        name: value
        for name, value in msgspec.structs.asdict(other).items()
        if value != getattr(usual, name)
    }

    def alter(world: World) -> World:
        old = world.programme
        programme = Programme(
            old.version,
            msgspec.structs.replace(old.policy, **changed),
            list(old.journeys.values()),
            catalogue=old.catalogue,
            archive=[graph.journey for graph in old.graphs.values()],
        )
        return msgspec.structs.replace(world, programme=programme)

    return alter


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "backtest")(try_backtest)
    command(app, "replay")(try_replay)
