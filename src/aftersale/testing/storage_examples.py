"""What can be put into a store to try it out?"""

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec

from aftersale.delivery.ports import Caught, Send
from aftersale.events.event import Ref
from aftersale.events.vocabulary import OrderShipped, encode_body
from aftersale.kernel.ids import CustomerId, digest16
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import Conflict, NewEntry, PersonalRow
from aftersale.ledger.requests import REFUSED, TRANSLATED, NewRequest
from aftersale.programme.api_keys import ApiKey
from aftersale.programme.ports import Deployment, Transaction
from aftersale.translation.happening import Passed
from aftersale.turn.decision import Decision
from aftersale.turn.ports import StateRow, TurnRecord


def new_entry(name: str, customer: CustomerId = 1, at: Instant = 100, **changes: Any) -> NewEntry:
    """An event that is told apart by its name; `changes` are fields of the entry."""
    entry = NewEntry(
        key=digest16("shop", name),
        digest=digest16(name)[:8],
        customer=customer,
        type="order.shipped",
        at=at,
        received_at=at + 5,
        shop="main",
        source="shop",
        id=name,
        history=False,
        payload=encode_body(OrderShipped(order=name)),
    )
    return msgspec.structs.replace(entry, **changes)


def new_send(key: str, customer: CustomerId = 1, **changes: Any) -> Send:
    """A message of the journey `refill` that waits; `changes` are fields of the send."""
    send = Send(
        key=key,
        customer=customer,
        seq=1,
        journey="refill",
        version=1,
        run="r1",
        step="remind",
        channel="email",
        purpose="marketing",
        template="refill-reminder",
        decided_at=100,
        useful_until=None,
        state_version=1,
        values={"product": "coffee", "lines": [1, 2]},
    )
    return msgspec.structs.replace(send, **changes)


def new_decision(customer: CustomerId, seq: int, **changes: Any) -> Decision:
    """A message that goes out; `changes` are fields of the decision."""
    decision = Decision(customer, seq, 100, 101, "send", "refill", 1, "r1", "remind", "allowed")
    return msgspec.structs.replace(decision, **changes)


def new_mail(key: str, customer: CustomerId = 1, **changes: Any) -> Caught:
    """A message in the mailbox; `changes` are its fields."""
    mail = Caught(key, customer, 100, "ada@example.com", "Hello", "<p>Hello</p>", "Hello")
    return msgspec.structs.replace(mail, **changes)


def new_request(name: str, at: Instant = 100, **changes: Any) -> NewRequest:
    """A request of a shop that was understood; `changes` are its fields."""
    request = NewRequest(
        digest16("request", name), "shopify", "main", at, {"content-type": "x"}, b"{}", TRANSLATED
    )
    return msgspec.structs.replace(request, **changes)


@contextlib.contextmanager
def raises(kind: type[BaseException]) -> Iterator[None]:
    """The block ends with an error of that kind."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"no {kind.__name__} was raised")


class Undone(Exception):
    """Leaves a block so that nothing of it is kept."""


def undo() -> None:
    """Leave the block."""
    raise Undone


def new_turn(turn: int, **changes: Any) -> TurnRecord:
    """The journal's line of a turn; `changes` are its fields."""
    line = TurnRecord(
        turn, now=turn, own=False, after=turn - 1, upto=turn, rings=0, programme=1, engine="0.1"
    )
    return msgspec.structs.replace(line, **changes)


def merged(tx: Transaction, absorbed: CustomerId, survivor: CustomerId) -> None:
    """Two customers become one, each with an event, a ref and something personal."""
    tx.identities.create(max(absorbed, survivor), 1)
    for customer in (absorbed, survivor):
        (position,) = tx.ledger.append([new_entry(f"of {customer}", customer)])
        tx.identities.bind([(Ref("email", f"{customer}@example.com"), customer)])
        data = msgspec.msgpack.encode({"name": f"N{customer}", f"only{customer}": 1})
        tx.personal.put([PersonalRow(customer, position, customer, data)])
    tx.identities.point(absorbed, survivor)


