"""How is the merchant's programme looked at, checked and put into force?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from aftersale.cli.answer import DONE, FAILED, Answer, Here, Table, command
from aftersale.cli.trying import near
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, format_instant

if TYPE_CHECKING:
    from aftersale.programme.load import Compiled
    from aftersale.programme.marked import Problem
    from aftersale.programme.ports import Transaction
    from aftersale.runtime.app import App
    from aftersale.runtime.golive import Projection

journeys = typer.Typer(help="Look at journeys, check them, pause them.", no_args_is_help=True)
segments = typer.Typer(help="Look at segments and count them.", no_args_is_help=True)
templates = typer.Typer(help="Check templates.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the journey.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show it, change nothing.")]


@command(journeys, "list")
def list_journeys(here: Here) -> Answer:
    """List the journeys in force with what they do."""
    app = here.app()
    with app.store.read() as tx:
        compiled = _in_force(app, tx)
        running = _runs(tx)
        sent: dict[str, int] = {}
        held: dict[str, int] = {}
        for row in tx.decisions.counts():
            if row.kind in {"send", "hold"}:
                counts = sent if row.kind == "send" else held
                counts[row.journey] = counts.get(row.journey, 0) + row.count
    found = [
        {
            "name": journey.name,
            "title": journey.title,
            "version": journey.version,
            "about": journey.about,
            "paused": journey.paused,
            "runs": sum(n for (name, _), n in running.items() if name == journey.name),
            "sent": sent.get(journey.name, 0),
            "held_back": held.get(journey.name, 0),
        }
        for journey in compiled.programme.journeys.values()
    ]
    rows = [
        (
            row["name"],
            row["version"],
            "paused" if row["paused"] else "on",
            row["runs"],
            row["sent"],
            row["held_back"],
        )
        for row in found
    ]
    headings = ("journey", "version", "state", "running", "sent", "held back")
    return Answer(found, [Table(headings, rows)])


@command(journeys, "show")
def show_journey(here: Here, name: Name) -> Answer:
    """Show the steps of a journey, and how many wait at each."""
    from aftersale.programme.changes import say_step

    app = here.app()
    with app.store.read() as tx:
        compiled = _in_force(app, tx)
        journey = compiled.programme.journeys.get(name)
        if journey is None:
            raise Refusal(
                f"there is no journey {name!r}", hint=near(name, compiled.programme.journeys)
            )
        versions = {v: n for (found, v), n in _runs(tx).items() if found == name}
        waiting = _waiting(tx, name, journey.version)
    steps = [
        {"id": step.id, "what": say_step(step), "waiting": waiting.get(number, 0)}
        for number, step in enumerate(journey.steps)
    ]
    data = {
        "name": name,
        "title": journey.title,
        "version": journey.version,
        "about": journey.about,
        "paused": journey.paused,
        "steps": steps,
        "runs_by_version": versions,
    }
    state = ", paused" if journey.paused else ""
    shown: list[str | Table] = [
        f"{journey.title or name}: version {journey.version}, about the {journey.about}{state}",
        Table(("step", "what", "waiting"), [tuple(step.values()) for step in steps]),
    ]
    older = {v: n for v, n in versions.items() if v != journey.version}
    shown += [f"{n} runs are still in version {v}." for v, n in sorted(older.items())]
    return Answer(data, shown)


@command(journeys, "validate")
def validate(
    here: Here,
    path: Annotated[
        Path | None, typer.Argument(help="A folder or one journey (default: the home).")
    ] = None,
) -> Answer:
    """Check the files of a programme and list every mistake with its line."""
    from aftersale.adapters.folder import read_folder
    from aftersale.programme.journeys import read_journey
    from aftersale.programme.load import check

    where = path or here.settings.home
    if where.is_file():
        _, problems = read_journey(where.read_text(encoding="utf-8-sig"), where=str(where))
    else:
        problems = check(read_folder(where))
    return _checked(problems, str(where))


@command(journeys, "pause")
def pause(here: Here, name: Name) -> Answer:
    """Freeze a journey: nothing of it goes on until it is resumed."""
    return _paused(here, name, paused=True)


@command(journeys, "resume")
def resume(here: Here, name: Name) -> Answer:
    """Let a paused journey go on; everything is judged again, nothing is flushed."""
    return _paused(here, name, paused=False)


def _paused(here: Here, name: str, *, paused: bool) -> Answer:
    from aftersale.programme.load import paused_in, with_paused

    app = here.app()
    with app.store.read() as tx:
        known = _in_force(app, tx).programme.journeys
        waiting = sum(n for (found, _), n in _runs(tx).items() if found == name)
    if name not in known:
        raise Refusal(f"there is no journey {name!r}", hint=near(name, known))
    files = app.files()
    names = set(paused_in(files))
    if not paused and known[name].paused and name not in names:
        raise Refusal(
            f"{name} is paused in its file",
            where=f"journeys/{name}.yaml",
            hint="take out `paused: true` and deploy",
        )
    names = names | {name} if paused else names - {name}
    deployment = app.deploy(
        with_paused(files, names), note=f"{'pause' if paused else 'resume'} {name}"
    )
    other = here.line(f"journeys {'resume' if paused else 'pause'} {name}")
    word = "paused" if paused else "resumed"
    said = f"{word} {name} ({waiting} runs wait). Undo: {other}"
    if deployment is None:
        said = f"{name} {'is paused' if paused else 'runs'} already"
    version = deployment.version if deployment else None
    data = {"journey": name, "paused": paused, "changed": deployment is not None,
            "deployment": version, "runs": waiting}  # fmt: skip
    return Answer(data, [said], next=[other])


@command(segments, "list")
def list_segments(here: Here) -> Answer:
    """List the segments that the programme names."""
    app = here.app()
    with app.store.read() as tx:
        found = _in_force(app, tx).segments
    data = [{"name": s.name, "where": s.condition.text, "doc": s.doc} for s in found]
    return Answer(data, [Table(("segment", "where", "doc"), [tuple(row.values()) for row in data])])


@command(segments, "count")
def count_segments(
    here: Here,
    name: Annotated[str, typer.Argument(help="Only this segment.")] = "",
) -> Answer:
    """Count the customers in each segment, as they are now."""
    from aftersale.runtime.explaining import reading_of, world_now
    from aftersale.turn.state import decode

    app = here.app()
    with app.store.read() as tx:
        found = {segment.name: segment for segment in _in_force(app, tx).segments}
        if name:
            wanted = name if name in found else f"segment.{name}"
            if wanted not in found:
                raise Refusal(f"there is no segment {name!r}", hint=near(name, found))
            found = {wanted: found[wanted]}
        world, now = world_now(tx, app.worlds), app.now(tx)
        counts = dict.fromkeys(found, 0)
        total = after = 0
        while rows := tx.states.page(after, 5_000):
            after = rows[-1].customer
            for row in rows:
                reading = reading_of(decode(row.blob), world, now)
                total += 1
                for word, segment in found.items():
                    counts[word] += segment.condition.holds(reading) is True
    shares = [(word, number, 100 * number / max(total, 1)) for word, number in counts.items()]
    data = {"customers": total, "segments": counts}
    return Answer(data, [Table(("segment", "customers", "per cent"), shares)])


@command(templates, "check")
def check_templates(here: Here) -> Answer:
    """Check every template of the home: syntax, fields, links, texts that must not be missing."""
    from aftersale.adapters.folder import read_folder
    from aftersale.programme.load import TEMPLATES, check

    problems = [p for p in check(read_folder(here.settings.home)) if p.file.startswith(TEMPLATES)]
    return _checked(problems, str(here.settings.home / TEMPLATES))


def _checked(problems: "list[Problem]", where: str) -> Answer:
    mistakes = [problem for problem in problems if not problem.warning]
    doubts = [problem for problem in problems if problem.warning]
    data = {
        "path": where,
        "mistakes": [msgspec.to_builtins(problem) for problem in mistakes],
        "warnings": [msgspec.to_builtins(problem) for problem in doubts],
    }
    shown: list[str | Table] = []
    if mistakes:
        rows = [(f"{p.file}:{p.line}", p.what, p.hint) for p in mistakes]
        shown.append(Table(("where", "what", "hint"), rows))
    count = len(mistakes)
    shown.append(f"{count} mistake{'' if count == 1 else 's'}." if count else "No mistakes.")
    return Answer(data, shown, warnings=[str(p) for p in doubts], code=FAILED if mistakes else DONE)


def deploy(here: Here, *, dry_run: DryRun = False, yes: Yes = False) -> Answer:
    """Put the programme of the home into force.

    Shows what differs, whom it concerns, and whether more messages go out in the next 24 hours
    and 7 days; then it asks.
    """
    from aftersale.adapters.folder import read_folder
    from aftersale.programme.changes import diff
    from aftersale.programme.load import compile_programme, paused_in, with_paused

    app = here.app()
    old = app.files()
    files = read_folder(here.settings.home)
    journey_files = {path.removeprefix("journeys/").removesuffix(".yaml") for path in files}
    with app.store.read() as tx:
        still = set(paused_in(old)) & (journey_files | set(_in_force(app, tx).programme.journeys))
    files = with_paused(files, still)
    changes = diff(old, files)
    data: dict[str, Any] = {"changes": [msgspec.to_builtins(change) for change in changes]}
    if not changes and old == files:
        return Answer({**data, "deployed": False}, ["Nothing differs from what is in force."])
    with app.store.read() as tx:
        newest = app.worlds.newest(tx)
        earlier = [tx.deployments.get(version) for version in range(1, newest + 1)]
        compiled = compile_programme(
            files, version=newest + 1, earlier=[d for d in earlier if d is not None]
        )
        affected = _affected(app, tx, compiled)
        before, after = _projected(app, tx, compiled)
    data |= {
        "runs_in_flight": affected,
        "before": [msgspec.to_builtins(p) for p in before],
        "after": [msgspec.to_builtins(p) for p in after],
        "deployed": False,
    }
    shown: list[str | Table] = [str(change) for change in changes] or ["Only texts differ."]
    if affected:
        rows = [(row["journey"], row["version"], row["runs"], row["what"]) for row in affected]
        shown.append(Table(("journey", "version", "running", "what becomes of them"), rows))
    shown.append(_messages(before, after))
    here.warnings += [str(problem) for problem in compiled.warnings]
    if dry_run:
        return Answer(data, [*shown, "Nothing was changed (dry run)."])
    more = any(new.messages > now.messages for now, new in zip(before, after, strict=True))
    question = "This raises the number of messages. Deploy?" if more else "Deploy?"
    here.agree(question, yes=yes, line="deploy --yes", shown=shown)
    deployment = app.deploy(files)
    version = deployment.version if deployment else newest
    data |= {"deployed": True, "version": version}
    said = f"Version {version} is in force."
    return Answer(data, [*shown, said] if yes else [said])


def _in_force(app: "App", tx: "Transaction") -> "Compiled":
    return app.worlds.compiled(tx, app.worlds.newest(tx))


def _states(tx: "Transaction") -> Any:
    from aftersale.turn.state import decode

    after = 0
    while rows := tx.states.page(after, 5_000):
        after = rows[-1].customer
        for row in rows:
            yield decode(row.blob)


def _runs(tx: "Transaction") -> dict[tuple[str, int], int]:
    """Runs in flight by journey and version."""
    found: dict[tuple[str, int], int] = {}
    for state in _states(tx):
        for run in state.runs:
            key = (run.journey, run.version)
            found[key] = found.get(key, 0) + 1
    return found


def _waiting(tx: "Transaction", name: str, version: int) -> dict[int, int]:
    """Runs of one version by the number of the step they are at."""
    found: dict[int, int] = {}
    for state in _states(tx):
        for run in state.runs:
            if (run.journey, run.version) == (name, version):
                found[run.step] = found.get(run.step, 0) + 1
    return found


def _affected(app: "App", tx: "Transaction", new: "Compiled") -> list[dict[str, Any]]:
    """What becomes of the runs in flight of journeys that differ."""
    found = []
    for (name, version), runs in sorted(_runs(tx).items()):
        journey = new.programme.journeys.get(name)
        if journey is None:
            what = "they end: the journey is gone"
        elif journey.version == version:
            continue
        elif journey.in_flight == "migrate":
            what = f"they move to version {journey.version}"
        else:
            what = f"they stay in version {version}"
        found.append({"journey": name, "version": version, "runs": runs, "what": what})
    return found


def _projected(
    app: "App", tx: "Transaction", new: "Compiled"
) -> "tuple[list[Projection], list[Projection]]":
    from aftersale.runtime.explaining import world_now
    from aftersale.runtime.golive import project

    now, world = app.now(tx), world_now(tx, app.worlds)
    since = dict(world.since)
    for journey in new.programme.journeys.values():
        since.setdefault(journey.lineage, now)
    draft = msgspec.structs.replace(
        world, programme=new.programme, catalogue=_catalogue(app, tx, new), since=since
    )
    return project(tx, world, now), project(tx, draft, now, everybody=True)


def _catalogue(app: "App", tx: "Transaction", new: "Compiled") -> Any:
    from aftersale.runtime.worlds import CONCERNS_ALL, world_of

    marks = [entry for kind in CONCERNS_ALL for entry in tx.ledger.everybodys(kind)]
    return world_of(new, sorted(marks, key=lambda entry: entry.position), {}).catalogue


def _messages(before: "list[Projection]", after: "list[Projection]") -> Table:
    rows = [
        (_within(new), now.messages, new.messages, new.people)
        for now, new in zip(before, after, strict=True)
    ]
    headings = ("if nothing else happens, in the next", "messages now", "after", "people after")
    return Table(headings, rows)


def _within(projection: "Projection") -> str:
    days = projection.within // DAY
    return "24 hours" if days == 1 else f"{days} days"


def projected_table(projections: "list[Projection]") -> Table:
    """Who would get what, by journey."""
    names = sorted({name for p in projections for name in p.journeys})
    rows: list[tuple[Any, ...]] = []
    for name in names:
        counts = [p.journeys.get(name) for p in projections]
        rows.append((name, *(number for c in counts for number in _pair(c))))
    rows.append(("all", *(number for p in projections for number in (p.messages, p.people))))
    headings = ["journey"]
    for projection in projections:
        headings += [f"messages in {_within(projection)}", "people"]
    return Table(headings, rows)


def _pair(count: Any) -> tuple[int, int]:
    return (count.messages, count.people) if count is not None else (0, 0)


def list_deployments(here: Here) -> Answer:
    """List every version of the programme that was in force."""
    app = here.app()
    with app.store.read() as tx:
        found = tx.deployments.history()
    data = [
        {
            "version": d.version,
            "deployed_at": format_instant(d.deployed_at),
            "digest": d.digest,
            "note": d.note,
        }
        for d in found
    ]
    rows = [tuple(row.values()) for row in data]
    return Answer(data, [Table(("version", "since", "digest", "note"), rows)])


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    app.add_typer(journeys, name="journeys")
    app.add_typer(segments, name="segments")
    app.add_typer(templates, name="templates")
    command(app, "deploy")(deploy)
    command(app, "deployments")(list_deployments)
