"""Does a store deal its customers out to workers as `turn/shards.py` and its `Store` promise?"""

import threading

from aftersale.events.vocabulary import CustomerMerged, encode_body
from aftersale.kernel.ids import CustomerId
from aftersale.ledger.ports import NewEntry
from aftersale.programme.ports import Store
from aftersale.testing.storage_examples import Undone, new_entry, new_send, raises, undo
from aftersale.turn.ports import StateRow
from aftersale.turn.shards import Lease, LeaseLost, Shard, shard_of

LONG = 1_000.0
"""Seconds that no test lasts."""


class ShardSuite:
    """One test a sentence; part of `StorageSuite`. True for one shard and for several."""

    def test_a_new_store_has_read_nothing(self, store: Store) -> None:
        """Every shard stands at the beginning and belongs to nobody."""
        with store.read() as tx:
            assert tx.shards.all() == [Shard(n) for n in range(tx.shards.count)]
            assert (tx.shards.holders(), tx.shards.workers(), tx.shards.mine()) == ({}, [], ())

    def test_work_without_a_lease_is_work_on_every_shard(self, store: Store) -> None:
        """How far a shard has come is kept, and its clock never goes back."""
        with store.work() as tx:
            every = tx.shards.mine()
            assert every == tuple(range(tx.shards.count))
            tx.shards.passed(every, 7, 100)
            tx.shards.passed(every[:1], 9, 90)
        with store.read() as tx:
            first, *others = tx.shards.all()
            assert first == Shard(0, 9, 100)
            assert others == [Shard(n, 7, 100) for n in every[1:]]

    def test_a_sweep_is_asked_for_and_noted_as_done(self, store: Store) -> None:
        """Of all shards or of some."""
        with store.write() as tx:
            tx.shards.sweep(None, wanted=True)
        with store.work() as tx:
            assert all(shard.sweep for shard in tx.shards.all())
            tx.shards.sweep([0], wanted=False)
        with store.read() as tx:
            assert [s.number for s in tx.shards.all() if not s.sweep] == [0]

    def test_a_block_that_fails_leaves_shards_as_they_were(self, store: Store) -> None:
        """Neither place nor sweep is kept."""
        with raises(Undone), store.work() as tx:
            tx.shards.passed([0], 7, 100)
            tx.shards.sweep([0], wanted=True)
            undo()
        with store.read() as tx:
            assert tx.shards.all()[0] == Shard(0)

    def test_one_worker_holds_every_shard(self, store: Store) -> None:
        """As long as nobody else is there; asking again renews and keeps the tokens."""
        lease = store.lease("ada", LONG)
        with store.read() as tx:
            every = range(tx.shards.count)
            assert sorted(lease.tokens) == list(every)
            assert tx.shards.holders() == dict.fromkeys(every, "ada")
            assert tx.shards.workers() == ["ada"]
        assert store.lease("ada", LONG) == lease
        with store.work(lease) as tx:
            assert tx.shards.mine() == tuple(every)
            tx.shards.passed(tx.shards.mine(), 3, 5)

    def test_nothing_is_taken_from_who_is_alive(self, store: Store) -> None:
        """A second worker gets what the first gives up, and no shard has two holders."""
        store.lease("ada", LONG)
        assert store.lease("ben", LONG).tokens == {}
        first = store.lease("ada", LONG)
        second = store.lease("ben", LONG)
        with store.read() as tx:
            count = tx.shards.count
            assert sorted([*first.tokens, *second.tokens]) == list(range(count))
            assert abs(len(first.tokens) - len(second.tokens)) <= 1
            assert tx.shards.workers() == ["ada", "ben"]

    def test_a_lease_that_ran_out_is_taken_over(self, store: Store) -> None:
        """The new holder has higher tokens; what the old one does comes to nothing."""
        old = store.lease("ada", 0.0)
        new = store.lease("ben", LONG)
        assert sorted(new.tokens) == sorted(old.tokens)
        assert all(new.tokens[n] > old.tokens[n] for n in old.tokens)
        with raises(LeaseLost), store.work(old) as tx:
            tx.states.save([StateRow(1, 0, b"", None)])
            tx.shards.passed(tx.shards.mine(), 1, 1)
        store.renew(old, LONG)
        with store.work(new) as tx:
            assert tx.states.count() == 0
            assert set(tx.shards.holders().values()) == {"ben"}

    def test_a_worker_may_work_on_some_of_its_shards(self, store: Store) -> None:
        """What it holds beside them does not matter; one that it does not hold does."""
        lease = store.lease("ada", LONG)
        (number, token), *rest = lease.tokens.items()
        with store.work(Lease("ada", {number: token})) as tx:
            assert tx.shards.mine() == (number,)
            tx.shards.passed(tx.shards.mine(), 3, 5)
            moved = {shard.number for shard in tx.shards.all() if shard.upto}
            assert moved == {number}
        for _, other in rest[:1]:
            with raises(LeaseLost), store.work(Lease("ada", {number: other + 1})):
                pass

    def test_a_renewed_lease_holds_on(self, store: Store) -> None:
        """Renewing takes nothing that was given up."""
        lease = store.lease("ada", LONG)
        store.renew(lease, LONG)
        with store.read() as tx:
            assert set(tx.shards.holders().values()) == {"ada"}
        store.release("ada")
        store.renew(lease, LONG)
        with store.read() as tx:
            assert tx.shards.holders() == {}

    def test_who_ends_leaves_everything_to_the_others(self, store: Store) -> None:
        """At once, without waiting for the lease to run out."""
        lease = store.lease("ada", LONG)
        store.release("ada")
        with raises(LeaseLost), store.work(lease) as tx:
            tx.shards.passed([0], 1, 1)
        with store.read() as tx:
            assert tx.shards.workers() == []
            assert len(store_shards := tx.shards.all()) == tx.shards.count
        assert len(store.lease("ben", LONG).tokens) == len(store_shards)

    def test_an_empty_lease_writes_beside_the_workers(self, store: Store) -> None:
        """It holds no shard, so it takes nobody's place."""
        store.lease("ada", LONG)
        with store.work(Lease("page")) as tx:
            assert tx.shards.mine() == ()
            tx.outbox.put([new_send("k")])
        with store.read() as tx:
            assert tx.outbox.get("k") is not None

    def test_work_on_shards_appends_nothing(self, store: Store) -> None:
        """Only a block that writes alone may, or positions could be read in the wrong order."""
        with store.work() as tx, raises(RuntimeError):
            tx.ledger.append([new_entry("a")])

    def test_look_ups_are_narrowed_to_shards(self, store: Store) -> None:
        """Entries of others stay out, but for merges and what concerns everybody."""
        entries = [new_entry(str(n), n % 7) for n in range(1, 60)]
        body = encode_body(CustomerMerged(absorbed=9))
        entries[20] = new_entry("merge", 3, type="customer.merged", payload=body)
        with store.write() as tx:
            count = tx.shards.count
            tx.ledger.append(entries)
            tx.states.save([StateRow(n, 0, b"", 100 - n) for n in range(1, 40)])
        for shards in ([0], [count - 1], list(range(count))):
            with store.read() as tx:
                found = tx.ledger.read(5, 1_000, upto=50, shards=shards)
                expected = [n for n in range(6, 51) if _concerns(entries[n - 1], shards, count)]
                assert [entry.position for entry in found] == expected
                assert [e.position for e in tx.ledger.read(5, 3, shards=shards)] == expected[:3]
                after = tx.ledger.oldest_after(expected[4], shards=shards)
                assert after == entries[expected[5] - 1].received_at
                due = tx.states.due(80, 1_000, shards=shards)
                sleepers = [n for n in range(39, 19, -1) if shard_of(n, count) in shards]
                assert due == [(n, 100 - n) for n in sleepers]
                assert tx.states.due(80, 2, shards=shards) == due[:2]
        with store.work() as tx:
            tx.outbox.put([new_send(f"k{n:02}", n) for n in range(20)])
            for shards in ([0], [count - 1], list(range(count))):
                keys = [f"k{n:02}" for n in range(20) if shard_of(n, count) in shards]
                assert [s.key for s in tx.outbox.queued(999, 99, shards=shards)] == keys
                assert [s.key for s in tx.outbox.in_state("queued", shards=shards)] == keys
            mine = [n for n in range(1, 40) if shard_of(n, count) == 0]
            assert tx.states.wake_all(7, shards=[0]) == len(mine)
            assert tx.states.due(7, 1_000) == [(n, 7) for n in mine]

    def test_a_value_that_is_held_is_changed_by_one_after_the_other(self, store: Store) -> None:
        """Two workers that each add one to it add two."""

        def add() -> None:
            for _ in range(10):
                with store.work(Lease("me")) as tx:
                    value = tx.meta.get("n", hold=True)
                    tx.meta.set("n", (value or 0) + 1)

        threads = [threading.Thread(target=add) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with store.read() as tx:
            assert tx.meta.get("n") == 20

    def test_a_reader_between_two_open_writers_loses_nothing(self, store: Store) -> None:
        """Whoever ends first: a reader that goes on from the last position it saw sees all."""
        begun, go_on = threading.Event(), threading.Event()
        seen: list[str] = []

        def slow() -> None:
            with store.write() as tx:
                tx.ledger.append([new_entry("slow")])
                begun.set()
                go_on.wait(10)

        def quick() -> None:
            begun.wait(10)
            with store.write() as tx:
                tx.ledger.append([new_entry("quick")])

        def look() -> None:
            with store.read() as tx:
                seen.extend(entry.id for entry in tx.ledger.read(len(seen), 10))

        writers = [threading.Thread(target=slow), threading.Thread(target=quick)]
        for writer in writers:
            writer.start()
        begun.wait(10)
        writers[1].join(0.2)  # long enough for the quick one to be done, if nothing held it back
        reader = threading.Thread(target=look)
        reader.start()
        reader.join(0.2)
        go_on.set()
        for thread in (*writers, reader):
            thread.join()
        look()
        assert sorted(seen) == ["quick", "slow"]


def _concerns(entry: NewEntry, shards: list[int], count: int) -> bool:
    everybodys = entry.customer == 0 or entry.type == "customer.merged"
    return everybodys or shard_of(CustomerId(entry.customer), count) in shards
