"""What does a customer's state become when events arrive and alarms ring, and what is decided?

`advance` is the whole decision. It is pure: the same state, inputs, world and instants give the
same new state and decisions, wherever it runs: live, in a replay, a backtest or a simulation.

Order within a customer: events by position, then alarms by due instant, one at a time. With a
driven clock (`own`) each event is taken at its own arrival, so alarms due before it ring before.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from aftersale.customers.fold import fold, order_key, unite
from aftersale.events.event import Entry
from aftersale.events.vocabulary import ConsentEvent, MessageEvent
from aftersale.gates.standing import Contact, Intent
from aftersale.journeys.definition import END, Send, Wait, matches, next_remaining
from aftersale.journeys.run import NOT_DUE, Run
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.turn.arbiter import hold_slot
from aftersale.turn.course import Course
from aftersale.turn.decision import Decision
from aftersale.turn.programme import STOPS, Graph, Programme, World
from aftersale.turn.slots import is_paused
from aftersale.turn.starts import arm_dates, is_returned, start_at, start_on
from aftersale.turn.state import NOTHING, Arm, State
from aftersale.turn.walk import date_of, end, go_on, retry, walk

_MOST_ALARMS = 10_000


class Outcome(msgspec.Struct, frozen=True):
    """What one advance decided; the state was changed in place."""

    decisions: Sequence[Decision]
    intents: Sequence[tuple[int, Intent, dict[str, Any]]]
    """(number of the decision, the message, further facts of the run)."""
    tasks: Sequence[tuple[int, Intent, dict[str, Any]]]
    wakes_at: Instant | None


def advance(
    customer: CustomerId,
    state: State,
    entries: Sequence[Entry],
    world: World,
    *,
    now: Instant,
    own: bool = False,
    rings: Instant | None = None,
    woken_at: Instant | None = None,
) -> Outcome:
    """Take the entries, then let every alarm due by `rings` ring (None: by `now`; 0: none).

    `own`: the clock is driven, so every input is taken at its own instant, at most `now`; else all
    at `now`. `woken_at`: the alarm for which the store woke the customer; at that instant dates
    are read again, for the world may have changed.
    """
    until = now if rings is None else rings
    if not woken_at and _only_seen(state, entries, world.programme, max(until, now)):
        profile = state.profile
        for entry in entries:
            fold(profile, entry)
        at = min(entries[-1].received_at, now) if own else now
        state.advanced_at = max(state.advanced_at, at)
        return Outcome((), (), (), state.alarm_at or None)
    course = Course(customer, state, world)
    relevant = world.programme.relevant
    if woken_at:
        course.woken_at, course.touched = woken_at, True
    if state.programme == 0:
        # A customer that nothing was decided about yet: there is nothing to move.
        state.programme = world.programme.version
        course.dates_moved = course.touched = True
        course.stand_at(now, now, 0)
    elif state.programme != world.programme.version:
        first = _first(course, entries, now) if own else now
        course.stand_at(first, first, 0)
        _migrate(course)
        course.woken_at, course.touched = first, True
    elif not own:
        course.stand_at(now, now, 0)
    for entry in entries:
        at = max(state.advanced_at, min(entry.received_at, now)) if own else now
        if own and at > state.advanced_at > 0 and (course.touched or 0 < state.alarm_at < at):
            _ring(course, at - 1, own=True)
        state.advanced_at = at
        contacts = state.contacts
        if entry.type in relevant or (contacts and entry.at < contacts[-1].at):
            course.stand_at(entry.at, at, entry.position)
            _take(course, entry)
        else:
            fold(state.profile, entry)
            course.dates_moved |= world.programme.moves_always
            course.touched |= course.dates_moved
    if until and (course.touched or 0 < state.alarm_at <= until):
        _ring(course, until, own=own)
    if course.touched:
        _next_due(course)
    return Outcome(course.decisions, course.intents, course.tasks, state.alarm_at or None)


def _only_seen(
    state: State, entries: Sequence[Entry], programme: Programme, until: Instant
) -> bool:
    """Whether the entries change the profile and nothing else: most of what is seen does."""
    if 0 < state.alarm_at <= until or state.programme != programme.version or not entries:
        return False
    contacts, relevant = state.contacts, programme.relevant
    sent_at = contacts[-1].at if contacts else 0
    for entry in entries:
        if entry.type in relevant or entry.at < sent_at:
            return False
    return not programme.moves_always


def _first(course: Course, entries: Sequence[Entry], now: Instant) -> Instant:
    """The instant of the first input with a driven clock."""
    inputs = [course.woken_at] if course.woken_at else []
    if entries:
        inputs.append(entries[0].received_at)
    return max(course.state.advanced_at, min([*inputs, now]))


def absorb(state: State, other: State) -> None:
    """Unite the state of an absorbed customer with the survivor's, in place."""
    unite(state.profile, other.profile)
    mine = {(run.journey, run.key): run for run in state.runs}
    for run in other.runs:
        held = mine.get((run.journey, run.key))
        if held is None:
            state.runs.append(run)
        elif run.started_at < held.started_at:
            state.runs[state.runs.index(held)] = run
    state.contacts = sorted(
        {*state.contacts, *other.contacts}, key=lambda c: (c.at, c.journey, c.step)
    )
    for lineage, arm in other.arms.items():
        held_arm = state.arms.get(lineage)
        if held_arm is None:
            state.arms[lineage] = arm
        elif held_arm.side != arm.side:
            state.arms[lineage] = Arm("mixed", min(held_arm.at, arm.at))
    for memory, at in other.begun.items():
        state.begun[memory] = max(state.begun.get(memory, 0), at)
    for name, armed in other.dates.items():
        held_date = state.dates.setdefault(name, armed)
        held_date.done = max(held_date.done, armed.done)
    if other.slot_at and (not state.slot_at or other.slot_at < state.slot_at):
        state.slot_at = other.slot_at
    state.alarm_at = min(filter(None, (state.alarm_at, other.alarm_at)), default=NOTHING)


