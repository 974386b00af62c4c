"""How does a turn happen, completely or not at all?

A turn takes unread entries and due alarms, loads the states of everybody they concern, advances
them, and writes states, decisions, outbox and journal in one transaction.
"""

from collections.abc import Callable, Iterable

import msgspec

from aftersale.delivery.ports import Send
from aftersale.events.event import Entry
from aftersale.gates.standing import Intent
from aftersale.kernel.ids import CustomerId, Position
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Store, Transaction
from aftersale.runtime.worlds import CONCERNS_ALL, Worlds, lineages
from aftersale.turn.advance import Outcome
from aftersale.turn.decision import Decision
from aftersale.turn.ports import StateRow, Turned, TurnRecord, pack_woken
from aftersale.turn.shards import Front, Lease, bits, front_of
from aftersale.turn.state import State, bounded, decode
from aftersale.turn.together import Cut, absorbed_by, advance_together, everybody

BATCH = 2_000

BACKFILL = 20_000
"""Entries of a turn that reads history: nobody waits for it, and larger turns load and save each
customer less often."""

_PIECE = 32


class Turns:
    """The turn of one store."""

    def __init__(self, store: Store, worlds: Worlds, *, engine: str, batch: int = BATCH) -> None:
        self._store = store
        self._worlds = worlds
        self._engine = engine
        self._batch = batch

    def turn(self, horizon: Instant, *, own: bool, lease: Lease | None = None) -> Turned | None:
        """Run one turn up to the horizon; None where there was nothing to do.

        `own`: the clock is driven, every input is taken at its own instant. `lease`: whose
        customers are carried on, None: everybody. LeaseLost and StaleState where somebody else
        was faster: nothing was written then.
        """
        moved = True
        while moved:
            with self._store.work(lease) as tx:
                front = front_of(tx.shards.all(), tx.shards.mine())
                if front is None:
                    return None
                turned = self._turn(tx, front, max(horizon, front.now), own=own)
                if turned is not None:
                    return turned
                moved = front.upto is not None and self._has_moved(tx, front)
        return None

    def _has_moved(self, tx: Transaction, front: Front) -> bool:
        """Whether the front has come to where the worker's other shards stand."""
        return all(
            shard.upto == front.upto for shard in tx.shards.all() if shard.number in front.shards
        )

    def _turn(self, tx: Transaction, front: Front, horizon: Instant, *, own: bool) -> Turned | None:
        """One turn of the front; None where it could at most come further without one."""
        end = tx.ledger.last() if front.upto is None else front.upto
        mark = tx.ledger.next_of_everybody(front.after, CONCERNS_ALL)
        # What lies behind a change of the world is for a later turn, so it is not even read.
        entries, full = self._arrived(tx, front, min(end, mark or end), horizon, own=own)
        full = full or front.upto is not None
        entries, waits = _until_met(entries, front)
        world_changes = False
        for n, entry in enumerate(entries):
            if entry.customer == 0 and entry.type in CONCERNS_ALL:
                world_changes = n == 0
                entries, full, waits = entries[: max(n, 1)], True, False
                break
        if waits:
            if not entries:
                return None
            full = True
        now = horizon
        if own and full and entries:
            arrived = max(entry.received_at for entry in entries)
            now = max(front.now, min(horizon, arrived))
        cut = self._cut(tx, front, len(entries), now, own=own, full=full)
        if entries and (full or own):
            end = entries[-1].position
        elif own:
            end = front.after
        if not entries and not cut.woken:
            if end > front.after:
                tx.shards.passed(front.shards, end, front.now)
            return None
        if world_changes:
            tx.shards.sweep(front.shards, wanted=True)
        return self._take(tx, front, entries, end, cut, full=full)

    def _arrived(
        self, tx: Transaction, front: Front, end: Position, horizon: Instant, *, own: bool
    ) -> tuple[list[Entry], bool]:
        """The next unread entries up to `end`, and whether the turn is full of them.

        With a driven clock only what has arrived by the horizon: little as a rule, so it is read
        in pieces.
        """
        found: list[Entry] = []
        most, piece = self._batch, _PIECE if own else self._batch
        while len(found) < most:
            asked = min(piece, most - len(found))
            after = found[-1].position if found else front.after
            rows = tx.ledger.read(after, asked, upto=end, shards=front.only)
            if not found and rows and rows[0].history and self._batch >= BATCH:
                most = piece = max(BACKFILL, self._batch)
            if own:
                arrived = [e for e in rows if e.history or e.received_at <= horizon]
                found += arrived
                if len(arrived) < len(rows):
                    return found, False
            else:
                found += rows
            if len(rows) < asked:
                return found, False
            piece *= 4
        return found, True

    def _cut(
        self, tx: Transaction, front: Front, events: int, now: Instant, *, own: bool, full: bool
    ) -> Cut:
        """Who wakes in this turn. Alarms wait while unread events remain."""
        rings = (now - 1 if own else 0) if full else now
        room = self._batch - events
        woken = {}
        if not full and room > 0:
            woken = dict(tx.states.due(now, room, shards=front.only))
        return Cut(now, own, rings, woken)

    def _take(
        self,
        tx: Transaction,
        front: Front,
        entries: list[Entry],
        upto: Position,
        cut: Cut,
        *,
        full: bool,
    ) -> Turned:
        version = self._worlds.newest(tx)
        since = self._since(tx, version, cut.now)
        world = self._worlds.at(tx, front.after, version, since)
        mine = front.has if front.only else everybody
        people = {entry.customer for entry in entries if entry.customer and mine(entry.customer)}
        people |= set(cut.woken)
        people |= {
            absorbed
            for entry in entries
            if (absorbed := absorbed_by(entry)) and (mine(absorbed) or mine(entry.customer))
        }
        rows = tx.states.load(sorted(people))
        woken = {
            customer: row.wakes_at
            for customer, row in rows.items()
            if row.wakes_at is not None and row.wakes_at <= cut.now and mine(customer)
        }
        # By customer, so that decisions come in the same order whatever the store.
        cut = msgspec.structs.replace(cut, woken=dict(sorted({**woken, **cut.woken}.items())))
        record = TurnRecord(
            tx.journal.following(),
            cut.now,
            cut.own,
            front.after,
            upto,
            cut.rings,
            version,
            self._engine,
            pack_woken(dict(cut.woken)),
            bits(front.shards),
        )
        played = advance_together(_loader(rows), entries, world, cut, mine)
        decisions, sends = self._write(tx, record.turn, rows, played)
        tx.journal.append(record)
        tx.shards.passed(front.shards, upto, cut.now)
        return Turned(
            record.turn,
            len(entries),
            len(people),
            decisions,
            sends,
            upto,
            full or len(cut.woken) + len(entries) >= self._batch,
        )

    def _write(
        self,
        tx: Transaction,
        turn: int,
        rows: dict[CustomerId, StateRow],
        played: Iterable[tuple[CustomerId, State | None, list[Outcome]]],
    ) -> tuple[int, int]:
        saved: list[StateRow] = []
        decisions: list[Decision] = []
        sends: list[Send] = []
        for customer, state, outcomes in played:
            for outcome in outcomes:
                decisions += outcome.decisions
            if state is None:
                tx.states.remove(customer)
                continue
            row = rows.get(customer)
            version = row.version if row is not None else 0
            for outcome in outcomes:
                sends += sends_of(customer, outcome, version + 1)
            saved.append(StateRow(customer, version, bounded(state), outcomes[-1].wakes_at))
        tx.states.save(saved)
        tx.decisions.append(turn, decisions)
        if sends:
            tx.outbox.put(sends)
        return len(decisions), len(sends)

    def _since(self, tx: Transaction, version: int, now: Instant) -> dict[str, Instant]:
        """From when on each lineage looks forward: the first turn under a programme that has it."""
        since: dict[str, Instant] = tx.meta.get("since") or {}
        present = lineages(self._worlds.compiled(tx, version))
        if present - since.keys():
            since = tx.meta.get("since", hold=True) or {}
        new = present - since.keys()
        if new:
            since = {**since, **dict.fromkeys(sorted(new), now)}
            tx.meta.set("since", since)
        return since


