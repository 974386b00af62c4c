"""Does a store keep turns, decisions and sends as their ports promise?"""

from collections.abc import Sequence

import msgspec

from aftersale.delivery.life import LIFE, may_move
from aftersale.delivery.ports import QUEUED, SENT, UNKNOWN, Send
from aftersale.programme.ports import Store
from aftersale.testing.storage_examples import (
    new_decision,
    new_mail,
    new_send,
    new_turn,
    raises,
)
from aftersale.turn.ports import DecisionRow, StaleState, StateRow


class TurnSuite:
    """One test a sentence; part of `StorageSuite`."""

    def test_a_state_is_saved_once_for_each_version(self, store: Store) -> None:
        """Who saves an older version is stale, and nothing of its block is kept."""
        with store.write() as tx:
            tx.states.save([StateRow(n, 0, b"one", n) for n in range(1, 1201)])
        with store.write() as tx:
            rows = tx.states.load(range(1, 2000))
            assert len(rows) == 1200
            assert rows[7] == StateRow(7, 1, b"one", 7)
            tx.states.save([msgspec.structs.replace(rows[n], blob=b"two") for n in (7, 3)])
        for stale in (
            StateRow(7, 1, b"three", None),
            StateRow(7, 0, b"three", None),
            StateRow(7, 3, b"three", None),
            StateRow(5000, 1, b"three", None),
            StateRow(1201, 1, b"three", None),
        ):
            with raises(StaleState), store.write() as tx:
                tx.meta.set("mode", "live")
                with raises(StaleState):
                    tx.states.save([StateRow(1201, 0, b"", None), stale])
        with store.read() as tx:
            assert tx.states.load([3, 4, 7, 9000]) == {
                3: StateRow(3, 2, b"two", 3),
                4: StateRow(4, 1, b"one", 4),
                7: StateRow(7, 2, b"two", 7),
            }
            assert tx.states.count() == 1200
            assert tx.meta.get("mode") is None

    def test_who_is_due_comes_earliest_first(self, store: Store) -> None:
        """Ties by the lower id; who has no alarm never comes."""
        alarms = {5: 100, 3: 100, 9: 50, 4: None, 6: 101}
        with store.write() as tx:
            tx.states.save([StateRow(c, 0, b"", at) for c, at in alarms.items()])
            assert tx.states.due(100, 10) == [(9, 50), (3, 100), (5, 100)]
            assert tx.states.due(100, 2) == [(9, 50), (3, 100)]
            assert tx.states.next_alarm() == 50
            tx.states.remove(9)
            tx.states.remove(9)
            tx.states.save([StateRow(3, 1, b"", None)])
            assert tx.states.due(100, 10) == [(5, 100)]
            assert tx.states.next_alarm() == 100
            assert tx.states.count() == 4

    def test_everybody_can_be_woken_at_once(self, store: Store) -> None:
        """Later alarms and missing ones move; earlier ones stay; versions stay."""
        with store.write() as tx:
            tx.states.save([StateRow(1, 0, b"", 5), StateRow(2, 0, b"", 50)])
            tx.states.save([StateRow(3, 0, b"", None)])
            assert tx.states.wake_all(20) == 3
            assert tx.states.due(99, 9) == [(1, 5), (2, 20), (3, 20)]
            tx.states.save([StateRow(3, 1, b"", 30)])

    def test_states_are_read_in_pages(self, store: Store) -> None:
        """By id, after the last one of the page before."""
        with store.write() as tx:
            tx.states.save([StateRow(c, 0, b"", None) for c in (9, 2, 5)])
            assert [row.customer for row in tx.states.page(0, 2)] == [2, 5]
            assert [row.customer for row in tx.states.page(5, 2)] == [9]
            assert tx.states.page(9, 2) == []

    def test_the_journal_has_one_line_a_turn(self, store: Store) -> None:
        """In order; the same turn again spoils the block."""
        lines = [new_turn(n, own=n == 2, woken=b"\x90") for n in (1, 2, 3)]
        with store.write() as tx:
            for line in lines:
                tx.journal.append(line)
        with raises(ValueError), store.write() as tx:
            tx.journal.append(lines[1])
        with store.read() as tx:
            assert list(tx.journal.read()) == lines
            assert list(tx.journal.read(2)) == lines[2:]
            assert tx.journal.last() == lines[2]

    def test_decisions_are_found_by_customer_journey_and_kind(self, store: Store) -> None:
        """The newest come first; `ordered` is by (customer, seq)."""
        told = [
            new_decision(2, 1, values=(1, "high", None, 2.5, ["a"])),
            new_decision(1, 1, kind="hold", reason="cap"),
            new_decision(2, 2, journey="review", now=500, cause=4),
        ]
        with store.write() as tx:
            tx.decisions.append(1, told[:2])
            tx.decisions.append(2, told[2:])
        with store.read() as tx:
            assert tx.decisions.get(2, 1) == told[0]
            assert tx.decisions.get(2, 9) is None
            assert tx.decisions.of(2) == [told[2], told[0]]
            assert tx.decisions.of(2, limit=1) == [told[2]]
            assert tx.decisions.newest() == told[::-1]
            assert tx.decisions.newest(limit=1) == told[2:]
            assert tx.decisions.newest(journey="refill") == [told[1], told[0]]
            assert tx.decisions.newest(journey="refill", kind="send") == [told[0]]
            assert tx.decisions.newest(kind="goal") == []
            assert list(tx.decisions.ordered()) == [told[1], told[0], told[2]]
            assert tx.decisions.total() == 3

    def test_a_send_knows_what_its_turn_had_read(self, store: Store) -> None:
        """Only decisions to send, each with the last position of its turn."""
        with store.write() as tx:
            tx.journal.append(new_turn(1, upto=5))
            tx.journal.append(new_turn(2, upto=9))
            tx.decisions.append(1, [new_decision(2, 1), new_decision(1, 1, kind="hold")])
            tx.decisions.append(2, [new_decision(1, 2)])
            assert list(tx.decisions.read_upto()) == [((2, 1), 5), ((1, 2), 9)]

    def test_a_decisions_number_is_given_once(self, store: Store) -> None:
        """A second one with the same (customer, seq) spoils the block."""
        with raises(ValueError), store.write() as tx:
            tx.decisions.append(1, [new_decision(1, 1), new_decision(1, 1, kind="hold")])
        with store.read() as tx:
            assert tx.decisions.total() == 0

    def test_decisions_are_counted_by_what_they_were(self, store: Store) -> None:
        """With the people behind them, between two instants (the later one excluded)."""
        with store.write() as tx:
            tx.decisions.append(
                1,
                [
                    new_decision(1, 1, now=10),
                    new_decision(1, 2, now=20),
                    new_decision(2, 1, now=20),
                    new_decision(2, 2, now=30, kind="hold", reason="cap"),
                ],
            )
            assert tx.decisions.counts() == [
                DecisionRow("refill", "remind", "hold", "cap", 1, 1),
                DecisionRow("refill", "remind", "send", "allowed", 3, 2),
            ]
            assert tx.decisions.counts(since=20, until=30) == [
                DecisionRow("refill", "remind", "send", "allowed", 2, 2)
            ]

    def test_decisions_are_counted_on_from_a_number(self, store: Store) -> None:
        """What is counted up to a number and what is counted from it on is all, each once."""
        sent, held = ("refill", "remind", "send", "allowed"), ("refill", "remind", "hold", "cap")
        with store.write() as tx:
            tx.decisions.append(
                1,
                [
                    new_decision(1, 1, now=10),
                    new_decision(1, 2, now=19),
                    new_decision(2, 1, now=20),
                    new_decision(2, 2, now=35, kind="hold", reason="cap"),
                ],
            )
        with store.read() as tx:
            assert sorted(tx.decisions.tally(10)) == [(1, sent, 2), (2, sent, 1), (3, held, 1)]
            middle = tx.decisions.numbered(20)
            assert 0 < middle < tx.decisions.numbered(36)
            assert tx.decisions.tally(10, upto=middle) == [(1, sent, 2)]
            assert sorted(tx.decisions.tally(10, after=middle)) == [(2, sent, 1), (3, held, 1)]
            assert tx.decisions.tally(10, after=tx.decisions.numbered(36)) == []
            assert tx.decisions.numbered(10) == 0

    # --- what goes out --------------------------------------------------------------------

    def test_a_key_makes_one_send_for_ever(self, store: Store) -> None:
        """A second one changes nothing, whatever it says."""
        with store.write() as tx:
            assert tx.outbox.put([new_send("a"), new_send("b"), new_send("a")]) == 2
            assert tx.outbox.move("a", "claimed", 200)
            assert tx.outbox.put([new_send("a", template="other")]) == 0
            assert tx.outbox.put([]) == 0
        with store.read() as tx:
            assert tx.outbox.get("a") == new_send("a", status="claimed", status_at=200)
            assert tx.outbox.get("c") is None
            assert [send.key for send in tx.outbox.all()] == ["a", "b"]

    def test_a_send_goes_on_in_its_life_and_never_back(self, store: Store) -> None:
        """For every pair of statuses the store does what `delivery/life.py` says."""
        pairs = [(old, new) for old in LIFE for new in LIFE]
        with store.write() as tx:
            tx.outbox.put([new_send(f"{old} {new}", status=old) for old, new in pairs])
            for old, new in pairs:
                moved = tx.outbox.move(f"{old} {new}", new, 900, reason="why")
                assert moved is may_move(old, new)
                send = tx.outbox.get(f"{old} {new}")
                assert send is not None
                assert (send.status, send.status_at) == ((new, 900) if moved else (old, 0))
            assert not tx.outbox.move("no such key", SENT, 900)

    def test_what_may_have_gone_out_is_put_in_doubt_and_nothing_else(self, store: Store) -> None:
        """All that waits or is claimed, tasks too; how many."""
        with store.write() as tx:
            tx.outbox.put([new_send(status, status=status, not_before=5) for status in LIFE])
            assert tx.outbox.put_in_doubt(900, "restored") == 2
            assert tx.outbox.put_in_doubt(901, "restored") == 0
        with store.read() as tx:
            for status in LIFE:
                send = tx.outbox.get(status)
                assert send is not None
                told = (send.status, send.status_at, send.reason, send.not_before)
                doubted = status in {"queued", "claimed"}
                assert told == (("unknown", 900, "restored", 0) if doubted else (status, 0, "", 5))
            assert tx.outbox.queued(10**15, 10) == []

    def test_a_move_keeps_the_providers_id_and_changes_the_reason(self, store: Store) -> None:
        """The reason belongs to the status."""
        with store.write() as tx:
            tx.outbox.put([new_send("a")])
            tx.outbox.move("a", "claimed", 1)
            tx.outbox.move("a", "unknown", 2, reason="timeout", provider_id="p1")
            tx.outbox.move("a", "sent", 3)
            send = tx.outbox.get("a")
        assert send is not None
        assert (send.status, send.reason, send.provider_id) == ("sent", "", "p1")

    def test_waiting_messages_come_oldest_first(self, store: Store) -> None:
        """Tasks are not claimed; what was unknown, or not taken, may wait again."""
        with store.write() as tx:
            tx.outbox.put(
                [
                    new_send("late", decided_at=300),
                    new_send("b", decided_at=200),
                    new_send("task", decided_at=50, kind="task"),
                    new_send("a", decided_at=100),
                    new_send("c", decided_at=200),
                ]
            )
            assert keys(tx.outbox.queued(250, 10)) == ["a", "b", "c"]
            assert keys(tx.outbox.queued(250, 2)) == ["a", "b"]
            for status in ("claimed", "unknown", "queued"):
                assert tx.outbox.move("b", status, 400)
            tx.outbox.move("a", "dropped", 400)
            assert keys(tx.outbox.queued(999, 10)) == ["b", "c", "late"]
            assert keys(tx.outbox.in_state("dropped")) == ["a"]
            assert keys(tx.outbox.in_state("queued")) == ["task", "b", "c", "late"]
            assert keys(tx.outbox.in_state("queued", limit=1)) == ["task"]

    def test_a_message_that_was_put_off_is_due_later(self, store: Store) -> None:
        """It comes when its time has come, behind those that are due longer."""
        with store.write() as tx:
            tx.outbox.put(
                [
                    new_send("a", decided_at=100),
                    new_send("b", decided_at=300),
                    new_send("c", decided_at=200, not_before=250),
                    new_send("d", decided_at=200, not_before=250, channel="sms"),
                ]
            )
            assert tx.outbox.move("a", "queued", 120, not_before=400, reason="quiet-hours")
            assert keys(tx.outbox.queued(249, 10)) == []
            assert keys(tx.outbox.queued(399, 10)) == ["c", "d", "b"]
            assert keys(tx.outbox.queued(400, 10)) == ["c", "d", "b", "a"]
            assert keys(tx.outbox.queued(400, 10, passing_by=["sms"])) == ["c", "b", "a"]
            assert keys(tx.outbox.queued(400, 1, passing_by=["sms", "push"])) == ["c"]
            assert keys(tx.outbox.queued(400, 9, passing_by=["sms", "email"])) == []
        with store.read() as tx:
            send = tx.outbox.get("a")
        assert send == new_send("a", status_at=120, not_before=400, reason="quiet-hours")

    def test_tries_and_repeats_are_counted(self, store: Store) -> None:
        """They only grow; when it may be claimed again belongs to the status and is replaced."""
        with store.write() as tx:
            tx.outbox.put([new_send("a", attempts=2)])
            tx.outbox.move("a", "claimed", 1)
            tx.outbox.move("a", "queued", 2, not_before=9, tried=1)
            send = tx.outbox.get("a")
            assert send is not None
            assert (send.attempts, send.not_before, send.repeats) == (3, 9, 0)
            tx.outbox.move("a", "claimed", 10)
            tx.outbox.move("a", "unknown", 11)
            tx.outbox.move("a", "queued", 12, repeated=1)
            assert not tx.outbox.move("a", "nowhere", 13, tried=1, repeated=1)
            send = tx.outbox.get("a")
        assert send is not None
        assert (send.attempts, send.not_before, send.repeats) == (3, 0, 1)

    def test_sends_are_listed_and_counted(self, store: Store) -> None:
        """Newest first; what may have gone out counts as gone out."""
        with store.write() as tx:
            tx.outbox.put(
                [
                    new_send("a", status=SENT, status_at=100),
                    new_send("b", status=UNKNOWN, status_at=200),
                    new_send("c", status=SENT, status_at=200, journey="review", customer=2),
                    new_send("d", status=QUEUED, status_at=200),
                    new_send("e", status=SENT, status_at=200, kind="task"),
                ]
            )
            assert keys(tx.outbox.newest()) == ["e", "d", "c", "b", "a"]
            assert keys(tx.outbox.newest(journey="refill", limit=2)) == ["e", "d"]
            assert keys(tx.outbox.of(2)) == ["c"]
            assert tx.outbox.sent_since(150) == {"refill": 1, "review": 1}
            assert tx.outbox.by_status() == {"queued": 1, "sent": 3, "unknown": 1}
            assert tx.outbox.counts() == {
                ("refill", "remind", "queued"): 1,
                ("refill", "remind", "sent"): 2,
                ("refill", "remind", "unknown"): 1,
                ("review", "remind", "sent"): 1,
            }

    def test_the_mailbox_keeps_a_message_once(self, store: Store) -> None:
        """Newest first, by customer where one is asked for."""
        first = new_mail("a", headers={"List-Unsubscribe": "<x>"}, subject="Ä 🎁")
        with store.write() as tx:
            assert tx.mailbox.catch(first)
            assert tx.mailbox.catch(new_mail("b", 2))
            assert not tx.mailbox.catch(new_mail("a", subject="another"))
        with store.read() as tx:
            assert tx.mailbox.get("a") == first
            assert tx.mailbox.get("c") is None
            assert [mail.key for mail in tx.mailbox.newest()] == ["b", "a"]
            assert [mail.key for mail in tx.mailbox.newest(limit=1)] == ["b"]
            assert [mail.key for mail in tx.mailbox.newest(customer=1)] == ["a"]
            assert tx.mailbox.total() == 2


def keys(sends: Sequence[Send]) -> list[str]:
    """The keys of sends."""
    return [send.key for send in sends]
