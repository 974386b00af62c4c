"""How does a turn happen, completely or not at all?

A turn takes unread entries and due alarms, loads the states of everybody they concern, advances
them, and writes states, decisions, outbox and journal in one transaction.
"""

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
from aftersale.turn.ports import StateRow, TurnRecord, pack_woken
from aftersale.turn.programme import World
from aftersale.turn.state import State, bounded, decode
from aftersale.turn.together import Cut, advance_together

BATCH = 2_000

BACKFILL = 20_000
"""Entries of a turn that reads history: nobody waits for it, and larger turns load and save each
customer less often."""

_PIECE = 32


class Turned(msgspec.Struct, frozen=True):
    """What one turn did."""

    turn: int
    events: int
    customers: int
    decisions: int
    sends: int
    upto: Position
    full: bool
    """Whether more work waits for the same horizon."""


class Turns:
    """The turn of one store."""

    def __init__(self, store: Store, worlds: Worlds, *, engine: str, batch: int = BATCH) -> None:
        self._store = store
        self._worlds = worlds
        self._engine = engine
        self._batch = batch

    def turn(self, horizon: Instant, *, own: bool) -> Turned | None:
        """Run one turn up to the horizon; None where there was nothing to do.

        `own`: the clock is driven, every input is taken at its own instant.
        """
        with self._store.write() as tx:
            last = tx.journal.last()
            after = last.upto if last else 0
            entries, full = self._arrived(tx, after, horizon, own=own)
            world_changes = False
            for n, entry in enumerate(entries):
                if entry.customer == 0 and entry.type in CONCERNS_ALL:
                    world_changes = n == 0
                    entries, full = entries[: max(n, 1)], True
                    break
            now = horizon
            if own and full and entries:
                arrived = max(entry.received_at for entry in entries)
                now = max(last.now if last else 0, min(horizon, arrived))
            cut = self._cut(tx, entries, now, own=own, full=full)
            if not entries and not cut.woken:
                return None
            if world_changes:
                tx.meta.set("sweep", value=True)
            return self._take(tx, last, entries, cut, full=full)

    def _arrived(
        self, tx: Transaction, after: Position, horizon: Instant, *, own: bool
    ) -> tuple[list[Entry], bool]:
        """The next unread entries, and whether the turn is full of them.

        With a driven clock only what has arrived by the horizon: little as a rule, so it is read
        in pieces.
        """
        found: list[Entry] = []
        most, piece = self._batch, _PIECE if own else self._batch
        while len(found) < most:
            asked = min(piece, most - len(found))
            rows = tx.ledger.read(found[-1].position if found else after, asked)
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
        self, tx: Transaction, entries: list[Entry], now: Instant, *, own: bool, full: bool
    ) -> Cut:
        """Who wakes in this turn. Alarms wait while unread events remain."""
        rings = (now - 1 if own else 0) if full else now
        room = self._batch - len(entries)
        woken = dict(tx.states.due(now, room)) if not full and room > 0 else {}
        return Cut(now, own, rings, woken)

    def _take(
        self,
        tx: Transaction,
        last: TurnRecord | None,
        entries: list[Entry],
        cut: Cut,
        *,
        full: bool,
    ) -> Turned:
        after = last.upto if last else 0
        upto = entries[-1].position if entries else after
        version = self._worlds.newest(tx)
        since = self._since(tx, version, cut.now)
        world = self._worlds.at(tx, after, version, since)
        people = {entry.customer for entry in entries if entry.customer} | set(cut.woken)
        people |= {
            entry.body.absorbed  # type: ignore[attr-defined]
            for entry in entries
            if entry.type == "customer.merged"
        }
        rows = tx.states.load(sorted(people))
        woken = {
            customer: row.wakes_at
            for customer, row in rows.items()
            if row.wakes_at is not None and row.wakes_at <= cut.now
        }
        cut = msgspec.structs.replace(cut, woken={**woken, **cut.woken})
        record = TurnRecord(
            (last.turn if last else 0) + 1,
            cut.now,
            cut.own,
            after,
            upto,
            cut.rings,
            version,
            self._engine,
            pack_woken(dict(cut.woken)),
        )
        decisions, sends = self._write(tx, record.turn, rows, entries, world, cut)
        tx.journal.append(record)
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
        entries: list[Entry],
        world: World,
        cut: Cut,
    ) -> tuple[int, int]:
        def load(customer: CustomerId) -> State:
            row = rows.get(customer)
            return decode(row.blob) if row is not None else State()

        saved: list[StateRow] = []
        decisions: list[Decision] = []
        sends: list[Send] = []
        for customer, state, outcomes in advance_together(load, entries, world, cut):
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
        new = lineages(self._worlds.compiled(tx, version)) - since.keys()
        if new:
            since = {**since, **dict.fromkeys(sorted(new), now)}
            tx.meta.set("since", since)
        return since


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
