"""Does each rule of `verify` find what breaks it, and only that?"""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersale.adapters.storage.memory import MemoryStore
from aftersale.delivery.ports import Send
from aftersale.events.event import Entry, read_event
from aftersale.gates.chain import NAMES
from aftersale.kernel.instants import DAY, HOUR, format_instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.intake import take_in
from aftersale.runtime.invariants.columns import Messages, packed, unpacked
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.invariants.sent import sent_for
from aftersale.runtime.verify import RULES, verify
from aftersale.testing.storage_examples import new_decision, new_send, new_turn
from aftersale.turn.decision import Decision
from aftersale.turn.state import decode, encode
from recordings import LIVE, app_in_memory

NOON = LIVE + 12 * HOUR
ALLOWED = (((0,),) * len(NAMES),)
"""What every gate said of a message that went out."""


def _shop(files: dict[str, str]) -> App:
    """Two customers, of whom the first allowed marketing and got one message at noon."""
    app = app_in_memory(files)
    rows = [
        {
            "id": f"consent-{n}",
            "source": "shop",
            "type": "consent.given" if n == 1 else "product.viewed",
            "at": format_instant(LIVE),
            "customer": {"id": f"c{n}", "email": f"c{n}@example.com"},
            "data": {"basis": "opt-in"} if n == 1 else {"product": "coffee"},
        }
        for n in (1, 2)
    ]
    with app.store.write() as tx:
        take_in(tx, [read_event(row) for row in rows], received_at=LIVE)
    app.worker.once(LIVE)
    with app.store.work() as tx:
        _decide(tx, 1, NOON)
    return app


def _decide(tx: Transaction, customer: int, at: int, **changes: object) -> None:
    """One more message for a customer, whole: decision, send, and what its state counts."""
    row = tx.states.load([customer])[customer]
    state = decode(row.blob)
    state.decided += 1
    tx.states.save([msgspec.structs.replace(row, blob=encode(state))])
    turn = tx.journal.following()
    upto = max(shard.upto for shard in tx.shards.all())
    tx.journal.append(new_turn(turn, now=at, after=upto, upto=upto))
    tx.shards.passed([0], upto, at)
    made = {"now": at, "values": ALLOWED, **changes}
    decision = new_decision(customer, state.decided, **made)
    tx.decisions.append(turn, [decision])
    tx.outbox.put([_send(decision)])


def _send(decision: Decision) -> Send:
    return new_send(
        f"refill:refill:{decision.customer}:r1@{decision.seq}:remind:1:email", decision.customer,
        seq=decision.seq, journey=decision.journey, step=decision.step, run=decision.run,
        purpose="marketing", decided_at=decision.now,
    )  # fmt: skip


def _leave_out(tx: Transaction) -> None:
    last = tx.journal.last()
    assert last is not None
    tx.journal.append(new_turn(last.turn + 1, now=last.now, after=last.upto - 1, upto=last.upto))


def _lose_the_send(tx: Transaction) -> None:
    turn = tx.journal.following()
    tx.journal.append(
        new_turn(turn, now=NOON + 9 * DAY, after=tx.ledger.last(), upto=tx.ledger.last())
    )
    tx.decisions.append(turn, [new_decision(2, 1, kind="task", now=NOON + 9 * DAY)])
    row = tx.states.load([2])[2]
    state = decode(row.blob)
    state.decided = 1
    tx.states.save([msgspec.structs.replace(row, blob=encode(state))])


def _miscount(tx: Transaction) -> None:
    row = tx.states.load([2])[2]
    state = decode(row.blob)
    state.decided = 5
    tx.states.save([msgspec.structs.replace(row, blob=encode(state))])


BREAKS: dict[str, tuple[Callable[[Transaction], None], Violation]] = {
    "acted-once": (
        _leave_out,
        Violation("acted-once", "begins after 2, not 3", "turn 4"),
    ),
    "sends-decided": (
        _lose_the_send,
        Violation("sends-decided", "the outbox has no row for it", "2-1"),
    ),
    "numbered": (
        _miscount,
        Violation("numbered", "its state counts 5 decisions, the record 0", "customer 2"),
    ),
    "gates-held": (
        lambda tx: _decide(tx, 1, NOON + 9 * DAY, values=(((0,),) * 2 + ((1,),) + ((0,),) * 4,)),
        Violation("gates-held", f"{NAMES[2]} did not allow it", "1-2"),
    ),
    "consented": (
        lambda tx: _decide(tx, 2, NOON),
        Violation("consented", "its customer had not allowed it", "2-1"),
    ),
    "within-caps": (
        lambda tx: _decide(tx, 1, NOON + HOUR),
        Violation("within-caps", "more than 1 within the span of a cap", "1-2"),
    ),
    "quiet-kept": (
        lambda tx: _decide(tx, 1, NOON + 9 * DAY + 11 * HOUR),
        Violation("quiet-kept", "it was quiet time in UTC", "1-2"),
    ),
}