def _next_due(course: Course) -> tuple[Instant, int, Any] | None:
    """(instant, kind, what) of the earliest alarm: reading dates, runs, dates, then the slot."""
    if course.dates_moved:
        arm_dates(course)
    state, paused = course.state, course.programme.paused
    first, kind = course.woken_at, 0
    what: Run | str | None = None
    for run in state.runs:
        due = run.due
        if due and (not first or due < first) and run.journey not in paused:
            first, kind, what = due, 1, run
    for name, armed in state.dates.items():
        at = armed.at
        if at and (not first or at < first) and name not in paused:
            first, kind, what = at, 2, name
    if state.slot_at and (not first or state.slot_at < first):
        first, kind, what = state.slot_at, 3, None
    state.alarm_at = first
    return (first, kind, what) if first else None


def _ring(course: Course, until: Instant, *, own: bool) -> None:
    """Let the alarms due by `until` ring, the earliest first."""
    state = course.state
    for _ in range(_MOST_ALARMS):
        found = _next_due(course)
        course.touched = False
        if found is None or found[0] > until:
            return
        course.touched = True
        due, kind, what = found
        now = max(due, state.advanced_at) if own else course.now
        state.advanced_at = max(now, state.advanced_at)
        course.stand_at(due, now, 0)
        if kind == 0:
            course.woken_at = 0
            course.dates_moved = True
            course.reading.changed()
            _move_waits(course, None)
        elif kind == 1:
            _run_due(course, what)
        elif kind == 2:
            armed = state.dates[what]
            armed.done, armed.at = armed.at, NOTHING
            start_at(course, course.programme.journeys[what], due)
        else:
            hold_slot(course)


def _run_due(course: Course, run: Run) -> None:
    graph = course.programme.graph(run.journey, run.version)
    if graph is None or run.step == END:
        end(course, run, "exit", "no-version")
        return
    step = graph.steps[run.step]
    if isinstance(step, Send):
        _send_due(course, run, graph, step)
    else:
        go_on(course, run, graph, run.due)


