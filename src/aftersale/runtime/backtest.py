"""What would this programme have said in the merchant's own past?

Events are read by event time and each is taken at its own instant; thresholds are those that
could be known then. It is the code that runs live. What it cannot tell is said with the result.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec

from aftersale.customers.fold import fold
from aftersale.customers.profile import Profile
from aftersale.events.event import Entry
from aftersale.events.vocabulary import CalibrationFitted, MessageEvent
from aftersale.gates.chain import NAMES
from aftersale.gates.standing import is_key
from aftersale.kernel.draw import draw
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import DAY, HOUR, WEEK, Instant, parse_instant
from aftersale.models import calibration
from aftersale.models.calibration import Calibration
from aftersale.models.fit import Fitting
from aftersale.programme.ports import Transaction
from aftersale.runtime.digest import mark
from aftersale.turn.advance import Outcome, advance
from aftersale.turn.decision import Decision
from aftersale.turn.programme import SCORED, World
from aftersale.turn.state import State

CANNOT_TELL = (
    "Nobody reacts in a replay: it does not show what the messages would have brought.",
    "Runs that began before the period are not in it.",
    "Stock, budgets and other channels as they were then are not known.",
)

SCORE_EVERY = 4 * WEEK
"""How often a backtest has everybody scored anew. A shop does it every night, which here would
take as long as all nights together."""

HALF_YEAR = 182 * DAY
REACTIONS = ("none", "recorded", "drawn")
TOLD_EVERY = 500
"""Customers after which is told how many were read."""
OPEN_RATE, CLICK_RATE = 0.35, 0.05
"""Of drawn reactions, where the merchant's own history has too few messages."""


class Plan(msgspec.Struct, frozen=True):
    """What is asked of a backtest."""

    start: Instant
    end: Instant
    reactions: str = "none"
    """none, recorded (only to the send with the same key) or drawn."""
    calibrations: str = "refitted"
    """refitted on schedule, or recorded: those that the log holds. Scores likewise."""
    keep: int = 20
    """Sample paths that are kept."""


class JourneyCount(msgspec.Struct):
    """What one journey would have done."""

    people: int = 0
    runs: int = 0
    messages: int = 0
    held_back: dict[str, int] = {}
    held_out: int = 0
    steps: dict[str, dict[str, int]] = {}
    """Step, empty for the start of runs → kind of decision → how many."""


class Backtested(msgspec.Struct):
    """The result; sums over customers, so parts can be added."""

    people: int = 0
    """Customers who would have got at least one message."""
    customers: int = 0
    messages: int = 0
    decisions: int = 0
    held_back: dict[str, int] = {}
    consent_alone: int = 0
    """Messages that nothing but the missing consent held back."""
    journeys: dict[str, JourneyCount] = {}
    per_day: dict[int, int] = {}
    """Days since 1970-01-01 UTC → messages."""
    per_hour: dict[str, dict[int, int]] = {}
    """Journey → hours since 1970-01-01 UTC → messages."""
    per_person_week: dict[int, int] = {}
    """Messages in a customer's week → how many such weeks, weeks with none left out."""
    samples: dict[int, list[Decision]] = {}
    marks: dict[int, bytes] = {}
    """Customer → marks of its decisions, for the digest."""
    digest: str = ""

    @property
    def busiest_hour(self) -> dict[str, int]:
        """Journey → the most messages that it would have sent within one hour."""
        return {journey: max(hours.values()) for journey, hours in self.per_hour.items()}

    def weeks(self, plan: Plan) -> float:
        """Length of the period in weeks."""
        return max((plan.end - plan.start) / WEEK, 1e-9)


def plan_of(tx: Transaction, start: str, end: str, reactions: str = "none") -> Plan:
    """What is asked with two dates; empty: half a year, up to the newest event."""
    newest = tx.ledger.newest_at()
    if newest is None:
        raise Refusal("there is no past to play", hint="aftersale import orders FILE --map MAPPING")
    until = parse_instant(end, zone="UTC") if end else newest + 1
    since = parse_instant(start, zone="UTC") if start else until - HALF_YEAR
    if since >= until:
        raise Refusal("the period ends before it begins", where="--from, --to", code=2)
    return Plan(since, until, reactions=reactions)


