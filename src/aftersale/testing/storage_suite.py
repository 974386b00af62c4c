"""Does a store keep what `programme/ports.py` promises?

Inherit from `StorageSuite` in a test class of your own and give pytest a fixture `store` that
makes an empty store of the adapter in question; each test is one sentence of the promise.
"""

import threading
from collections.abc import Iterable

import msgspec

from aftersale.events.event import Entry, Ref
from aftersale.events.vocabulary import CatalogueUpdated, OrderShipped, encode_body
from aftersale.kernel.ids import digest16
from aftersale.ledger.ports import Conflict, PersonalRow
from aftersale.programme.ports import Deployment, Store
from aftersale.testing.storage_examples import (
    Undone,
    disturb,
    everything,
    fill,
    merged,
    new_decision,
    new_entry,
    new_mail,
    new_request,
    new_send,
    raises,
    undo,
)
from aftersale.testing.storage_key_suite import KeySuite
from aftersale.testing.storage_request_suite import RequestSuite
from aftersale.testing.storage_shard_suite import ShardSuite
from aftersale.testing.storage_turn_suite import TurnSuite
from aftersale.turn.ports import StateRow


class StorageSuite(TurnSuite, ShardSuite, KeySuite, RequestSuite):
    """One test a sentence; every adapter passes all of them."""

    # --- transactions ---------------------------------------------------------------------

    def test_a_new_store_is_empty(self, store: Store) -> None:
        """Nothing is there, and asking for it is no error."""
        with store.read() as tx:
            assert tx.ledger.last() == 0
            assert tx.ledger.newest_at() is None
            assert tx.ledger.oldest_after(0) is None
            assert tx.ledger.read(0, 10) == []
            assert tx.identities.last() == 0
            assert tx.states.count() == 0
            assert tx.states.next_alarm() is None
            assert tx.journal.last() is None
            assert tx.decisions.total() == 0
            assert list(tx.outbox.all()) == []
            assert tx.mailbox.total() == 0
            assert tx.deployments.latest() is None
            assert tx.meta.get("mode") is None
            assert tx.api_keys.all() == []
            assert tx.requests.newest(10) == []
            assert tx.requests.counts() == []

    def test_a_write_sees_itself_and_later_readers_see_it(self, store: Store) -> None:
        """Reading inside the writing block already finds what it wrote."""
        with store.write() as tx:
            tx.ledger.append([new_entry("a")])
            tx.meta.set("mode", "live")
            assert tx.ledger.last() == 1
            assert tx.meta.get("mode") == "live"
        with store.read() as tx:
            assert [entry.id for entry in tx.ledger.read(0, 10)] == ["a"]
            assert tx.meta.get("mode") == "live"

    def test_a_block_that_fails_leaves_nothing(self, store: Store) -> None:
        """Every part is as it was before the block."""
        with store.write() as tx:
            fill(tx)
        with store.read() as tx:
            before = everything(tx)
        with raises(Undone), store.write() as tx:
            disturb(tx)
            assert everything(tx) != before
            undo()
        with store.read() as tx:
            assert everything(tx) == before

    def test_numbers_continue_after_an_undone_block_as_if_it_had_not_been(
        self, store: Store
    ) -> None:
        """Positions and customers have no gaps."""
        with raises(Undone), store.write() as tx:
            tx.ledger.append([new_entry("a")])
            tx.identities.create(3, 1)
            undo()
        with store.write() as tx:
            assert tx.ledger.append([new_entry("b", type="other.type")]) == [1]
            assert tx.identities.create(2, 1) == 1
            assert tx.ledger.read(0, 1)[0].type == "other.type"

    def test_a_view_for_reading_cannot_write(self, store: Store) -> None:
        """Writing in it is an error, and nothing is written."""
        with store.read() as tx:
            for write in (
                lambda: tx.ledger.append([new_entry("a")]),
                lambda: tx.identities.create(1, 1),
                lambda: tx.states.save([StateRow(1, 0, b"", None)]),
                lambda: tx.outbox.put([new_send("k")]),
                lambda: tx.mailbox.catch(new_mail("k")),
                lambda: tx.meta.set("mode", "live"),
                lambda: tx.personal.erase(1, 1, ()),
                lambda: tx.requests.keep([new_request("a")]),
                lambda: tx.requests.settle(1, "translated", ()),
                lambda: tx.requests.prune(1, 1),
            ):
                with raises(RuntimeError):
                    write()
        with store.read() as tx:
            assert tx.ledger.last() == 0

    def test_no_block_begins_inside_one_that_writes(self, store: Store) -> None:
        """It would wait for itself, or see a store without its own changes."""
        with store.write():
            with raises(RuntimeError), store.write():
                pass
            with raises(RuntimeError), store.read():
                pass
        with store.read() as one, store.read() as other:
            assert one.ledger.last() == other.ledger.last()

    def test_readers_beside_a_writer_see_whole_transactions(self, store: Store) -> None:
        """Two readers never find an event without its customer's state."""
        torn: list[tuple[int, int]] = []
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                with store.read() as tx:
                    seen = (tx.ledger.last(), tx.states.count())
                if seen[0] != seen[1]:
                    torn.append(seen)

        readers = [threading.Thread(target=look) for _ in range(2)]
        for reader in readers:
            reader.start()
        for n in range(1, 31):
            with store.write() as tx:
                tx.ledger.append([new_entry(str(n), n)])
                tx.states.save([StateRow(n, 0, b"", None)])
        done.set()
        for reader in readers:
            reader.join()
        assert torn == []

    def test_writers_of_several_threads_come_one_after_the_other(self, store: Store) -> None:
        """No position is given twice and none is left out."""

        def add(name: str) -> None:
            for n in range(10):
                with store.write() as tx:
                    tx.ledger.append([new_entry(f"{name}{n}")])

        writers = [threading.Thread(target=add, args=(name,)) for name in "abc"]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        with store.read() as tx:
            assert [entry.position for entry in tx.ledger.read(0, 100)] == list(range(1, 31))

    # --- the ledger -----------------------------------------------------------------------

    def test_entries_come_back_as_they_were_told(self, store: Store) -> None:
        """Every field, in the order of positions, in slices of (after, upto]."""
        rows = [
            new_entry("ä 🎁", 7, 300, history=True, shop="", source="web"),
            new_entry("b", 0, 200, type="never.heard", payload=b"\x80"),
            new_entry("c", 8, 100),
        ]
        with store.write() as tx:
            assert tx.ledger.append(rows[:2]) == [1, 2]
            assert tx.ledger.append([]) == []
            assert tx.ledger.append(rows[2:]) == [3]
        with store.read() as tx:
            read = tx.ledger.read(0, 10)
            assert [
                (e.customer, e.type, e.at, e.received_at, e.shop, e.source, e.id, e.history)
                for e in read
            ] == [
                (r.customer, r.type, r.at, r.received_at, r.shop, r.source, r.id, r.history)
                for r in rows
            ]
            assert read[0].body == OrderShipped(order="ä 🎁")
            assert [e.position for e in tx.ledger.read(1, 1)] == [2]
            assert [e.position for e in tx.ledger.read(0, 10, upto=2)] == [1, 2]
            assert tx.ledger.read(3, 10) == []
            assert tx.ledger.last() == 3
            assert tx.ledger.newest_at() == 300
            assert tx.ledger.oldest_after(1) == 205

    def test_an_event_is_seen_once_for_ever(self, store: Store) -> None:
        """Its place and its digest are known; adding it again spoils the whole block."""
        rows = [new_entry(str(n)) for n in range(1200)]
        with store.write() as tx:
            tx.ledger.append(rows)
        with store.read() as tx:
            asked = [row.key for row in rows] + [digest16("shop", "new")]
            assert tx.ledger.seen(asked) == {
                row.key: (position, row.digest) for position, row in enumerate(rows, start=1)
            }
        with raises(ValueError), store.write() as tx:
            with raises(ValueError):
                tx.ledger.append([new_entry("new"), rows[3]])
            tx.meta.set("mode", "live")
        with store.read() as tx:
            assert (tx.ledger.last(), tx.meta.get("mode")) == (1200, None)

    def test_a_contradicting_telling_is_kept_once(self, store: Store) -> None:
        """The newest conflict comes first, the same content counts once."""
        first = Conflict(1, "shop", "a", 500, "order.shipped", 100, b"\x80")
        other = msgspec.structs.replace(first, payload=b"\x81\xa1a\x01")
        again = msgspec.structs.replace(first, received_at=600)
        with store.write() as tx:
            tx.ledger.add_conflicts([first, other])
            tx.ledger.add_conflicts([again])
            assert tx.ledger.conflicts() == [other, first]
            assert tx.ledger.conflicts(limit=1) == [other]

    def test_a_customers_events_come_by_time(self, store: Store) -> None:
        """Ordered by (customer, at, position), cut by id and by instant."""
        with store.write() as tx:
            tx.ledger.append(
                [
                    new_entry("a", 3, 300),
                    new_entry("b", 2, 200),
                    new_entry("c", 3, 100),
                    new_entry("d", 2, 200),
                    new_entry("e", 9, 50),
                ]
            )
        with store.read() as tx:
            assert ids(tx.ledger.of_customers(2, 3)) == ["b", "d", "c", "a"]
            assert ids(tx.ledger.of_customers(1, 10**12)) == ["b", "d", "c", "a", "e"]
            assert ids(tx.ledger.of_customers(2, 3, until=200)) == ["b", "d", "c"]
            assert ids(tx.ledger.of_customers(4, 8)) == []

    def test_entries_are_found_by_their_places(self, store: Store) -> None:
        """In any order, and those that are not there are left out."""
        with store.write() as tx:
            tx.ledger.append([new_entry(name, n) for n, name in enumerate("abc")])
        with store.read() as tx:
            found = tx.ledger.entries([3, 1, 9])
            assert {position: entry.id for position, entry in found.items()} == {1: "a", 3: "c"}
            assert found[3] == tx.ledger.read(2, 1)[0]
            assert tx.ledger.entries([]) == {}

    def test_what_concerns_everybody_is_found_by_its_type(self, store: Store) -> None:
        """Customer 0, and only that type."""
        body = encode_body(CatalogueUpdated())
        with store.write() as tx:
            tx.ledger.append(
                [
                    new_entry("a", 0, type="catalogue.updated", payload=body),
                    new_entry("guest", 0),
                    new_entry("b", 0, type="catalogue.updated", payload=body),
                    new_entry("c", 5, type="catalogue.updated", payload=body),
                ]
            )
        with store.read() as tx:
            assert ids(tx.ledger.everybodys("catalogue.updated")) == ["a", "b"]
            assert tx.ledger.everybodys("calibration.fitted") == []

    def test_the_next_entry_that_concerns_everybody_is_found(self, store: Store) -> None:
        """Of any of the types, customer 0, and behind the position."""
        kinds = ["catalogue.updated", "calibration.fitted"]
        with store.write() as tx:
            tx.ledger.append(
                [
                    new_entry("a", 0, type="catalogue.updated"),
                    new_entry("guest", 0),
                    new_entry("b", 5, type="catalogue.updated"),
                    new_entry("c", 0, type="calibration.fitted"),
                    new_entry("d", 0, type="catalogue.updated"),
                ]
            )
        with store.read() as tx:
            found = [tx.ledger.next_of_everybody(after, kinds) for after in range(6)]
            assert found == [1, 4, 4, 4, 5, None]
            assert tx.ledger.next_of_everybody(0, kinds[1:]) == 4
            assert tx.ledger.next_of_everybody(0, ["unheard.of"]) is None

    # --- customers ------------------------------------------------------------------------

    def test_a_customer_is_found_by_any_of_its_refs(self, store: Store) -> None:
        """The kind belongs to the ref; binding again changes whom it means."""
        mail, phone = Ref("email", "ada@example.com"), Ref("phone", "+491")
        with store.write() as tx:
            assert tx.identities.create(2, 10) == 1
            assert tx.identities.create(1, 11) == 3
            tx.identities.bind([(mail, 1), (phone, 1)])
            tx.identities.bind([(phone, 2)])
        with store.read() as tx:
            asked = [mail, phone, Ref("customer", mail.value)]
            assert tx.identities.find(asked) == {mail: 1, phone: 2}
            assert tx.identities.refs_of(1) == [mail]
            assert tx.identities.last() == 3

    def test_a_customer_is_found_by_the_end_of_a_shops_id(self, store: Store) -> None:
        """Whichever the shop; an address or a part of a number is none."""
        with store.write() as tx:
            tx.identities.create(4, 1)
            refs = {
                Ref("customer", "main/471"): 1,
                Ref("order", "outlet/471"): 2,
                Ref("order", "main/471"): 1,
                Ref("order", "main/8471"): 3,
                Ref("email", "a/471"): 4,
            }
            tx.identities.bind(list(refs.items()))
            assert tx.identities.ending("471") == [1, 2]
            assert tx.identities.ending("%") == []

    def test_of_one_ref_bound_twice_the_later_binding_stands(self, store: Store) -> None:
        """Within one call too, whatever the order of the ids."""
        email = Ref("email", "a")
        with store.write() as tx:
            tx.identities.create(2, 1)
            tx.identities.bind([(email, 2), (email, 1)])
            assert tx.identities.find([email]) == {email: 1}

    def test_an_absorbed_customer_points_to_the_survivor_for_ever(self, store: Store) -> None:
        """Also over several merges; the ledger keeps whom an event was admitted for."""
        with store.write() as tx:
            merged(tx, 3, 2)
            tx.identities.point(2, 1)
            tx.identities.point(3, 1)
            tx.identities.bind([(Ref("phone", "+493"), 3)])
        with store.read() as tx:
            assert [tx.identities.living(customer) for customer in (1, 2, 3, 4)] == [1, 1, 1, 4]
            refs = tx.identities.refs_of(1)
            assert refs == [
                Ref("email", "2@example.com"),
                Ref("email", "3@example.com"),
                Ref("phone", "+493"),
            ]
            assert set(tx.identities.find(refs).values()) == {1}
            assert tx.identities.refs_of(3) == []
            assert tx.identities.refs_of_many([3, 1, 9]) == {1: refs, 3: [], 9: []}
            assert [entry.customer for entry in tx.ledger.read(0, 10)] == [3, 2]
            assert [e.customer for e in tx.ledger.of_customers(1, 1)] == [1, 1]
            assert list(tx.ledger.of_customers(2, 3)) == []

    def test_what_names_a_person_is_the_union_of_what_was_told(self, store: Store) -> None:
        """The latest telling of a field wins; the first row of a position stays."""
        with store.write() as tx:
            tx.personal.put(
                [
                    PersonalRow(1, 2, 200, msgspec.msgpack.encode({"name": "Ada L."})),
                    PersonalRow(1, 1, 100, msgspec.msgpack.encode({"name": "A", "city": "Ulm"})),
                    PersonalRow(2, 3, 100, msgspec.msgpack.encode({"name": "Ben"})),
                ]
            )
            tx.personal.put([PersonalRow(1, 1, 900, msgspec.msgpack.encode({"name": "?"}))])
        with store.read() as tx:
            assert [row.position for row in tx.personal.of(1)] == [1, 2]
            assert tx.personal.of_many([1, 2, 3]) == {
                1: {"name": "Ada L.", "city": "Ulm"},
                2: {"name": "Ben"},
                3: {},
            }
            assert tx.personal.of_events([9, 1]) == {1: {"name": "A", "city": "Ulm"}, 9: {}}

    def test_a_merged_person_is_shown_whole(self, store: Store) -> None:
        """Asked by either id, what either was told is there."""
        with store.write() as tx:
            merged(tx, 2, 1)
            tx.outbox.put([new_send("a", 2), new_send("b", 1)])
            tx.mailbox.catch(new_mail("a", 2))
            tx.decisions.append(1, [new_decision(2, 1), new_decision(1, 1)])
        with store.read() as tx:
            for customer in (1, 2):
                told = tx.personal.of_many([customer])[customer]
                assert told == {"name": "N2", "only1": 1, "only2": 1}
                assert len(tx.personal.of(customer)) == 2
                assert [send.key for send in tx.outbox.of(customer)] == ["b", "a"]
                assert [m.key for m in tx.mailbox.newest(customer=customer)] == ["a"]
                assert [d.customer for d in tx.decisions.of(customer)] == [1, 2]

    def test_erasing_leaves_nothing_that_names_the_person(self, store: Store) -> None:
        """Under none of its ids; facts, decisions and other people stay."""
        with store.write() as tx:
            merged(tx, 2, 1)
            tx.identities.create(1, 1)
            tx.identities.bind([(Ref("email", "ben@example.com"), 3)])
            for customer in (1, 2, 3):
                tx.outbox.put([new_send(f"k{customer}", customer)])
                tx.mailbox.catch(new_mail(f"k{customer}", customer))
                tx.states.save([StateRow(customer, 0, b"facts", None)])
        with store.write() as tx:
            assert tx.personal.erase(2, 700, [b"h1", b"h2"]) == {
                "personal": 2,
                "identities": 2,
                "outbox": 2,
                "mailbox": 2,
                "requests": 0,
            }
        with store.read() as tx:
            assert tx.personal.of(1) == []
            assert tx.personal.of_many([1, 2]) == {1: {}, 2: {}}
            assert tx.personal.of_events([1]) == {1: {}}
            assert tx.identities.find([Ref("email", f"{n}@example.com") for n in (1, 2)]) == {}
            assert [send.values for send in tx.outbox.of(1)] == [{}, {}]
            assert tx.outbox.of(3)[0].values == {"product": "coffee", "lines": [1, 2]}
            assert [mail.customer for mail in tx.mailbox.newest()] == [3]
            assert tx.identities.refs_of(3) == [Ref("email", "ben@example.com")]
            assert tx.ledger.last() == 2
            assert tx.states.count() == 3
            assert tx.personal.erasures() == [(1, 700), (2, 700)]
            assert tx.personal.suppressed([b"h2", b"h3"]) == {b"h2"}
        with store.write() as tx:
            assert sum(tx.personal.erase(1, 800, []).values()) == 0

    # --- the store's own ------------------------------------------------------------------

    def test_every_version_of_the_programme_is_kept(self, store: Store) -> None:
        """Complete; the history leaves the files out."""
        one = Deployment(1, "d1", 100, {"journeys/refill.yaml": "journey: refill"}, "first")
        two = Deployment(2, "d2", 200, {})
        with store.write() as tx:
            tx.deployments.add(one)
            tx.deployments.add(two)
        with raises(ValueError), store.write() as tx:
            tx.deployments.add(one)
        with store.read() as tx:
            assert tx.deployments.get(1) == one
            assert tx.deployments.get(3) is None
            assert tx.deployments.latest() == two
            assert tx.deployments.history() == [two, Deployment(1, "d1", 100, {}, "first")]

    def test_named_values_may_be_anything_like_json(self, store: Store) -> None:
        """And bytes; the last one set counts."""
        value = {"a": [1, 2.5, None, True, "ä"], "secret": b"\x00\xff", "big": 2**53}
        with store.write() as tx:
            tx.meta.set("x", 1)
            tx.meta.set("x", value)
            assert tx.meta.get("x") == value

    def test_a_store_tells_how_much_it_keeps(self, store: Store) -> None:
        """For doctor: at least one number a table."""
        with store.write() as tx:
            tx.ledger.append([new_entry("a"), new_entry("b")])
            tx.states.save([StateRow(1, 0, b"", None)])
        told = store.describe()
        assert (told["rows"]["events"], told["rows"]["states"]) == (2, 1)
        assert told["rows"]["mailbox"] == 0


def ids(entries: Iterable[Entry]) -> list[str]:
    """The senders' ids of entries."""
    return [entry.id for entry in entries]