def fill(tx: Transaction) -> None:
    """Put something into every part of an empty store."""
    merged(tx, 2, 1)
    tx.ledger.add_conflicts([Conflict(1, "shop", "a", 500, "order.shipped", 100, b"\x80")])
    tx.states.save([StateRow(1, 0, b"one", 10), StateRow(2, 0, b"one", None)])
    tx.journal.append(new_turn(1))
    tx.decisions.append(1, [new_decision(1, 1)])
    tx.outbox.put([new_send("a"), new_send("b", 2)])
    tx.mailbox.catch(new_mail("a"))
    tx.mailbox.catch(new_mail("b"))
    tx.deployments.add(Deployment(1, "d1", 100, {}))
    tx.meta.set("mode", "live")
    tx.api_keys.add(ApiKey("k1", "", "secret", ("read",), "", b"1", 1))
    refused = new_request("b", state=REFUSED, passed=(Passed("unknown", "moons"),))
    tx.requests.keep([new_request("a"), refused])
    tx.requests.concern([(1, 1)])


def disturb(tx: Transaction) -> None:
    """Change something in every part of a store that was filled."""
    tx.ledger.append([new_entry("new", 3, 900, type="a.new.type")])
    tx.ledger.add_conflicts([Conflict(1, "shop", "b", 500, "order.shipped", 100, b"\x90")])
    tx.identities.create(2, 9)
    tx.identities.bind([(Ref("email", "1@example.com"), 3)])
    tx.identities.point(1, 3)
    tx.personal.put([PersonalRow(3, 3, 1, msgspec.msgpack.encode({"name": "C"}))])
    tx.personal.erase(1, 5, [b"hash"])
    tx.states.save([StateRow(1, 1, b"two", 5), StateRow(3, 0, b"", None)])
    tx.states.remove(2)
    tx.states.wake_all(4)
    tx.journal.append(new_turn(2))
    tx.decisions.append(2, [new_decision(1, 2, journey="a new journey")])
    tx.outbox.put([new_send("c")])
    tx.outbox.move("a", "claimed", 7)
    tx.outbox.move("b", "queued", 7, reason="put off", not_before=9, tried=1, repeated=1)
    tx.mailbox.catch(new_mail("c", 3))
    tx.deployments.add(Deployment(2, "d2", 100, {}))
    tx.meta.set("mode", "stopped")
    tx.api_keys.add(ApiKey("k2", "", "ingest", ("ingest",), "", b"2", 2))
    tx.api_keys.end("k1", 5)
    tx.requests.keep([new_request("a", 900), new_request("c")])
    tx.requests.concern([(3, 3)])
    tx.requests.settle(2, TRANSLATED, [])


def everything(tx: Transaction) -> dict[str, Any]:
    """All that can be seen of a store that has few customers."""
    people = range(tx.identities.last() + 2)
    return {
        "entries": tx.ledger.read(0, 10_000),
        "timeline": list(tx.ledger.of_customers(0, 10_000)),
        "newest": (tx.ledger.newest_at(), tx.ledger.oldest_after(0)),
        "conflicts": tx.ledger.conflicts(),
        "living": [tx.identities.living(customer) for customer in people],
        "refs": [tx.identities.refs_of(customer) for customer in people],
        "personal": [tx.personal.of(customer) for customer in people],
        "union": tx.personal.of_many(list(people)),
        "erasures": tx.personal.erasures(),
        "states": tx.states.page(-1, 10_000),
        "due": (tx.states.due(10**15, 10_000), tx.states.next_alarm(), tx.states.count()),
        "turns": list(tx.journal.read()),
        "decisions": (list(tx.decisions.ordered()), tx.decisions.newest(), tx.decisions.counts()),
        "outbox": (list(tx.outbox.all()), tx.outbox.newest(), tx.outbox.counts()),
        "waiting": tx.outbox.queued(10**15, 10_000),
        "mailbox": (tx.mailbox.newest(), tx.mailbox.total()),
        "deployments": tx.deployments.history(),
        "mode": tx.meta.get("mode"),
        "api_keys": tx.api_keys.all(),
        "requests": [tx.requests.get(one.number) for one in tx.requests.newest(10_000)],
        "naming": [tx.requests.naming(customer) for customer in people],
    }