def _loader(rows: dict[CustomerId, StateRow]) -> Callable[[CustomerId], State]:
    """The state of a customer as its row has it, a fresh one where there is no row."""

    def load(customer: CustomerId) -> State:
        row = rows.get(customer)
        return decode(row.blob) if row is not None else State()

    return load


def _until_met(entries: list[Entry], front: Front) -> tuple[list[Entry], bool]:
    """The entries before the first merge with somebody whose own turns have not come so far.

    What was told of the absorbed customer before the merge is for the turns of its shard to take;
    the survivor's turn waits for them. It waits for a place that lies before its own, so no two
    ever wait for each other.
    """
    if not front.elsewhere:
        return entries, False
    for n, entry in enumerate(entries):
        absorbed = absorbed_by(entry)
        if absorbed and front.has(entry.customer) and front.awaits(absorbed, entry.position):
            return entries[:n], True
    return entries, False


def sends_of(customer: CustomerId, outcome: Outcome, state_version: int) -> list[Send]:
    """The outbox rows of what one advance decided."""
    if not outcome.intents and not outcome.tasks:
        return []
    made = {decision.seq: decision for decision in outcome.decisions}
    return [
        send_of(customer, made[seq], intent, values, state_version)
        for seq, intent, values in (*outcome.intents, *outcome.tasks)
    ]


def send_of(
    customer: CustomerId,
    decision: Decision,
    intent: Intent,
    values: dict[str, object],
    state_version: int,
) -> Send:
    """The outbox row of one intent; its key is a function of the decision alone."""
    return Send(
        key=intent.key(customer),
        customer=customer,
        seq=decision.seq,
        journey=intent.journey,
        version=intent.version,
        run=intent.run,
        step=intent.step,
        channel=intent.channel,
        purpose=intent.purpose,
        template=intent.template,
        decided_at=decision.now,
        useful_until=intent.useful_until,
        state_version=state_version,
        shop=intent.shop,
        kind="task" if intent.channel == "task" else "message",
        values={
            **values,
            "product": intent.product,
            "order": intent.order,
            "cause": decision.cause,
        },
        status_at=decision.now,
    )
