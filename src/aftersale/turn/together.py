"""How are the customers of one turn advanced, when some of them turn out to be one person?

Customers are independent of each other until a merge. A merge takes its place among the events
by position: what came before it was decided for two, what comes after for one.

The two may belong to different turns, of workers that know nothing of each other. Then the turn of
the absorbed customer carries it up to the merge and leaves it there, `gone`; the survivor's turn
comes after that one and takes its state over.
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


def everybody(customer: CustomerId) -> bool:
    """Every customer belongs to the turn."""
    return True


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
    mine: Callable[[CustomerId], bool] = everybody,
) -> Iterable[tuple[CustomerId, State | None, list[Outcome]]]:
    """Advance everybody of this turn (`mine`) whom the entries concern or an alarm woke.

    Yields each customer with its new state (None: it was absorbed) and what was decided. `load`
    gives the state of a customer before the turn, a fresh one where it has none.
    """
    groups: dict[CustomerId, list[Entry]] = {}
    merged = False
    for entry in entries:
        if entry.type == "customer.merged":
            merged = merged or mine(entry.customer) or mine(absorbed_by(entry))
        if entry.customer and mine(entry.customer):
            groups.setdefault(entry.customer, []).append(entry)
    for customer in cut.woken:
        groups.setdefault(customer, [])
    linked: set[CustomerId] = set()
    if merged:
        yield from _linked(load, entries, world, cut, mine, linked)
    for customer, own in groups.items():
        if customer in linked:
            continue
        state = load(customer)
        yield customer, state, [_advance(customer, state, own, world, cut)]


def absorbed_by(merge: Entry) -> CustomerId:
    """Whom the merge makes a part of the customer it stands under."""
    body = merge.body
    return body.absorbed if isinstance(body, CustomerMerged) else 0


def _advance(
    customer: CustomerId,
    state: State,
    entries: Sequence[Entry],
    world: World,
    cut: Cut,
    *,
    rings: Instant | None = None,
) -> Outcome:
    if state.gone:
        return Outcome((), (), (), None)
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
    mine: Callable[[CustomerId], bool],
    linked: set[CustomerId],
) -> Iterable[tuple[CustomerId, State | None, list[Outcome]]]:
    """The customers of merges, their entries by position; fills `linked` with who they are."""
    pairs = {e.position: (absorbed_by(e), e.customer) for e in entries if absorbed_by(e)}
    pairs = {position: pair for position, pair in pairs.items() if any(map(mine, pair))}
    linked.update(*pairs.values())
    states = {customer: load(customer) for customer in sorted(linked)}
    outcomes: dict[CustomerId, list[Outcome]] = {customer: [] for customer in states}
    waiting: dict[CustomerId, list[Entry]] = {customer: [] for customer in states}
    gone: set[CustomerId] = set()
    for entry in entries:
        pair = pairs.get(entry.position)
        if pair is not None:
            absorbed, survivor = pair
            for customer in filter(mine, pair):
                until = min(entry.received_at, cut.now) - 1 if cut.own else 0
                outcomes[customer].append(
                    _advance(customer, states[customer], waiting[customer], world, cut, rings=until)
                )
                waiting[customer] = []
            if not mine(survivor):
                states[absorbed].gone = True
                continue
            absorb(states[survivor], states[absorbed])
            gone.add(absorbed)
        if entry.customer in states and mine(entry.customer):
            waiting[entry.customer].append(entry)
    for customer, state in states.items():
        if customer in gone:
            yield customer, None, outcomes[customer]
        elif mine(customer):
            outcomes[customer].append(_advance(customer, state, waiting[customer], world, cut))
            yield customer, state, outcomes[customer]
