"""Does a store keep the requests of providers as `ledger/requests.py` promises?"""

from typing import Any

import msgspec

from aftersale.events.event import Ref
from aftersale.ledger.requests import REFUSED, TRANSLATED, WAITING, Count, NewRequest, Request
from aftersale.programme.ports import Store
from aftersale.testing.storage_examples import Undone, merged, new_request, raises, undo
from aftersale.translation.happening import Passed


class RequestSuite:
    """One test a sentence; part of `StorageSuite`."""

    def test_a_request_comes_back_to_the_byte(self, store: Store) -> None:
        """Every field; a list of many leaves the bodies out."""
        body = bytes(range(256)) * 3
        passed = (Passed("unknown", "moons/risen"), Passed("missing"))
        new = new_request("a", 7, body=body, state=REFUSED, passed=passed, headers={"x": "ä"})
        with store.write() as tx:
            assert tx.requests.keep([new]) == [1]
        kept = Request(1, "shopify", "main", 7, 7, 1, REFUSED, passed, {"x": "ä"}, body)
        with store.read() as tx:
            assert tx.requests.get(1) == kept
            assert tx.requests.get(2) is None
            assert tx.requests.newest(5) == [msgspec.structs.replace(kept, body=b"")]
            assert tx.requests.open(0, 5) == [kept]

    def test_a_request_counts_once_and_each_time_it_comes_again_is_noted(
        self, store: Store
    ) -> None:
        """Also twice in one transaction, and whatever its second body says."""
        with store.write() as tx:
            again = new_request("a", 9, body=b"other")
            assert tx.requests.keep([new_request("a", 5), again]) == [1, None]
        with store.write() as tx:
            assert tx.requests.keep([new_request("b", 3), new_request("a", 4)]) == [2, None]
        with store.read() as tx:
            one = tx.requests.get(1)
            assert one is not None
            assert (one.times, one.received_at, one.last_at, one.body) == (3, 5, 9, b"{}")

    def test_an_undone_block_keeps_no_request(self, store: Store) -> None:
        """Neither a new one, nor that an old one came again; numbers go on without a gap."""
        with store.write() as tx:
            tx.requests.keep([new_request("a", 5)])
        with raises(Undone), store.write() as tx:
            tx.requests.keep([new_request("a", 6), new_request("b", 6)])
            undo()
        with store.write() as tx:
            one = tx.requests.get(1)
            assert one is not None
            assert one.times == 1
            assert tx.requests.keep([new_request("b", 7)]) == [2]

    def test_requests_are_found_by_state_and_provider(self, store: Store) -> None:
        """The newest first; those that are open by number, from one on."""
        with store.write() as tx:
            tx.requests.keep([_of(n) for n in range(6)])
        with store.read() as tx:
            found = tx.requests
            assert _numbers(found.newest(4)) == [6, 5, 4, 3]
            assert _numbers(found.newest(9, states=[REFUSED])) == [5, 2]
            assert _numbers(found.newest(9, states=[REFUSED, WAITING])) == [6, 5, 3, 2]
            assert _numbers(found.newest(9, provider="stripe")) == [6, 4, 2]
            assert _numbers(found.open(0, 3)) == [2, 3, 5]
            assert _numbers(found.open(3, 3)) == [5, 6]
            assert found.counts() == [
                Count("shopify", REFUSED, 1, 104),
                Count("shopify", TRANSLATED, 1, 100),
                Count("shopify", WAITING, 1, 102),
                Count("stripe", REFUSED, 1, 101),
                Count("stripe", TRANSLATED, 1, 103),
                Count("stripe", WAITING, 1, 105),
            ]

    def test_what_became_of_a_request_can_be_said_again(self, store: Store) -> None:
        """Of one that is not there nothing is changed."""
        with store.write() as tx:
            tx.requests.keep([new_request("a", 5, state=REFUSED, passed=(Passed("unknown"),))])
            tx.requests.settle(1, TRANSLATED, [Passed("test")])
            tx.requests.settle(9, TRANSLATED, [])
        with store.read() as tx:
            one = tx.requests.get(1)
            assert one is not None
            assert (one.state, one.passed) == (TRANSLATED, (Passed("test"),))
            assert tx.requests.open(0, 5) == []

    def test_what_was_understood_is_forgotten_in_time_and_the_rest_later(
        self, store: Store
    ) -> None:
        """Counted from when it came last; then it may come anew."""
        with store.write() as tx:
            tx.requests.keep([_of(n) for n in range(6)])
            tx.requests.keep([new_request("0", 900)])
            tx.requests.concern([(1, 1), (4, 1)])
        with store.write() as tx:
            assert tx.requests.prune(103, 0) == 0
            assert tx.requests.prune(104, 0) == 1
            assert _numbers(tx.requests.newest(9)) == [6, 5, 3, 2, 1]
            assert tx.requests.keep([_of(3)]) == [7]
            assert tx.requests.naming(1) == [1]
        with store.write() as tx:
            left = [tx.requests.get(number) for number in _numbers(tx.requests.newest(9))]
            others = [one.last_at for one in left if one and one.state != TRANSLATED]
            assert others
            assert tx.requests.prune(0, max(others)) == sum(at < max(others) for at in others)
            assert tx.requests.prune(0, max(others) + 1) == others.count(max(others))
            states = [tx.requests.get(number) for number in _numbers(tx.requests.newest(9))]
            assert all(one and one.state == TRANSLATED for one in states)

    def test_an_erasure_takes_the_bodies_that_name_the_person(self, store: Store) -> None:
        """Known to be about them, or about nobody known and with one of their ids in it."""
        with store.write() as tx:
            merged(tx, 2, 1)
            tx.identities.create(1, 1)
            tx.identities.bind([(Ref("phone", "+491701234567"), 1)])
            bodies = [
                b'{"id": 1}',
                b'{"id": 2}',
                b'{"mail": "1@EXAMPLE.com"}',
                b"To=%2B49+170+1234567",
                b'{"mail": "1\\u0040example.com"}',
                b'{"mail": "11@example.com"}',
                b'{"mail": "1@example.com"}',
            ]
            new = [new_request(str(n), n, body=body) for n, body in enumerate(bodies)]
            tx.requests.keep(new)
            tx.requests.concern([(1, 1), (1, 1), (2, 2), (7, 3)])
        with store.write() as tx:
            assert tx.requests.naming(2) == [1, 2, 3, 4, 5]
            assert tx.personal.erase(2, 700, [])["requests"] == 5
            assert tx.requests.naming(2) == []
        with store.read() as tx:
            kept = [tx.requests.get(number) for number in range(1, 8)]
        assert [one.body for one in kept if one] == [b""] * 5 + bodies[5:]
        assert [one.headers for one in kept if one][:5] == [{}] * 5
        assert [one.times for one in kept if one] == [1] * 7


def _of(n: int) -> NewRequest:
    state: Any = (TRANSLATED, REFUSED, WAITING)[n % 3]
    return new_request(str(n), 100 + n, state=state, provider=("shopify", "stripe")[n % 2])


def _numbers(requests: list[Request]) -> list[int]:
    return [one.number for one in requests]
