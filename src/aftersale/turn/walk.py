"""How does a run go from step to step?

A run goes on until a step holds it: a wait that is not over, or a message that waits for its
slot. Waits count from the nominal instant at which the step was entered, so a late turn does not
shift a journey.
"""

from aftersale.gates.chain import judge
from aftersale.gates.standing import Contact, Intent
from aftersale.gates.verdict import Allow, Defer, Deny
from aftersale.journeys.definition import END, Branch, Exit, Journey, Send, Task, Wait
from aftersale.journeys.run import NOT_DUE, Run
from aftersale.journeys.run_fields import RUN_FIELDS
from aftersale.kernel.draw import draw
from aftersale.kernel.instants import Instant
from aftersale.kernel.zones import next_at
from aftersale.turn import slots
from aftersale.turn.course import Course
from aftersale.turn.programme import Graph
from aftersale.turn.state import Arm

_MOST_STEPS = 1000


def walk(course: Course, run: Run, graph: Graph, at: Instant) -> None:
    """Carry the run on from its present step, entered at `at`, until something holds it."""
    for _ in range(_MOST_STEPS):
        if run.step == END:
            end(course, run, "end", "")
            return
        step = graph.steps[run.step]
        run.entered_at = at
        match step:
            case Wait():
                due = _due(course, run, step, at)
                if due is None:
                    end(course, run, "exit", "no-date", step.id)
                    return
                if due == NOT_DUE or due > at:
                    run.due = due
                    return
                _leave(run, step.next)
            case Branch():
                _leave(run, _arm(course, run, step))
            case Send():
                if not offer(course, run, graph, step, at):
                    return
                _leave(run, step.next)
            case Task():
                _hand_over(course, run, graph.journey, step)
                _leave(run, step.next)
            case Exit():
                end(course, run, "exit", step.reason, step.id)
                return
    end(course, run, "exit", "endless")


def _leave(run: Run, following: int) -> None:
    run.step, run.due, run.pending, run.note = following, NOT_DUE, False, ""


def end(course: Course, run: Run, kind: str, reason: str, step: str = "") -> None:
    """Take the run out of the customer's state; that it came to its last step needs no record."""
    course.state.runs = [other for other in course.state.runs if other is not run]
    if kind != "end":
        course.decide(kind, run, step=step, reason=reason)


def go_on(course: Course, run: Run, graph: Graph, at: Instant) -> None:
    """Leave the present step for its next and walk on."""
    _leave(run, graph.steps[run.step].next)
    walk(course, run, graph, at)


def _due(course: Course, run: Run, step: Wait, at: Instant) -> Instant | None:
    """When the wait is over; NOT_DUE: when its event comes; None: its date is not known."""
    if step.until is not None:
        run.came = False
        return at + step.timeout if step.timeout else NOT_DUE
    due = at + step.delay
    if step.date:
        date = date_of(course, run, step)
        if date is None:
            return None
        due = date
    if step.minute >= 0:
        due = next_at(max(due, at), step.minute, course.reading.whereabouts.zone)
    return max(due, 1)


def date_of(course: Course, run: Run, step: Wait) -> Instant | None:
    """The date that a wait stands for, less the time before it; None where it is unknown."""
    reading = course.reading
    reading.run = run
    date = RUN_FIELDS[step.date].read(reading)
    before = RUN_FIELDS[step.before_field].read(reading) if step.before_field else step.before
    reading.run = None
    if date is None:
        return None
    return int(date) - int(before or 0)


def _arm(course: Course, run: Run, step: Branch) -> int:
    reading = course.reading
    reading.run = run
    chosen, number = step.next, len(step.arms)
    for n, (condition, first) in enumerate(step.arms):
        if condition is None or condition.met(reading):
            chosen, number = first, n
            break
    reading.run = None
    course.decide("branch", run, step=step.id, values=(number,))
    return chosen


def _hand_over(course: Course, run: Run, journey: Journey, step: Task) -> None:
    seq = course.decide("task", run, step=step.id, values=(step.name, step.owner))
    intent = Intent(
        run.journey,
        journey.lineage,
        run.version,
        run.key,
        step.id,
        run.visit,
        step.name,
        "task",
        "task",
        course.at,
        course.at + step.due,
        product=run.product,
        order=run.order,
        shop=run.shop,
        begun_at=run.started_at,
    )
    course.tasks.append((seq, intent, {"owner": step.owner, "due": course.at + step.due}))


def offer(course: Course, run: Run, graph: Graph, step: Send, at: Instant) -> bool:
    """Bring a message up for the first time; True when the run goes on at once."""
    if step.purpose in course.programme.policy.consent_purposes:
        run.pending = True
        run.due = at + step.useful
        slots.arm(course, max(at, course.now))
        return False
    return retry(course, run, graph, step)


