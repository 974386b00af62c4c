"""How is the engine driven, and how is what it did checked?"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from aftersale import __version__
from aftersale.cli.answer import DONE, FAILED, STOPPED, Answer, Here, Table, command
from aftersale.kernel.errors import Operational, Refusal
from aftersale.kernel.instants import HOUR, Instant, format_instant, parse_instant

if TYPE_CHECKING:
    from aftersale.runtime.app import App
    from aftersale.runtime.worker import Worked

MOST_SHOWN = 100
"""Violations of each rule that are listed."""
TIME_HELP = "An instant (2026-03-01T09:00:00Z); a date alone is its midnight in UTC."


class _Halt(Exception):
    """A turn has ended and the person wants no further one."""


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Set by Ctrl-C or a request to end; a second Ctrl-C stops at once."""
    wanted = threading.Event()

    def note(number: int, frame: Any) -> None:
        if wanted.is_set():
            raise KeyboardInterrupt
        wanted.set()

    kept = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wanted
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def worker(
    here: Here,
    *,
    until: Annotated[
        str,
        typer.Option(
            "--until", metavar="TIME", help=f"Drive the clock to this instant. {TIME_HELP}"
        ),
    ] = "",
    once: Annotated[
        bool, typer.Option("--once", help="Do what is due by the machine's clock, then end.")
    ] = False,
) -> Answer:
    """Take events, decide, and send.

    Without options it works until it is stopped: Ctrl-C or SIGTERM ends it cleanly after the
    running turn and the messages that it is handing over, a second one at once. Several workers
    share the customers of a store in a database; on a file the second one waits to take over.
    With --until the clock is driven, so months pass in seconds.
    """
    from aftersale.runtime.worker import Worked, Worker

    if until and once:
        raise Refusal("--until and --once exclude each other", code=2)
    horizon = parse_instant(until, zone="UTC") if until else None
    app = here.app()
    if horizon is None:
        _take_the_machines_clock(here, app)
    total = Worked()
    first: list[Instant] = []
    with _stopping() as wanted, _clock_bar(here, horizon) as moved:

        def progress(worked: Worked) -> None:
            nonlocal total
            total = worked
            if horizon is not None:
                first[:] = first or [worked.clock]
                moved((worked.clock - first[0]) // HOUR, (horizon - first[0]) // HOUR)
            if wanted.is_set():
                raise _Halt

        work = Worker(app.store, app.worlds, app.turns, app.sending, progress=progress)
        with suppress(_Halt):
            if horizon is not None:
                _be_alone(here, app, wanted)
                total = work.drive(horizon)
            elif once:
                _be_alone(here, app, wanted)
                work.recover(app.system_now())
                total = work.once(app.system_now())
            else:
                total = _live(here, app, wanted)
        halted = wanted.is_set() and (once or horizon is not None)
    app.sending.close()
    app.store.close()
    data = {**msgspec.to_builtins(total), "clock": format_instant(total.clock)}
    if halted:
        here.warn("stopped before the end; run the same line again to go on")
    rows = [(word, data[word]) for word in Worked.__struct_fields__]
    return Answer(data, [Table(("what", "number"), rows)], code=STOPPED if halted else DONE)


def _take_the_machines_clock(here: Here, app: "App") -> None:
    """Let a store whose clock was driven go on with the machine's; a demo's stays driven."""
    with app.store.read() as tx:
        driven, is_demo = tx.meta.get("driven"), tx.meta.get("demo")
    if driven and is_demo:
        raise Refusal(
            "the clock of the demo is driven", hint=here.line("worker --until 2026-07-07")
        )
    if driven:
        with app.store.write() as tx:
            tx.meta.set("driven", value=False)
        here.warn("the clock of this store was driven; from now on it is the machine's")


def _clock_bar(
    here: Here, horizon: Instant | None
) -> AbstractContextManager[Callable[[int, int], None]]:
    """A bar of hours where the clock is driven."""
    return nullcontext(lambda done, total: None) if horizon is None else here.bar("hours")


def _be_alone(here: Here, app: "App", wanted: threading.Event) -> None:
    """Refuse to drive the clock, or to do one round, beside a worker that lives.

    One that was killed is believed to live until its lease has run out; so long this waits.
    """
    looks, others = 20, list[str]()
    for look in range(looks + 1):
        with app.store.read() as tx:
            others = tx.shards.workers()
        if not others or wanted.is_set():
            return
        if look == 0:
            here.say(f"waiting for {', '.join(others)}")
        wanted.wait((here.settings.lease_seconds + 1) / looks)
    raise Refusal(
        f"a worker is at work on this store: {', '.join(others)}",
        why="what is due is done by that one",
        hint="stop it first, or leave it to it",
    )


def _live(here: Here, app: "App", wanted: threading.Event) -> "Worked":
    """Work by the machine's clock until somebody wants no more."""
    from aftersale.adapters.telemetry.endpoint import Endpoint
    from aftersale.bootstrap import watched

    settings = here.settings
    at_work = watched(app, settings, wanted, here.say)
    log, port = at_work.log, settings.metrics_port
    endpoint = Endpoint(settings.metrics_host, port, at_work.answers) if port else nullcontext()
    with endpoint:
        if settings.log == "text":
            here.say("working; Ctrl-C stops")
        log.say("info", "started", version=__version__, metrics_port=port)
        try:
            total = at_work.live.run(wanted)
        except Exception as error:
            log.say("error", "failed", reason=type(error).__name__)
            raise
    log.say("info", "ended", turns=total.turns, sends=total.sends)
    return total


def verify(here: Here) -> Answer:
    """Check the sentences that must always hold: acted once, within caps, with consent.

    What was found is kept, and told by doctor, the pages and the metrics.
    """
    from aftersale.runtime.verifying import check, keep

    app = here.app()
    found = check(app.store, app.system_now, most=MOST_SHOWN)
    try:
        keep(app.store, found)
    except Operational as busy:
        here.warn(f"what was found could not be kept: {busy.what}")
    wrong = sum(found.checks.values())
    data = {"checks": found.checks, "violations": msgspec.to_builtins(found.examples)}
    shown: list[str | Table] = [Table(("rule", "violations"), list(found.checks.items()))]
    if found.examples:
        rows = [tuple(violation.values()) for violation in data["violations"]]
        headings = tuple(type(found.examples[0]).__struct_fields__)
        shown.append(Table(headings, rows, "Violations"))
    shown.append("All hold." if not wrong else f"{wrong} violations.")
    return Answer(data, shown, code=FAILED if wrong else DONE)


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "worker")(worker)
    command(app, "verify")(verify)
