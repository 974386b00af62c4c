"""How many events a second can one core decide about?

`decide`: states live in memory, one `advance` an event, each at its own arrival, so the alarms
due before it ring before it. `decide-encoded`: a turn of 2,000 events decodes the state of each
customer, advances it and encodes it, as a worker does, without a store.

Both first let the shop run for some months, not timed, so that journeys are under way.

What an event costs hangs on how many events are orders, for orders make decisions. So each is
measured twice: with people who mostly look around, and (`-buying`) with one order in ten events.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from aftersale.adapters.folder import starter_files
from aftersale.events.event import Entry
from aftersale.programme.load import compile_programme
from aftersale.turn.advance import Outcome, advance
from aftersale.turn.programme import World
from aftersale.turn.state import State, bounded, decode, encode
from aftersale.turn.together import Cut, advance_together
from benchmarks.events import START, Crowd, Shop, entry_of, products_csv, regulars
from benchmarks.figures import Clock, mebibytes, peak_memory, spread, told

WARM_DAYS = 150
EVENTS_OF_ONE, BUYING_EVENTS_OF_ONE = 1600, 180
"""Events of one customer in the timed part, about a year."""
FEWEST = 40
"""Customers of a small measurement: fewer would say nothing about live runs."""
BATCH = 2_000
LOOKS = 5
"""How often during the timed part the live runs are counted."""


class Tally(msgspec.Struct):
    """What was decided."""

    orders: int = 0
    decisions: int = 0
    sends: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.decisions += len(outcome.decisions)
        self.sends += len(outcome.intents)


def files() -> dict[str, str]:
    """The starter programme with the catalogue of the simulated shop."""
    return {**starter_files(), "products.csv": products_csv()}


def starter_world() -> World:
    """The starter programme in force since the first day."""
    programme = compile_programme(files(), version=1).programme
    since = {journey.lineage: START for journey in programme.journeys.values()}
    return World(programme, programme.catalogue, since=since)


def buyers(customers: int) -> Crowd:
    """People of whose events one in ten is an order: no visits besides those around an order."""
    return Crowd(customers)


def days(crowd: Crowd) -> Iterator[list[Entry]]:
    """The shop's events, day by day."""
    for day in Shop(crowd).days():
        yield [entry_of(happening) for happening in day]


def decide(
    events: int,
    *,
    name: str = "decide",
    crowd: Callable[[int], Crowd] = regulars,
    events_of_one: int = EVENTS_OF_ONE,
    target: float = 100_000,
) -> None:
    """One `advance` an event on states in memory."""
    customers = max(events // events_of_one, FEWEST)
    world = starter_world()
    states = [State() for _ in range(customers + 1)]
    clock, tally, cold = Clock(), Tally(), Tally()
    done = 0
    rates: list[float] = []
    live: list[dict[str, int]] = []
    beside: list[int] = []
    for n, day in enumerate(days(crowd(customers))):
        warm = n < WARM_DAYS
        entries = day if warm else day[: events - done]
        lap, counted = Clock(), cold if warm else tally
        with lap.running():
            for entry in entries:
                customer, at = entry.customer, entry.received_at
                outcome = advance(customer, states[customer], (entry,), world, now=at, own=True)
                if outcome.decisions:
                    counted.add(outcome)
        if warm:
            continue
        clock.seconds += lap.seconds
        clock.cpu_seconds += lap.cpu_seconds
        done += len(entries)
        tally.orders += sum(entry.type == "order.completed" for entry in entries)
        if n % 20 == 0:
            beside += [len(states[entry.customer].runs) for entry in entries]
        if entries:
            rates.append(len(entries) / lap.seconds)
        if done * LOOKS // events > len(live):
            live.append(spread([len(state.runs) for state in states[1:]]))
        if done >= events:
            break
    told(
        name,
        done / clock.seconds,
        "events/s",
        target=target,
        per_cpu_second=done / clock.cpu_seconds,
        median_of_days=sorted(rates)[len(rates) // 2],
        seconds=clock.seconds,
        cpu_seconds=clock.cpu_seconds,
        events=done,
        customers=customers,
        days=len(rates),
        **_decided(tally, done),
        live_runs=live,
        live_runs_of_who_acts=spread(beside),
        state_bytes=spread([len(encode(state)) for state in states[1:]]),
        peak_mib=mebibytes(peak_memory()),
        durability="none",
    )


def decide_encoded(
    events: int,
    *,
    name: str = "decide-encoded",
    crowd: Callable[[int], Crowd] = regulars,
    events_of_one: int = EVENTS_OF_ONE,
    target: float = 50_000,
) -> None:
    """A turn of 2,000 events: each customer decoded, advanced and encoded once."""
    customers = max(events // events_of_one, FEWEST)
    world = starter_world()
    blobs: dict[int, bytes] = {}

    def load(customer: int) -> State:
        blob = blobs.get(customer)
        return decode(blob) if blob is not None else State()

    clock, tally, cold = Clock(), Tally(), Tally()
    done = touched = turns = 0
    for warm, batch in _batches(crowd(customers)):
        entries = batch if warm else batch[: events - done]
        cut = Cut(entries[-1].received_at, own=True, rings=entries[-1].received_at - 1)
        lap, counted = Clock(), cold if warm else tally
        with lap.running():
            for customer, state, outcomes in advance_together(load, entries, world, cut):
                if state is not None:
                    blobs[customer] = bounded(state)
                for outcome in outcomes:
                    counted.add(outcome)
                touched += not warm
        if warm:
            continue
        clock.seconds += lap.seconds
        clock.cpu_seconds += lap.cpu_seconds
        done += len(entries)
        tally.orders += sum(entry.type == "order.completed" for entry in entries)
        turns += 1
        if done >= events:
            break
    told(
        name,
        done / clock.seconds,
        "events/s",
        target=target,
        per_cpu_second=done / clock.cpu_seconds,
        seconds=clock.seconds,
        cpu_seconds=clock.cpu_seconds,
        events=done,
        customers=customers,
        customers_a_turn=touched / turns,
        **_decided(tally, done),
        live_runs=spread([len(decode(blob).runs) for blob in blobs.values()]),
        state_bytes=spread([len(blob) for blob in blobs.values()]),
        peak_mib=mebibytes(peak_memory()),
        durability="none",
    )


def _batches(crowd: Crowd) -> Iterator[tuple[bool, list[Entry]]]:
    """Batches in order, and whether each still belongs to the months before."""
    batch: list[Entry] = []
    for n, day in enumerate(days(crowd)):
        if n == WARM_DAYS and batch:
            yield True, batch
            batch = []
        for entry in day:
            batch.append(entry)
            if len(batch) == BATCH:
                yield n < WARM_DAYS, batch
                batch = []


def _decided(tally: Tally, events: int) -> Mapping[str, Any]:
    return {
        "share_of_orders": tally.orders / events,
        "decisions": tally.decisions,
        "sends": tally.sends,
        "decisions_per_event": tally.decisions / events,
    }
