"""Which journeys does an event or a date begin for this customer?"""

from collections.abc import Iterator
from typing import Any

from aftersale.customers.fold import order_key
from aftersale.customers.profile import NEVER
from aftersale.events.event import Entry
from aftersale.events.vocabulary import Line
from aftersale.journeys.definition import Journey, Start
from aftersale.journeys.run import Run
from aftersale.journeys.run_fields import RUN_FIELDS
from aftersale.kernel.instants import Instant
from aftersale.turn.course import Course
from aftersale.turn.state import KEPT_BEGUN, Armed
from aftersale.turn.walk import end, walk


def start_on(course: Course, entry: Entry, journeys: tuple[Journey, ...]) -> None:
    """Begin the runs that this event begins."""
    reading = course.reading
    for journey in journeys:
        start = journey.start
        for run, line in _candidates(course, journey, entry):
            reading.line, reading.run = line, run
            condition = start.on.condition if start.on else None
            met = condition is None or condition.met(reading)
            reading.line = reading.run = None
            if not met:
                continue
            if course.now - entry.at > start.fresh:
                course.decide("refuse", run, reason="stale", values=(start.fresh,))
                continue
            _begin(course, journey, run)


def _candidates(
    course: Course, journey: Journey, entry: Entry
) -> Iterator[tuple[Run, Line | None]]:
    """The runs that could begin, one for each thing that the event tells of."""
    body = entry.body
    number = getattr(body, "order", "")
    order = order_key(entry.shop, number) if number else ""

    def run(key: str, product: str = "", parcel: str = "") -> Run:
        return Run(
            journey.name,
            journey.version,
            key,
            journey.first,
            entry.at,
            entry.at,
            order=order,
            product=product,
            parcel=parcel,
            shop=entry.shop,
            cause=entry.position,
        )

    if journey.key:
        value: Any = getattr(body, journey.key.removeprefix("event."), None)
        if value is not None and value != "":
            yield run(str(value), getattr(body, "product", "")), None
        return
    match journey.about:
        case "customer":
            yield run("", getattr(body, "product", "")), None
        case "order" if order:
            yield run(order), None
        case "parcel" if order:
            parcel = getattr(body, "parcel", "")
            yield run(f"{order}#{parcel}", parcel=parcel), None
        case "product":
            known = course.state.profile.orders.get(order)
            lines = getattr(body, "lines", ()) or (known.lines if known else ())
            for line in {line.product: line for line in lines}.values():
                yield run(line.product, line.product), line
            alone = str(getattr(body, "product", ""))
            if not lines and alone:
                yield run(alone, alone), None
        case _:
            pass


def start_at(course: Course, journey: Journey, date: Instant) -> None:
    """Begin the run of a date that has come."""
    run = Run(journey.name, journey.version, "", journey.first, date, date)
    condition = journey.start.condition
    if condition is not None:
        course.reading.run = run
        met = condition.met(course.reading)
        course.reading.run = None
        if not met:
            return
    _begin(course, journey, run)


def _begin(course: Course, journey: Journey, run: Run) -> None:
    state = course.state
    if journey.paused:
        course.decide("refuse", run, reason="paused")
        return
    gone = _gone(course, journey, run)
    if gone:
        course.decide("refuse", run, reason=gone)
        return
    memory = ""
    if journey.reentry is None or journey.reentry:
        memory = f"{journey.name}:{run.key}"
        last = state.begun.get(memory)
        if last is not None and (
            journey.reentry is None or run.started_at < last + journey.reentry
        ):
            course.decide("refuse", run, reason="re-entry", values=(last,))
            return
    reason = ""
    for other in state.runs:
        if other.journey == journey.name and other.key == run.key:
            if journey.about != "product" or run.started_at < other.started_at:
                course.decide("refuse", run, reason="running")
                return
            state.runs = [r for r in state.runs if r is not other]
            reason, run.visit = "moved", other.visit + 1
            break
    else:
        if len(state.runs) >= course.programme.policy.live_runs and not _make_room(course, run):
            course.decide("refuse", run, reason="too-many-runs")
            return
    if memory:
        state.begun[memory] = run.started_at
        if len(state.begun) > KEPT_BEGUN:
            del state.begun[min(state.begun, key=lambda name: (state.begun[name], name))]
    state.runs.append(run)
    course.touched = True
    course.decide("start", run, reason=reason)
    graph = course.programme.graph(run.journey, run.version)
    if graph is not None:
        walk(course, run, graph, run.started_at)


def _gone(course: Course, journey: Journey, run: Run) -> str:
    """Why a run about this order or product makes no sense any more, or nothing."""
    order = course.state.profile.orders.get(run.order) if run.order else None
    if order is None or journey.about == "customer":
        return ""
    if order.cancelled_at != NEVER or (run.product and run.product in order.cancelled):
        return "cancelled"
    return "returned" if is_returned(course, run) else ""


def is_returned(course: Course, run: Run) -> bool:
    """Whether what the run is about went back: the product's line, or the whole order."""
    profile = course.state.profile
    if not profile.returns:
        return False
    order = profile.orders.get(run.order)
    if order is None or order.at == NEVER:
        return False
    kept = next((p for p in course.reading.bought.kept if p.key == run.order), None)
    if kept is None:
        return bool(order.lines)
    if not run.product:
        return False
    return not any(line.product == run.product for line in kept.lines)


def _make_room(course: Course, run: Run) -> bool:
    """Give up the least valuable run for a more valuable one; False where none is."""

    def worth(other: Run) -> float:
        graph = course.programme.graph(other.journey, other.version)
        return graph.worth if graph is not None else 0.0

    least = min(course.state.runs, key=lambda other: (worth(other), -other.started_at))
    if worth(least) >= worth(run):
        return False
    end(course, least, "exit", "displaced")
    return True


def arm_dates(course: Course) -> None:
    """Set, move or drop the alarms of the journeys that start at a date."""
    course.dates_moved, course.touched = False, True
    state = course.state
    for journey in course.programme.dates:
        date = date_of(course, journey.start)
        armed = state.dates.get(journey.name)
        since = course.world.since.get(journey.lineage, 0)
        if date is None or date <= since or (armed is not None and date == armed.done):
            if armed is not None:
                armed.at = 0
            continue
        if armed is None:
            armed = state.dates[journey.name] = Armed()
        armed.at = date
    if len(state.dates) > len(course.programme.dates):
        named = {journey.name for journey in course.programme.dates}
        for name in [name for name in state.dates if name not in named]:
            del state.dates[name]


def date_of(course: Course, start: Start) -> Instant | None:
    """The date of a journey that starts at one, as it is known now."""
    value = RUN_FIELDS[start.at].read(course.reading)
    return None if value is None else int(value)