def _send_due(course: Course, run: Run, graph: Graph, step: Send) -> None:
    """A put-off order fact is tried again; a marketing message has come to its end."""
    if step.purpose in course.programme.policy.consent_purposes:
        reason = run.note or "outranked"
        course.decide("hold", run, step=step.id, reason=reason, values=((), run.due))
    elif not retry(course, run, graph, step):
        return
    go_on(course, run, graph, course.at)


def _take(course: Course, entry: Entry) -> None:
    """One event: what is known, what it ends, what it moves, what it begins."""
    news = fold(course.state.profile, entry)
    kind, programme = entry.type, course.programme
    course.touched = True
    if kind in programme.moves_dates or programme.moves_always:
        course.reading.changed()
        course.dates_moved = bool(programme.dates)
    elif kind in programme.moves_waits:
        course.reading.parcels_changed()
    state = course.state
    if state.contacts and entry.at < state.contacts[-1].at:
        _late(course, entry)
    if state.runs:
        if kind in programme.watched:
            _watch(course, entry)
        if kind in STOPS:
            _stop(course)
        if kind in programme.moves_waits:
            _move_waits(course, entry)
    starts = programme.starts.get(kind)
    if starts and news and not entry.history:
        course.reading.look_at(entry)
        start_on(course, entry, starts)
        course.reading.look_at(None)


def _watch(course: Course, entry: Entry) -> None:
    """Let the live runs see the event: goals, exits, waits, and messages it makes needless."""
    kind, reading = entry.type, course.reading
    reading.look_at(entry)
    graphs, products, number = course.programme.graphs, reading.products, reading.number
    for run in list(course.state.runs):
        graph = graphs.get((run.journey, run.version))
        if graph is None or kind not in graph.watched or entry.position == run.cause:
            continue
        joined = graph.joined[kind]
        if joined and (run.product not in products if joined == "product" else run.order != number):
            continue
        reading.run = run
        if entry.at >= run.started_at and _ends(course, run, graph, entry):
            continue
        reading.run = run
        for n, unless in graph.unless.items():
            if (
                n not in run.called_off
                and entry.at >= run.started_at
                and matches(unless, kind, reading)
            ):
                run.called_off = {**run.called_off, n: entry.at}
        step = graph.steps[run.step] if run.step != END else None
        if (
            isinstance(step, Wait)
            and step.until is not None
            and not is_paused(course, run)
            and entry.at >= run.entered_at
            and matches(step.until, kind, reading)
        ):
            reading.run = None
            run.came = True
            go_on(course, run, graph, entry.at)
    reading.run = None
    reading.look_at(None)


def _ends(course: Course, run: Run, graph: Graph, entry: Entry) -> bool:
    goal = graph.journey.goal
    reading = course.reading
    if (
        goal is not None
        and entry.at <= run.started_at + goal.within
        and matches(goal.watch, entry.type, reading)
    ):
        reading.run = None
        end(course, run, "goal", "")
        return True
    if any(matches(watch, entry.type, reading) for watch in graph.journey.exits):
        reading.run = None
        end(course, run, "exit", "exit-event")
        return True
    return False


def _stop(course: Course) -> None:
    """End the runs about orders and lines that were cancelled or went back."""
    orders = course.state.profile.orders
    for run in list(course.state.runs):
        if not run.order:
            continue
        order = orders.get(run.order)
        if order is None:
            continue
        if order.cancelled_at or (run.product and run.product in order.cancelled):
            end(course, run, "exit", "cancelled")
        elif is_returned(course, run):
            end(course, run, "exit", "returned")


