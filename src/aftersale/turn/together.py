"""How are the customers of one turn advanced, when some of them turn out to be one person?

Customers are independent of each other until a merge. A merge takes its place among the events
by position: what came before it was decided for two, what comes after for one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from aftersale.events.event import Entry
from aftersale.events.vocabulary import CustomerMerged
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.turn.advance import Outcome, absorb, advance
from aftersale.turn.programme import World
from aftersale.turn.state import State


class Cut(msgspec.Struct, frozen=True):
    """How the inputs of a turn are taken; see `TurnRecord`."""

    now: Instant
    own: bool
    rings: Instant
    woken: Mapping[CustomerId, Instant] = {}


def advance_together(
    load: Callable[[CustomerId], State],
    entries: Sequence[Entry],
    world: World,
    cut: Cut,
) -> Iterable[tuple[CustomerId, State | None, list[Outcome]]]:
    """Advance everybody whom the entries concern or an alarm woke.

    Yields each customer with its new state (None: it was absorbed) and what was decided. `load`
    gives the state of a customer before the turn, a fresh one where it has none.
    """
    groups: dict[CustomerId, list[Entry]] = {}
    merged = False
    for entry in entries:
        if entry.customer:
            groups.setdefault(entry.customer, []).append(entry)
            merged = merged or entry.type == "customer.merged"
    for customer in cut.woken:
        groups.setdefault(customer, [])
    linked: set[CustomerId] = set()
    if merged:
        yield from _linked(load, entries, world, cut, linked)
    for customer, mine in groups.items():
        if customer in linked:
            continue
        state = load(customer)
        yield customer, state, [_advance(customer, state, mine, world, cut)]


def _advance(
    customer: CustomerId,
    state: State,
    entries: Sequence[Entry],
    world: World,
    cut: Cut,
    *,
    rings: Instant | None = None,
) -> Outcome:
    return advance(
        customer,
        state,
        entries,
        world,
        now=cut.now,
        own=cut.own,
        rings=cut.rings if rings is None else rings,
        woken_at=cut.woken.get(customer),
    )


def _linked(
    load: Callable[[CustomerId], State],
    entries: Sequence[Entry],
    world: World,
    cut: Cut,
    linked: set[CustomerId],
) -> Iterable[tuple[CustomerId, State | None, list[Outcome]]]:
    """The customers of merges, their entries by position; fills `linked` with who they are."""
    for entry in entries:
        if isinstance(entry.body, CustomerMerged):
            linked |= {entry.customer, entry.body.absorbed}
    states = {customer: load(customer) for customer in sorted(linked)}
    outcomes: dict[CustomerId, list[Outcome]] = {customer: [] for customer in states}
    waiting: dict[CustomerId, list[Entry]] = {customer: [] for customer in states}
    gone: set[CustomerId] = set()
    for entry in entries:
        if entry.customer not in states:
            continue
        if isinstance(entry.body, CustomerMerged):
            absorbed = entry.body.absorbed
            for customer in (absorbed, entry.customer):
                until = min(entry.received_at, cut.now) - 1 if cut.own else 0
                outcomes[customer].append(
                    _advance(customer, states[customer], waiting[customer], world, cut, rings=until)
                )
                waiting[customer] = []
            absorb(states[entry.customer], states[absorbed])
            gone.add(absorbed)
        waiting[entry.customer].append(entry)
    for customer, state in states.items():
        if customer not in gone:
            outcomes[customer].append(_advance(customer, state, waiting[customer], world, cut))
        yield customer, None if customer in gone else state, outcomes[customer]
