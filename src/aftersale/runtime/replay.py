"""Does the log still give the decisions that were made?

Replay starts from empty states and reads the ledger by position and the journal by turn. It
compares every decision and every final state. With one event or policy value altered it reports
exactly the decisions that the alteration changes.
"""

from collections.abc import Callable

import msgspec

from aftersale.events.event import Entry
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.digest import digest, mark
from aftersale.runtime.worlds import Worlds, lineages
from aftersale.turn.decision import Decision, decision_name
from aftersale.turn.ports import TurnRecord, unpack_woken
from aftersale.turn.programme import World
from aftersale.turn.shards import Front, numbers
from aftersale.turn.state import State, bounded, decode
from aftersale.turn.together import Cut, advance_together


class Difference(msgspec.Struct, frozen=True):
    """One decision that came out otherwise."""

    name: str
    stored: Decision | None
    replayed: Decision | None


class Replayed(msgspec.Struct, frozen=True):
    """What a replay found."""

    turns: int
    decisions: int
    differences: list[Difference]
    """The first hundred."""
    different: int
    states_different: int
    digest: str
    stored_digest: str


Alter = Callable[[Entry], Entry | None]
AlterWorld = Callable[[World], World]


def replay(
    tx: Transaction,
    worlds: Worlds,
    *,
    alter: Alter | None = None,
    alter_world: AlterWorld | None = None,
) -> Replayed:
    """Run every turn again and compare. `alter` changes entries (None drops one)."""
    states: dict[CustomerId, bytes] = {}
    made: dict[tuple[CustomerId, int], Decision] = {}
    since: dict[str, Instant] = {}
    turns = 0
    for record in tx.journal.read():
        turns += 1
        for lineage in sorted(lineages(worlds.compiled(tx, record.programme)) - since.keys()):
            since[lineage] = record.now
        world = worlds.at(tx, record.after, record.programme, since)
        if alter_world is not None:
            world = alter_world(world)
        for decision in _turn(tx, record, world, states, alter):
            made[decision.customer, decision.seq] = decision
    return _compare(tx, turns, states, made)


def _turn(
    tx: Transaction,
    record: TurnRecord,
    world: World,
    states: dict[CustomerId, bytes],
    alter: Alter | None,
) -> list[Decision]:
    front = _front(tx, record)
    span = record.upto - record.after
    entries = tx.ledger.read(record.after, span, upto=record.upto, shards=front.only)
    if alter is not None:
        entries = [new for entry in entries if (new := alter(entry)) is not None]
    cut = Cut(record.now, record.own, record.rings, unpack_woken(record.woken))

    def load(customer: CustomerId) -> State:
        blob = states.get(customer)
        return decode(blob) if blob is not None else State()

    decisions: list[Decision] = []
    for customer, state, outcomes in advance_together(load, entries, world, cut, front.has):
        for outcome in outcomes:
            decisions += outcome.decisions
        if state is None:
            states.pop(customer, None)
        else:
            states[customer] = bounded(state)
    return decisions


def _front(tx: Transaction, record: TurnRecord) -> Front:
    """Whose customers the turn took. Of the others nothing need be known but that they are."""
    shards, count = numbers(record.shards), tx.shards.count
    elsewhere = dict.fromkeys(set(range(count)) - set(shards), record.upto)
    return Front(shards, record.after, record.upto, record.now, elsewhere, count)


def _compare(
    tx: Transaction,
    turns: int,
    states: dict[CustomerId, bytes],
    made: dict[tuple[CustomerId, int], Decision],
) -> Replayed:
    differences: list[Difference] = []
    different = count = 0
    stored_keys = set()
    for stored in tx.decisions.ordered():
        count += 1
        key = (stored.customer, stored.seq)
        stored_keys.add(key)
        replayed = made.get(key)
        if replayed is None or mark(replayed) != mark(stored):
            different += 1
            if len(differences) < 100:
                differences.append(Difference(decision_name(*key), stored, replayed))
    for key in sorted(made.keys() - stored_keys):
        different += 1
        if len(differences) < 100:
            differences.append(Difference(decision_name(*key), None, made[key]))
    states_different, after = 0, 0
    while rows := tx.states.page(after, 5_000):
        states_different += sum(states.get(row.customer) != row.blob for row in rows)
        after = rows[-1].customer
    return Replayed(
        turns,
        count,
        differences,
        different,
        states_different,
        digest(made[key] for key in sorted(made)),
        digest(tx.decisions.ordered()),
    )
