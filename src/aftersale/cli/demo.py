"""How does somebody see everything at work without data, keys or an account?

A simulated shop is taken in, backtested and worked on for two weeks with a driven clock. All is
under one folder, nothing is sent, and the same size and seed give the same numbers everywhere.
"""

import platform
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from aftersale import __version__
from aftersale.cli.answer import Answer, Here, Table, command, show
from aftersale.kernel.errors import AftersaleError, Refusal
from aftersale.kernel.instants import DAY, Instant, format_instant, parse_instant

if TYPE_CHECKING:
    from aftersale.events.event import Event
    from aftersale.runtime.app import App

FOLDER = Path(".aftersale-demo")
MARK = "demo.json"
BEGIN, END = parse_instant("2024-06-30T00:00:00Z"), parse_instant("2026-06-30T00:00:00Z")
LIVE_FROM = END - 15 * DAY
"""Before it everything is history; then journeys run for two weeks, and for one day more."""
LAST_DAY = END - DAY
BACKTESTED = 26 * 7 * DAY
SIZES = {"s": 400, "m": 5_000, "l": 15_000}
BATCH = 5_000


class Steps:
    """Says what is done, and how long it took."""

    def __init__(self, here: Here, total: int) -> None:
        self._here = here
        self._total = total
        self._number = 0
        self.begun = time.perf_counter()

    @contextmanager
    def step(self, doing: str) -> Iterator[list[str]]:
        """One numbered step; what is appended to the list is shown when it is done."""
        self._number += 1
        mark = f"[{self._number}/{self._total}]"
        awaited = self._here.terminal
        if awaited:
            print(f"{mark} {doing} …", end="\r", file=sys.stderr, flush=True)
        begun = time.perf_counter()
        told: list[str] = []
        yield told
        text = f"{mark} {' '.join([doing, *told])}"
        seconds = time.perf_counter() - begun
        print(f"{text:<72}  ok {seconds:5.1f} s", file=sys.stderr, flush=True)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self.begun