def _move_waits(course: Course, entry: Entry | None) -> None:
    """Read the dates again for which runs wait, and move the runs with them, both ways.

    After an event only the runs about its order, its products, or the whole customer are read.
    """
    order, about = _concerned(course, entry) if entry is not None else ("", set())
    graphs = course.programme.graphs
    for run in course.state.runs:
        own = run.product or run.order
        if entry is not None and own and run.order != order and run.product not in about:
            continue
        graph = graphs.get((run.journey, run.version))
        if graph is None or not graph.dated or run.step == END:
            continue
        if entry is not None and entry.type not in graph.moved_by:
            continue
        step = graph.steps[run.step]
        if not isinstance(step, Wait) or not step.date:
            continue
        date = date_of(course, run, step)
        if date is None:
            continue
        due = max(date, 1)
        if due != run.due:
            course.decide("wait", run, step=step.id, reason="moved", values=(run.due, due))
            run.due, course.touched = due, True


def _concerned(course: Course, entry: Entry) -> tuple[str, set[str]]:
    """The order and the products that the event speaks of."""
    body = entry.body
    number = getattr(body, "order", "")
    key = order_key(entry.shop, number) if number else ""
    order = course.state.profile.orders.get(key)
    lines = (*getattr(body, "lines", ()), *(order.lines if order else ()))
    return key, {line.product for line in lines}


def _late(course: Course, entry: Entry) -> None:
    """Count the messages that would not have gone had this event been known in time."""
    body, kind = entry.body, entry.type
    withdrawn = ""
    if kind == "consent.withdrawn" and isinstance(body, ConsentEvent):
        withdrawn = f"{body.channel}/{body.purpose}"
    elif kind == "message.unsubscribed" and isinstance(body, MessageEvent):
        withdrawn = f"{body.channel}/{body.kind or 'marketing'}"
    for contact in course.state.contacts:
        if contact.at - entry.at < course.programme.policy.late_after:
            continue
        if withdrawn:
            against = withdrawn == f"{contact.channel}/{contact.purpose}"
        else:
            against = entry.at >= contact.started_at and _against(course, contact, entry)
        if against:
            run = _as_run(contact)
            course.decide("late", run, reason="before-we-knew", values=(contact.at, entry.at))


def _against(course: Course, contact: Contact, entry: Entry) -> bool:
    graph = course.programme.graph(contact.journey, contact.version)
    if graph is None or entry.type not in graph.watched:
        return False
    unless = graph.unless.get(contact.step)
    if unless is None:
        return False
    reading = course.reading
    reading.look_at(entry)
    reading.run = _as_run(contact)
    found = matches(unless, entry.type, reading)
    reading.run = None
    reading.look_at(None)
    return found


def _as_run(contact: Contact) -> Run:
    return Run(
        contact.journey,
        contact.version,
        contact.order or contact.product,
        contact.step,
        contact.at,
        contact.started_at,
        order=contact.order,
        product=contact.product,
        parcel=contact.parcel,
        came=contact.came,
    )


def _migrate(course: Course) -> None:
    """The programme changed: move the runs whose journey says so to its new version."""
    state, programme = course.state, course.programme
    state.programme = programme.version
    for run in list(state.runs):
        current = programme.journeys.get(run.journey)
        if current is None or current.version == run.version or current.in_flight != "migrate":
            continue
        old = programme.graph(run.journey, run.version)
        new = programme.graph(current.name, current.version)
        if old is None or new is None:
            continue
        place = next_remaining(old.journey, run.step, current)
        same = place != END and old.steps[run.step].id == current.steps[place].id
        course.decide("wait", run, reason="migrated", values=(run.version, current.version))
        run.version = current.version
        if same:
            run.step = place
            _remeasure(course, run, new)
        else:
            run.step, run.due, run.pending, run.called_off = place, NOT_DUE, False, {}
            walk(course, run, new, course.now)


def _remeasure(course: Course, run: Run, graph: Graph) -> None:
    """A run that stays at its step waits as long as the new version says."""
    step = graph.steps[run.step]
    run.called_off = {}
    if isinstance(step, Wait) and step.until is None and not step.date and step.minute < 0:
        run.due = run.entered_at + step.delay
    elif isinstance(step, Send) and run.pending:
        run.due = run.entered_at + step.useful
