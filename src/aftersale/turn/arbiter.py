"""Which of the messages that wait is worth the customer's attention?

At a slot all that wait are judged afresh and ranked together. The best that every gate allows
goes, then the rest is judged again with that one counted. Losers stay until they are no longer
useful, then drop with the reason.
"""

from aftersale.gates.standing import Intent
from aftersale.journeys.definition import Send
from aftersale.journeys.run import Run
from aftersale.kernel.instants import MINUTE
from aftersale.turn.course import Course
from aftersale.turn.programme import Graph
from aftersale.turn.slots import is_paused, next_slot
from aftersale.turn.state import NOTHING
from aftersale.turn.walk import go_on, judged, send

_LOOKED_BACK = 10


def hold_slot(course: Course) -> None:
    """The slot has come: judge all that wait, let the best go, set the next slot for the rest."""
    state = course.state
    state.slot_at = NOTHING
    waiting = _waiting(course)
    while waiting:
        allowed: list[tuple[Run, Graph, Intent, tuple[object, ...]]] = []
        for run, graph, step in waiting:
            found = judged(course, run, graph, step)
            if found is not None:
                allowed.append((run, graph, *found))
        if not allowed:
            break
        best = allowed[0]
        if len(allowed) > 1:
            best = min(allowed, key=lambda row: _rank(course, row[2]))
        run, graph, intent, trace = best
        send(course, run, intent, trace)
        go_on(course, run, graph, course.at)
        left = {id(row[0]) for row in allowed if row[0] is not run}
        waiting = [row for row in waiting if id(row[0]) in left]
    if any(run.pending for run in state.runs) and state.slot_at == NOTHING:
        state.slot_at = next_slot(course, max(course.at, course.now) + MINUTE)


def _waiting(course: Course) -> list[tuple[Run, Graph, Send]]:
    found = []
    purposes = course.programme.policy.consent_purposes
    for run in course.state.runs:
        if not run.pending or is_paused(course, run):
            continue
        graph = course.programme.graph(run.journey, run.version)
        if graph is None:
            continue
        step = graph.steps[run.step]
        if isinstance(step, Send) and step.purpose in purposes:
            found.append((run, graph, step))
    return found


def _rank(course: Course, intent: Intent) -> tuple[bool, float, str, str]:
    """Lowest first: helpful content while it is below its share, then worth, then name."""
    recent = [
        contact.helpful
        for contact in course.state.contacts
        if contact.purpose in course.programme.policy.consent_purposes
    ][-_LOOKED_BACK:]
    share = sum(recent) / len(recent) if recent else 0.0
    due = intent.helpful and share < course.programme.policy.helpful_share
    return (not due, -intent.value, intent.journey, intent.run)
