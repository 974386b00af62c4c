"""In which mode does an installation send, and how does it change?"""

from typing import Annotated

import msgspec
import typer

from aftersale.cli.answer import DONE, FAILED, Answer, Here, Table, command
from aftersale.cli.programme import projected_table

WORDS = {
    "rehearse": "decides and records; the mailbox catches every message",
    "test": "only listed addresses are written to",
    "live": "customers are written to",
    "stopped": "nothing is claimed or sent",
}
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def mode(here: Here) -> Answer:
    """Show the mode: rehearse, test, live or stopped."""
    from aftersale.runtime.sending import mode_of

    app = here.app()
    with app.store.read() as tx:
        found = mode_of(tx)
    return Answer({"mode": found, "words": WORDS[found]}, [f"{found}: {WORDS[found]}"])


def live(
    here: Here,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show who would get what.")
    ] = False,
    yes: Yes = False,
) -> Answer:
    """Begin to write to customers.

    First shows who would get what in the next 24 hours and 7 days; then it asks. The first day is
    throttled, and a journey that sends far more than its backtest is stopped.
    """
    from aftersale.runtime.doctor import unread
    from aftersale.runtime.explaining import world_now
    from aftersale.runtime.golive import project, set_mode

    app = here.app()
    with app.store.read() as tx:
        projections = project(tx, world_now(tx, app.worlds), app.now(tx))
        backtested = tx.meta.get("backtest") is not None
        waiting = unread(tx)
        is_demo = bool(tx.meta.get("demo"))
    if not backtested:
        here.warn(
            "no backtest was kept, so the breaker knows no busiest hour; "
            f"run {here.line('backtest')} first"
        )
    if waiting:
        here.warn(f"{waiting} events are unread; run {here.line('worker --once')} first")
    if not app.sending.channels:
        here.warn("no channel is set up: the mailbox goes on catching every message")
    where = [f"{name} goes by {channel.where}" for name, channel in app.sending.channels.items()]
    if is_demo:
        here.warn("this is the demo: its addresses belong to nobody")
    data = {
        "projections": [msgspec.to_builtins(p) for p in projections],
        "mode": "live",
        "channels": {name: channel.where for name, channel in app.sending.channels.items()},
    }
    shown: list[str | Table] = [projected_table(projections), *where]
    if dry_run:
        return Answer({**data, "mode": "unchanged"}, [*shown, "Nothing was changed (dry run)."])
    people = projections[-1].people
    question = f"{people} people get mail within 7 days. Go live?"
    here.agree(question, yes=yes, line="live --yes", shown=shown)
    with app.store.write() as tx:
        set_mode(tx, app.worlds, "live", app.now(tx))
    undo = here.line("stop")
    said = f"live. Undo: {undo}"
    return Answer(data, [*shown, said] if yes else [said], next=[undo])


def _change(here: Here, wanted: str) -> Answer:
    from aftersale.runtime.golive import set_mode
    from aftersale.runtime.sending import mode_of

    app = here.app()
    with app.store.write() as tx:
        before = mode_of(tx)
        set_mode(tx, app.worlds, wanted, app.now(tx))
    if wanted == "test" and not app.sending.channels:
        here.warn("no channel is set up: the mailbox goes on catching every message")
    undo = here.line("stop" if before == "stopped" else before)
    data = {"mode": wanted, "before": before}
    return Answer(data, [f"{wanted}: {WORDS[wanted]}. Undo: {undo}"], next=[undo])


def rehearse(here: Here) -> Answer:
    """Go on deciding, but let the mailbox catch every message."""
    return _change(here, "rehearse")


def test(here: Here) -> Answer:
    """Write only to the addresses listed under [test] in aftersale.toml."""
    return _change(here, "test")


def stop(here: Here) -> Answer:
    """Stop all sending at once; nothing is claimed until another mode is chosen."""
    return _change(here, "stopped")


def doctor(here: Here) -> Answer:
    """Examine the installation; the last line says whether it is ready."""
    from aftersale.runtime.doctor import examine

    app = here.app()
    found = examine(app)
    data = {
        "groups": {
            group: [msgspec.to_builtins(finding) for finding in findings]
            for group, findings in found.groups.items()
        },
        "problems": [msgspec.to_builtins(finding) for finding in found.problems],
        "last_line": found.last_line,
        "ready": not found.problems,
    }
    rows = [
        (group, finding.name, finding.value, finding.problem or "ok")
        for group, findings in found.groups.items()
        for finding in findings
    ]
    shown: list[str | Table] = [Table(("group", "what", "found", "verdict"), rows), found.last_line]
    return Answer(data, shown, code=FAILED if found.problems else DONE)


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    for function in (doctor, mode, live, rehearse, test, stop):
        command(app, function.__name__)(function)