def calibrations_known(
    tx: Transaction,
    world: World,
    plan: Plan,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[Instant, Calibration]]:
    """The calibrations and from when each was known, the first before the period.

    `progress`: takes the customers that were read, and how many there are.
    """
    if plan.calibrations == "recorded":
        found = [(0, Calibration())]
        found += [
            (entry.at, calibration.decode(bytes(entry.body.tables)))
            for entry in tx.ledger.everybodys("calibration.fitted")
            if isinstance(entry.body, CalibrationFitted)
        ]
        return found
    every = world.programme.policy.calibrate_every
    instants = [plan.start]
    while instants[-1] + every < plan.end:
        instants.append(instants[-1] + every)
    fittings = [Fitting(world.catalogue, at) for at in instants]
    last = tx.identities.last()
    for customer, entries in _by_customer(tx.ledger.of_customers(1, last, until=instants[-1])):
        profile, n = Profile(), 0
        if customer % TOLD_EVERY == 0:
            progress(customer, last)
        for entry in entries:
            while n < len(instants) and entry.at > instants[n]:
                fittings[n].add(profile)
                n += 1
            fold(profile, entry)
        for fitting in fittings[n:]:
            fitting.add(profile)
    return [
        (at, fitting.fitted(f"backtest:{at}"))
        for at, fitting in zip(instants, fittings, strict=True)
    ]


def _by_customer(entries: Iterable[Entry]) -> Iterator[tuple[CustomerId, list[Entry]]]:
    for customer, group in groupby(entries, key=attrgetter("customer")):
        if customer:
            yield customer, list(group)


def backtest(
    tx: Transaction,
    world: World,
    plan: Plan,
    known: Sequence[tuple[Instant, Calibration]],
    *,
    scored: Mapping[CustomerId, Sequence[Entry]] | None = None,
    first: CustomerId = 1,
    last: CustomerId | None = None,
) -> Backtested:
    """The customers first..last through the period; parts of one plan can be added up.

    `scored`: what models would have told of each customer (None: what they told is in the log).
    """
    result = Backtested()
    since = dict.fromkeys((j.lineage for j in world.programme.journeys.values()), plan.start)
    worlds = [
        (at, msgspec.structs.replace(world, calibration=fitted, since=since))
        for at, fitted in known
    ]
    highest = last if last is not None else tx.identities.last()
    entries = tx.ledger.of_customers(first, highest, until=plan.end)
    for customer, told in _by_customer(entries):
        mine = told if scored is None else with_scores(told, scored.get(customer, ()))
        outcomes = play(customer, mine, worlds, plan)
        _count(result, customer, outcomes, plan)
    result.digest = _digest(result)
    return result


def with_scores(entries: Iterable[Entry], scored: Iterable[Entry]) -> list[Entry]:
    """The entries with these scores in the place of those that were told, by time."""
    own = [entry for entry in entries if entry.type != SCORED]
    return sorted([*own, *scored], key=lambda entry: entry.at)


def scoring_instants(plan: Plan) -> list[Instant]:
    """When scores are told: just before the period, so that nothing starts on it, and then on."""
    return [plan.start - 1, *range(plan.start + SCORE_EVERY, plan.end, SCORE_EVERY)]


def play(
    customer: CustomerId,
    entries: Sequence[Entry],
    worlds: Sequence[tuple[Instant, World]],
    plan: Plan,
) -> list[Outcome]:
    """One customer through the period, under each calibration while it was the newest."""
    state = State()
    past = [msgspec.structs.replace(e, history=True) for e in entries if e.at < plan.start]
    future = [e for e in entries if plan.start <= e.at < plan.end]
    if plan.reactions != "recorded":
        future = [e for e in future if not _is_reaction(e)]
    outcomes: list[Outcome] = []
    world = worlds[0][1]
    for at, other in worlds:
        if at <= plan.start:
            world = other
    if past:
        outcomes.append(advance(customer, state, past, world, now=plan.start, own=False, rings=0))
    changes = [(at, other) for at, other in worlds if plan.start < at < plan.end]
    start = plan.start
    for until, following in [*changes, (plan.end, world)]:
        outcomes += _span(customer, state, future, world, (start, until), plan)
        start, world = until, following
    return outcomes


def _span(
    customer: CustomerId,
    state: State,
    entries: Sequence[Entry],
    world: World,
    span: tuple[Instant, Instant],
    plan: Plan,
) -> list[Outcome]:
    start, until = span
    inputs = [
        msgspec.structs.replace(e, received_at=e.at, history=False)
        for e in entries
        if start <= e.at < until
    ]
    if plan.reactions == "none":
        return [
            advance(
                customer,
                state,
                inputs,
                world,
                now=until - 1,
                own=True,
                rings=until - 1,
                woken_at=start,
            )
        ]
    # A reaction is taken only if its message was sent in this very backtest, so the span is
    # played from reaction to reaction.
    outcomes: list[Outcome] = []
    sent: set[str] = set()
    pending = list(inputs)
    woken: Instant | None = start
    while True:
        drawn = [e for e in pending if _is_reaction(e)]
        stop = min((e.at for e in drawn), default=until)
        batch = [e for e in pending if e.at <= stop and not _is_reaction(e)]
        here = [e for e in drawn if e.at == stop and _of_us(e) in sent]
        outcome = advance(
            customer,
            state,
            sorted([*batch, *here], key=lambda e: e.at),
            world,
            now=min(stop, until - 1),
            own=True,
            rings=min(stop, until) - 1,
            woken_at=woken,
        )
        woken = None
        outcomes.append(outcome)
        new = {intent.key(customer) for _, intent, _ in outcome.intents}
        sent |= new
        pending = [e for e in pending if e.at > stop]
        if plan.reactions == "drawn":
            pending = sorted(
                [*pending, *_drawn(customer, outcome)], key=lambda e: (e.at, e.position)
            )
        if stop >= until:
            return outcomes


