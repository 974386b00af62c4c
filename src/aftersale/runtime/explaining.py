"""Why did this customer get this, and not that?

Decisions that were made are read; what was not considered is worked out when somebody asks, by
looking at each journey's start with the customer as it is now.
"""

from typing import Any

import msgspec

from aftersale.events.event import Entry, Ref
from aftersale.journeys.definition import Journey
from aftersale.journeys.run import Run
from aftersale.journeys.run_fields import RUN_FIELDS
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.worlds import Worlds
from aftersale.segments.reading import Reading
from aftersale.turn.programme import World
from aftersale.turn.state import State, decode
from aftersale.turn.words import Explanation, explain, moment


class Considered(msgspec.Struct, frozen=True):
    """Where a journey stands with a customer, in one sentence."""

    journey: str
    standing: str
    """running, next, begun before or not considered."""
    sentence: str
    met: tuple[tuple[str, Any, bool | None], ...] = ()
    """Terms of the start condition: text, value seen, met."""


class Told(msgspec.Struct, frozen=True):
    """Everything there is to say about one customer's decisions."""

    customer: CustomerId
    zone: str
    zone_source: str
    decisions: tuple[Explanation, ...]
    """Newest first."""
    journeys: tuple[Considered, ...]


def find_customer(tx: Transaction, words: str) -> CustomerId:
    """The customer that a person means: our id, an e-mail address, a shop id or an order."""
    from_outside = _refs(words)
    found = tx.identities.find(from_outside)
    for ref in from_outside:
        if ref in found:
            return found[ref]
    if words.isdigit() and 0 < int(words) <= tx.identities.last():
        return tx.identities.living(int(words))
    ending = tx.identities.ending(words)
    if ending:
        return ending[0]
    raise Refusal(
        f"no customer is known as {words!r}",
        hint="name an id, an e-mail address, the shop's customer id or an order number",
    )


def _refs(words: str) -> list[Ref]:
    return [
        Ref("email", words.lower()),
        Ref("customer", words),
        Ref("customer", f"/{words}"),
        Ref("order", words),
        Ref("order", f"/{words}"),
        Ref("phone", words),
        Ref("anonymous", words),
    ]


def reading_of(state: State, world: World, now: Instant) -> Reading:
    """The customer as conditions see it."""
    return world.reading(state.profile, now)


def world_now(tx: Transaction, worlds: Worlds) -> World:
    """The world in which the next turn will decide."""
    return worlds.now(tx)


def explain_customer(
    tx: Transaction, worlds: Worlds, customer: CustomerId, now: Instant, *, limit: int = 200
) -> Told:
    """Every decision about the customer, and for each journey why it is where it is."""
    world = world_now(tx, worlds)
    row = tx.states.load([customer]).get(customer)
    state = decode(row.blob) if row is not None else State()
    reading = reading_of(state, world, now)
    zone = reading.whereabouts.zone
    decisions = tx.decisions.of(customer, limit=limit)
    begun = {d.journey for d in decisions if d.kind == "start"}
    entries = [
        entry
        for entry in tx.ledger.of_customers(customer, customer)
        if entry.type in world.programme.starts
    ]
    return Told(
        customer,
        zone,
        reading.whereabouts.source,
        tuple(explain(decision, zone) for decision in decisions),
        tuple(
            _consider(journey, state, reading, entries, begun, world)
            for journey in world.programme.journeys.values()
        ),
    )


def _consider(
    journey: Journey,
    state: State,
    reading: Reading,
    entries: list[Entry],
    begun: set[str],
    world: World,
) -> Considered:
    zone = reading.whereabouts.zone
    runs = [run for run in state.runs if run.journey == journey.name]
    if runs:
        graph = world.programme.graph(journey.name, runs[0].version)
        steps = graph.steps if graph is not None else ()
        where = ", ".join(
            f"{run.key or 'the customer'} at {steps[run.step].id}"
            + (f" until {moment(run.due, zone)}" if run.due else "")
            for run in runs
            if 0 <= run.step < len(steps)
        )
        return Considered(journey.name, "running", f"Runs now: {where}.")
    if journey.start.at:
        return _dated(journey, state, reading, begun)
    if journey.name in begun:
        return Considered(journey.name, "begun before", "Ran before; nothing runs now.")
    types = journey.start.on.types if journey.start.on else ()
    mine = [entry for entry in entries if entry.type in types]
    if not mine:
        return Considered(
            journey.name,
            "not considered",
            f"Not considered: no {' or '.join(types)} was ever seen.",
        )
    last = mine[-1]
    if last.history:
        return Considered(
            journey.name,
            "not considered",
            f"Not considered: the last {last.type} ({moment(last.at, zone)}) came as history, "
            "which starts nothing.",
        )
    condition = journey.start.on.condition if journey.start.on else None
    if condition is not None:
        terms = _terms(condition, reading, last)
        return Considered(
            journey.name,
            "not considered",
            f"Not considered: the last {last.type} did not meet the condition `{condition.text}`.",
            terms,
        )
    return Considered(journey.name, "not considered", f"The last {last.type} told nothing new.")


def _dated(journey: Journey, state: State, reading: Reading, begun: set[str]) -> Considered:
    zone = reading.whereabouts.zone
    armed = state.dates.get(journey.name)
    if armed is not None and armed.at:
        return Considered(
            journey.name,
            "next",
            f"Begins on {moment(armed.at, zone)} ({journey.start.at}), if nothing moves it.",
        )
    if journey.name in begun:
        return Considered(journey.name, "begun before", "Ran before; no further date is ahead.")
    date = RUN_FIELDS[journey.start.at].read(reading)
    if date is None:
        return Considered(
            journey.name, "not considered", f"Not considered: {journey.start.at} is not known."
        )
    return Considered(
        journey.name,
        "not considered",
        f"Not considered: {journey.start.at} was {moment(int(date), zone)}, before this journey "
        "was in force; it looks only forward.",
    )


def _terms(
    condition: Any, reading: Reading, entry: Entry
) -> tuple[tuple[str, Any, bool | None], ...]:
    lines = getattr(entry.body, "lines", ()) or (None,)
    reading.look_at(entry)
    reading.line = lines[0]
    reading.run = Run("", 0, "", 0, entry.at, entry.at)
    try:
        return tuple((term.text, term.saw, term.holds) for term in condition.explain(reading))
    finally:
        reading.look_at(None)
        reading.line = reading.run = None