def retry(course: Course, run: Run, graph: Graph, step: Send) -> bool:
    """Judge an order fact, which never waits for a slot; True when the run goes on."""
    if _called_off(course, run, step):
        return True
    intent = intent_of(course, run, graph.journey, step, run.entered_at)
    verdict, trace = judge(intent, course.standing(), course.programme.policy, course.now)
    match verdict:
        case Allow():
            send(course, run, intent, trace)
        case Deny(reason):
            course.decide("hold", run, step=step.id, reason=reason, values=(trace,))
        case Defer(until, reason):
            return not put_off(course, run, step, until, reason, trace)
    return True


def put_off(
    course: Course, run: Run, step: Send, until: Instant, reason: str, trace: tuple[object, ...]
) -> bool:
    """Wait for `until`, unless the message is useless by then; whether it waits."""
    useful_until = run.entered_at + step.useful
    if until >= useful_until:
        course.decide("hold", run, step=step.id, reason=reason, values=(trace, until))
        return False
    if run.note != reason:
        course.decide("defer", run, step=step.id, reason=reason, values=(trace, until))
        run.note = reason
    run.pending = True
    run.due = (
        until if step.purpose not in course.programme.policy.consent_purposes else useful_until
    )
    return True


def _called_off(course: Course, run: Run, step: Send) -> bool:
    """Whether the step's message has become needless; the decision is recorded."""
    if run.step in run.called_off:
        since = run.called_off[run.step]
        course.decide("hold", run, step=step.id, reason="called-off", values=((), since))
        return True
    if step.condition is not None:
        reading = course.reading
        reading.run = run
        met = step.condition.met(reading)
        reading.run = None
        if not met:
            course.decide("hold", run, step=step.id, reason="not-met", values=((),))
            return True
    return False


def judged(
    course: Course, run: Run, graph: Graph, step: Send
) -> tuple[Intent, tuple[object, ...]] | None:
    """At a slot: the message if every gate allows it now; else it waits on or the run goes on."""
    if _called_off(course, run, step):
        go_on(course, run, graph, course.at)
        return None
    intent = intent_of(course, run, graph.journey, step, run.entered_at)
    verdict, trace = judge(intent, course.standing(), course.programme.policy, course.now)
    match verdict:
        case Allow():
            return intent, trace
        case Deny(reason):
            course.decide("hold", run, step=step.id, reason=reason, values=(trace,))
            go_on(course, run, graph, course.at)
        case Defer(until, reason):
            if not put_off(course, run, step, until, reason, trace):
                go_on(course, run, graph, course.at)
    return None


def intent_of(course: Course, run: Run, journey: Journey, step: Send, at: Instant) -> Intent:
    """The message of a send step with the worth and evidence that the customer has now."""
    reading = course.reading
    reading.run = run
    value = step.value
    if step.value_field:
        value = float(RUN_FIELDS[step.value_field].read(reading) or 0.0)
    benefit = step.benefit
    evidence = benefit is not None and (benefit.evidence is None or benefit.evidence.met(reading))
    reading.run = None
    return Intent(
        run.journey,
        journey.lineage,
        run.version,
        run.key,
        step.id,
        run.visit,
        step.template,
        step.channel,
        step.purpose,
        at,
        at + step.useful,
        value,
        benefit.kind if benefit else "",
        evidence,
        step.helpful,
        run.product,
        run.order,
        run.shop,
        run.started_at,
    )


def side_of(course: Course, run: Run, journey: Journey) -> tuple[str, float]:
    """The customer's side of the journey's holdout, drawn at first exposure; and the draw."""
    policy = course.programme.policy
    share = policy.holdout if journey.holdout is None else journey.holdout
    number = draw(policy.seed, "holdout", journey.lineage, course.customer)
    arm = course.state.arms.get(journey.lineage)
    if arm is None:
        if not share:
            return "treated", number
        arm = Arm("holdout" if number < share else "treated", course.now)
        course.state.arms[journey.lineage] = arm
    return arm.side, number


def send(course: Course, run: Run, intent: Intent, trace: tuple[object, ...]) -> bool:
    """Let the message go, or record that it would have gone where the customer is held out."""
    graph = course.programme.graph(run.journey, run.version)
    number: float | None = None
    if graph is not None and intent.purpose in course.programme.policy.consent_purposes:
        side, drawn = side_of(course, run, graph.journey)
        number = round(drawn, 6)
        if side == "holdout":
            course.decide(
                "would-send",
                run,
                step=intent.step,
                reason="holdout",
                values=(trace, number, intent.value),
            )
            return False
    seq = course.decide("send", run, step=intent.step, values=(trace, number, intent.value))
    step = run.step
    course.intents.append((seq, intent, {"parcel": run.parcel} if run.parcel else {}))
    contacts = course.state.contacts
    oldest = course.now - course.programme.remembers
    if contacts and contacts[0].at < oldest:
        contacts[:] = [contact for contact in contacts if contact.at >= oldest]
    contacts.append(
        Contact(
            course.now,
            intent.channel,
            intent.purpose,
            run.journey,
            intent.helpful,
            run.version,
            step,
            run.order,
            run.product,
            run.parcel,
            run.started_at,
            run.came,
        )
    )
    return True