def _is_reaction(entry: Entry) -> bool:
    return isinstance(entry.body, MessageEvent) and is_key(entry.body.message)


def _of_us(entry: Entry) -> str:
    return entry.body.message if isinstance(entry.body, MessageEvent) else ""


def _drawn(customer: CustomerId, outcome: Outcome) -> list[Entry]:
    """Opens and clicks as a draw gives them, some hours after the message."""
    made = {decision.seq: decision for decision in outcome.decisions}
    found = []
    for seq, intent, _ in outcome.intents:
        key = intent.key(customer)
        for kind, rate in (("message.opened", OPEN_RATE), ("message.clicked", CLICK_RATE)):
            if draw("reaction", kind, key) < rate:
                at = made[seq].now + round(draw("delay", kind, key) * 24 * HOUR) + 1
                body = MessageEvent(message=key, channel=intent.channel)
                found.append(Entry(0, customer, kind, at, at, body, source="drawn"))
    return found


def _count(
    result: Backtested,
    customer: CustomerId,
    outcomes: Sequence[Outcome],
    plan: Plan,
) -> None:
    result.customers += 1
    decisions = [decision for outcome in outcomes for decision in outcome.decisions]
    if not decisions:
        return
    result.decisions += len(decisions)
    result.marks[customer] = b"".join(mark(decision) for decision in decisions)
    weeks: Counter[int] = Counter()
    seen: set[str] = set()
    for decision in decisions:
        journey = result.journeys.setdefault(decision.journey, JourneyCount())
        if not (decision.kind == "start" and decision.reason == "moved"):
            _add(journey.steps.setdefault(decision.step, {}), decision.kind)
        match decision.kind:
            case "start":
                journey.runs += 1
                if decision.journey not in seen:
                    seen.add(decision.journey)
                    journey.people += 1
            case "send":
                journey.messages += 1
                result.messages += 1
                day = decision.now // (24 * HOUR)
                result.per_day[day] = result.per_day.get(day, 0) + 1
                weeks[decision.now // WEEK] += 1
                _add(result.per_hour.setdefault(decision.journey, {}), decision.now // HOUR)
            case "hold":
                _add(journey.held_back, decision.reason)
                _add(result.held_back, decision.reason)
                result.consent_alone += _consent_alone(decision)
            case "would-send":
                journey.held_out += 1
                _add(result.held_back, "holdout")
            case _:
                pass
    if weeks:
        result.people += 1
        for number in weeks.values():
            _add(result.per_person_week, number)
        if len(result.samples) < plan.keep:
            result.samples[customer] = decisions


def _consent_alone(decision: Decision) -> bool:
    """Whether every other gate would have allowed the message."""
    if decision.reason not in {"no-consent", "consent-withdrawn"} or not decision.values:
        return False
    others = [
        row for name, row in zip(NAMES, decision.values[0], strict=False) if name != "consent"
    ]
    return all(row[0] == 0 for row in others)


def _add(counts: dict[Any, int], key: Any, number: int = 1) -> None:
    counts[key] = counts.get(key, 0) + number


def _digest(result: Backtested) -> str:
    """The digest of all decisions by customer; recomputed when parts are added."""
    whole = sha256()
    for customer in sorted(result.marks):
        whole.update(result.marks[customer])
    return whole.hexdigest()


def added(parts: Iterable[Backtested], keep: int = 20) -> Backtested:
    """The sum of the parts of one backtest; `keep` of its plan."""
    total = Backtested()
    for part in parts:
        for name in ("people", "customers", "messages", "decisions", "consent_alone"):
            setattr(total, name, getattr(total, name) + getattr(part, name))
        for name in ("held_back", "per_day", "per_person_week"):
            for key, number in getattr(part, name).items():
                _add(getattr(total, name), key, number)
        for name, hours in part.per_hour.items():
            for key, number in hours.items():
                _add(total.per_hour.setdefault(name, {}), key, number)
        for name, counts in part.journeys.items():
            mine = total.journeys.setdefault(name, JourneyCount())
            for field in ("people", "runs", "messages", "held_out"):
                setattr(mine, field, getattr(mine, field) + getattr(counts, field))
            for reason, number in counts.held_back.items():
                _add(mine.held_back, reason, number)
            for step, kinds in counts.steps.items():
                for kind, number in kinds.items():
                    _add(mine.steps.setdefault(step, {}), kind, number)
        total.samples.update(part.samples)
        total.marks.update(part.marks)
    total.samples = dict(sorted(total.samples.items())[:keep])
    total.digest = _digest(total)
    return total