def demo(
    here: Here,
    *,
    size: Annotated[
        str, typer.Option("--size", metavar="s|m|l", help="400, 5,000 or 15,000 customers.")
    ] = "m",
    seed: Annotated[int, typer.Option("--seed", help="Another seed is another shop.")] = 7,
    serve: Annotated[
        bool | None,
        typer.Option("--serve/--no-serve", help="Show the pages afterwards (on a terminal: yes)."),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Make it anew.")] = False,
) -> Answer | None:
    """Run the simulated shop: import, backtest, two weeks of work, pages. Nothing is sent.

    Everything is in ./.aftersale-demo (or --home); a finished demo is opened again in a moment.
    """
    if size not in SIZES:
        raise Refusal(f"{size!r} is no size", where="--size", hint="choose s, m or l", code=2)
    home = FOLDER if here.settings.home == Path() else here.settings.home
    # Never into a shop's database, and never by its mail server.
    here.settings = msgspec.structs.replace(here.settings, home=home, database="", smtp_url="")
    steps = Steps(here, 7)
    kept = None if reset else _finished(here, size, seed)
    if kept is None:
        _clear(here.settings.home)
        kept = _make(here, steps, size, seed)
    else:
        here.say(f"the demo in {here.settings.home} is finished already (--reset makes it anew)")
    wanted = here.terminal if serve is None else serve
    data = {**kept, "seconds": round(steps.seconds, 1), "home": str(here.settings.home)}
    if not wanted:
        return Answer(data, _shown(here, data), next=_next(here, data) if here.json else [])
    from aftersale.cli.serving import open_pages

    pages = open_pages(here)
    answer = Answer(data, _shown(here, data, pages.tour(data["tour"])), warnings=here.warnings)
    show(answer, json=here.json)
    pages.serve()
    return None


def _mark_of(size: str, seed: int) -> dict[str, Any]:
    """What a finished demo must have been made with to be opened again."""
    from aftersale.adapters.folder import starter_files

    starter = blake2b(msgspec.json.encode(starter_files(), order="deterministic"), digest_size=8)
    return {"version": __version__, "size": size, "seed": seed, "starter": starter.hexdigest()}


def _finished(here: Here, size: str, seed: int) -> dict[str, Any] | None:
    """What a finished demo of this kind told, None where there is none."""
    path = here.settings.home / MARK
    try:
        kept = msgspec.json.decode(path.read_bytes())
        if kept.get("made_with") != _mark_of(size, seed) or "told" not in kept:
            return None
        here.app().store.close()
    except (OSError, msgspec.DecodeError, AftersaleError):
        return None
    told: dict[str, Any] = kept["told"]
    return told


def _clear(home: Path) -> None:
    """Remove an earlier demo; a folder that is none is left alone."""
    if not home.exists():
        return
    if any(home.iterdir()) and not (home / MARK).exists():
        raise Refusal(
            f"{home} is not the folder of a demo",
            why="a demo begins by emptying its folder",
            hint="name another folder with --home",
        )
    shutil.rmtree(home)


def _make(here: Here, steps: Steps, size: str, seed: int) -> dict[str, Any]:
    from aftersale.bootstrap import init
    from aftersale.web.census import count
    from aftersale.web.sizes import work_out

    home = here.settings.home
    home.mkdir(parents=True, exist_ok=True)
    made_with = _mark_of(size, seed)
    (home / MARK).write_bytes(msgspec.json.encode({"made_with": made_with}))
    with steps.step(f"Python {platform.python_version()}, a store in {home}"):
        app, _ = init(here.settings)
    with steps.step("Demo shop: 24 months,") as told:
        events, counted, products = _simulated(seed, SIZES[size])
        told.append(f"{SIZES[size]:,} customers, {counted['orders']:,} orders (simulated)")
    with steps.step("Taken in:") as told:
        counted |= _taken_in(app, home, products, events)
        told.append(
            f"{counted['events']:,} events, thresholds fitted, {counted['days']} days of journeys"
        )
    with steps.step("Scored:") as told:
        scored = _scored(app)
        used = [card["name"] for card in scored["cards"] if card["verdict"] == "on"]
        told.append(f"{scored['customers']:,} customers; in use: {', '.join(used)}")
    with steps.step("Backtest of the starter journeys:") as told:
        backtested = _backtested(app)
        told.append(f"{backtested['messages']:,} messages in half a year")
    with steps.step("One day of work:") as told:
        day = _last_day(app, [arrived for arrived in events if arrived[0] >= LAST_DAY])
        count(app.store, app.system_now)  # so that the first page has its numbers
        work_out(app, months=12)
        held = sum(day["held_back"].values())
        told.append(f"{day['sent']} sent to the mailbox, {held} held back")
    report = home / "report.html"
    with steps.step(f"Report: {report}"):
        _write_report(app, report)
    data = {**counted, "scored": scored, "backtest": backtested, "day": day, "tour": _tour(app)}
    data["report"] = str(report)
    app.store.close()
    (home / MARK).write_bytes(msgspec.json.encode({"made_with": made_with, "told": data}))
    return data


Arrived = tuple[Instant, "Event"]


def _simulated(seed: int, customers: int) -> tuple[list[Arrived], dict[str, int], str]:
    """The shop's events with their arrival, some counts, and its products."""
    from aftersale.events.event import read_event
    from aftersale.testing.shop import simulate

    shop = simulate(seed=seed, customers=customers, start=BEGIN, end=END)
    events = [(at, read_event(raw, source="demo")) for at, raw in shop.events()]
    counts = {
        "customers": customers,
        "orders": shop.summary.get("order.completed", 0),
        "events": len(events),
    }
    return events, counts, shop.products_csv()


def _taken_in(app: "App", home: Path, products: str, events: Sequence[Arrived]) -> dict[str, int]:
    """Deploy the shop's programme, take in history and arrivals, and work up to the last day."""
    from aftersale.adapters.folder import read_folder
    from aftersale.runtime.intake import take_in

    (home / "products.csv").write_text(products, encoding="utf-8")
    for file, old, new in _OF_THIS_SHOP:
        text = (home / file).read_text(encoding="utf-8")
        (home / file).write_text(text.replace(old, new), encoding="utf-8")
    app.deploy(read_folder(home), note="demo")
    with app.store.write() as tx:
        tx.meta.set("demo", {"until": END})
    past = [event for at, event in events if at < LIVE_FROM]
    for start in range(0, len(past), BATCH):
        with app.store.write() as tx:
            take_in(tx, past[start : start + BATCH], received_at=LIVE_FROM, history=True)
    app.worker.drive(LIVE_FROM)
    _arrived(app, [arrived for arrived in events if LIVE_FROM <= arrived[0] < LAST_DAY])
    app.worker.drive(LAST_DAY)
    return {"days": (LAST_DAY - LIVE_FROM) // DAY}


def _arrived(app: "App", events: Sequence[Arrived]) -> None:
    """Take in what arrived, each at its own instant."""
    from aftersale.runtime.intake import take_in

    for start in range(0, len(events), BATCH):
        part = events[start : start + BATCH]
        with app.store.write() as tx:
            take_in(tx, [event for _, event in part], received_at=[at for at, _ in part])


_OF_THIS_SHOP = (
    ("aftersale.toml", "Example Shop", "Lindenhof"),
    ("aftersale.toml", "shop.example", "lindenhof.example.com"),
    ("policies.yaml", "zone: UTC", "zone: Europe/Berlin"),
)


def _scored(app: "App") -> dict[str, Any]:
    from aftersale.runtime.scoring import score

    found: dict[str, Any] = msgspec.to_builtins(score(app))
    return found


def _backtested(app: "App") -> dict[str, Any]:
    from aftersale.cli.trying import summary_of
    from aftersale.runtime.backtest import Plan
    from aftersale.runtime.explaining import world_now
    from aftersale.runtime.parallel import backtest_in_parts
    from aftersale.web.report import keep_report

    with app.store.read() as tx:
        world = world_now(tx, app.worlds)
    plan = Plan(LAST_DAY - BACKTESTED, LAST_DAY)
    result = backtest_in_parts(app, world, plan, processes=2)
    keep_report(app, result, plan, world)
    times = {"from": format_instant(plan.start), "to": format_instant(plan.end)}
    return {**summary_of(result, plan, world.programme.version), **times}


def _last_day(app: "App", events: Sequence[Arrived]) -> dict[str, Any]:
    """One day with the clock driven to its end: what went out and what was held back."""
    _arrived(app, events)
    worked = app.worker.drive(END)
    with app.store.read() as tx:
        rows = tx.decisions.counts(since=LAST_DAY, until=END + 1)
        caught = tx.mailbox.total()
    held: dict[str, int] = {}
    sent: dict[str, int] = {}
    for row in rows:
        if row.kind in {"hold", "would-send"}:
            reason = row.reason if row.kind == "hold" else "holdout"
            held[reason] = held.get(reason, 0) + row.count
        elif row.kind == "send":
            sent[row.journey] = sent.get(row.journey, 0) + row.count
    return {
        "events": worked.events,
        "decisions": worked.decisions,
        "sent": worked.sends,
        "held_back": dict(sorted(held.items(), key=lambda item: (-item[1], item[0]))),
        "by_journey": dict(sorted(sent.items())),
        "in_mailbox": caught,
    }


def _write_report(app: "App", path: Path) -> None:
    from aftersale.web.report import Report, write_report

    with app.store.read() as tx:
        report = msgspec.convert(tx.meta.get("backtest"), Report)
    write_report(path, report)


def _tour(app: "App") -> dict[str, Any]:
    """What is worth looking at: the newest message that was held back, and its customer."""
    with app.store.read() as tx:
        held = tx.decisions.newest(kind="hold", limit=1)
    if not held:
        return {"customer": 1, "held": ""}
    return {"customer": held[0].customer, "held": f"{held[0].customer}-{held[0].seq}"}


def _next(here: Here, data: dict[str, Any]) -> list[str]:
    held = data["tour"]["held"]
    why = f"explain {held}" if held else "explain --customer ada"
    return [here.line(why), here.line("doctor"), here.line("serve")]


def _shown(here: Here, data: dict[str, Any], tour: Sequence[str] = ()) -> list[str | Table]:
    from aftersale.cli.trying import shown_backtest
    from aftersale.turn.words import reason_words

    day = data["day"]
    reasons = [(reason, n, reason_words(reason)) for reason, n in day["held_back"].items()]
    return [
        *shown_backtest(data["backtest"])[:-1],
        f"On {format_instant(LAST_DAY)[:10]}: {day['sent']} messages went to the mailbox.",
        Table(("journey", "sent"), list(day["by_journey"].items())),
        Table(("held back because", "times", "in words"), reasons),
        f"Ready in {data['seconds']:.0f} s. Nothing was sent to real people.",
        *tour,
        f"  Report  {data['report']}",
        f"  Next    {'  ·  '.join(_next(here, data))}",
    ]


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    command(app, "demo")(demo)