def test_nothing_is_broken_before_it_is_broken(files: dict[str, str]) -> None:
    app = _shop(files)
    with app.store.read() as tx:
        assert verify(tx, app.worlds).violations == ()


@pytest.mark.parametrize("rule", [rule.NAME for rule in RULES])
def test_each_rule_finds_what_breaks_it_and_no_other_does(rule: str, files: dict[str, str]) -> None:
    app = _shop(files)
    breaking, found = BREAKS[rule]
    with app.store.work() as tx:
        breaking(tx)
    with app.store.read() as tx:
        verified = verify(tx, app.worlds)
    assert verified.violations == (found,)
    assert verified.checks == {name.NAME: int(rule == name.NAME) for name in RULES}


def test_only_so_many_violations_are_listed_but_all_are_counted(files: dict[str, str]) -> None:
    app = _shop(files)
    with app.store.work() as tx:
        tx.outbox.put([new_send(f"k{n}", 1, seq=100 + n, kind="task") for n in range(7)])
    with app.store.read() as tx:
        verified = verify(tx, app.worlds, most=2)
    assert verified.checks["sends-decided"] == 7
    assert len(verified.violations) == 2


# --- many messages in little memory ----------------------------------------------------------


@given(st.integers(0, 2**31), st.integers(0, 2**32 - 1), st.integers(0, 2**31))
def test_the_name_of_a_decision_as_a_number_keeps_its_parts_and_their_order(
    customer: int, seq: int, other: int
) -> None:
    assert unpacked(packed(customer, seq)) == (customer, seq)
    assert (packed(customer, seq) < packed(other, seq)) == (customer < other)


def test_columns_hold_what_the_outbox_does(eventful: App) -> None:
    with eventful.store.read() as tx:
        sends = sorted(
            (s.customer, s.seq, s.channel, s.purpose, s.decided_at)
            for s in tx.outbox.all()
            if s.kind == "message"
        )
        assert [msgspec.structs.astuple(message) for message in Messages(tx)] == sends
        assert [m.purpose for m in Messages(tx, ("marketing",))] == ["marketing"] * len(
            [s for s in sends if s[3] == "marketing"]
        )


def test_every_person_comes_with_all_that_was_told_and_sent(eventful: App) -> None:
    """Under each of its ids, in the order in which it was read; also who has no entries."""
    with eventful.store.read() as tx:
        upto = dict(tx.decisions.read_upto())
        expected: dict[int, list[tuple[int, int]]] = {}
        for send in tx.outbox.all():
            if send.kind == "message":
                key = (upto[send.customer, send.seq], send.customer, send.seq)
                expected.setdefault(tx.identities.living(send.customer), []).append(key)
        entries: dict[int, list[Entry]] = {}
        for entry in tx.ledger.of_customers(1, tx.identities.last()):
            entries.setdefault(entry.customer, []).append(entry)
        got = {}
        for told, known in sent_for(tx, ("marketing", "transactional")):
            living = tx.identities.living(known[0][0].customer)
            got[living] = sorted((read, m.customer, m.seq) for m, read in known)
            assert [read for _, read in known] == sorted(read for _, read in known)
            assert told == sorted(entries.get(living, []), key=lambda entry: entry.position)
        assert got == {living: sorted(rows) for living, rows in expected.items()}
        assert len({m for rows in got.values() for m in rows}) > 100


def test_who_has_messages_and_no_entries_comes_too() -> None:
    store = MemoryStore()
    with store.write() as tx:
        tx.identities.create(3, 1)
        tx.outbox.put([new_send(f"k{n}", n, seq=1) for n in (3, 1)])
    with store.read() as tx:
        found = [
            (told, [m.customer for m, _ in known]) for told, known in sent_for(tx, ("marketing",))
        ]
    assert found == [([], [1]), ([], [3])]
