"""No customer got more messages than the caps allow, by the record of decisions."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter

from aftersale.gates.policy import Cap
from aftersale.kernel.ids import CustomerId
from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.columns import Message, Messages
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds
from aftersale.turn.decision import Decision, decision_name

NAME = "within-caps"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """In every span of a cap there are at most as many messages as it says."""
    latest = tx.deployments.latest()
    if latest is None:
        return
    caps = worlds.compiled(tx, latest.version).programme.policy.caps
    if any(tx.deployments.get(n) is not None for n in range(1, latest.version)) and _loosened(
        tx, worlds, latest.version
    ):
        return
    for customer, messages in groupby(_decided(tx), key=attrgetter("customer")):
        yield from _over(customer, list(messages), caps)


def _over(
    customer: CustomerId, messages: list[Message], caps: Iterable[Cap]
) -> Iterator[Violation]:
    """Messages of one customer, by number, that came too soon after others."""
    for cap in caps:
        counted = [
            message
            for message in messages
            if cap.channel in {"*", message.channel} and cap.purpose in {"*", message.purpose}
        ]
        for n in range(cap.most, len(counted)):
            if counted[n].decided_at - counted[n - cap.most].decided_at < cap.per:
                yield Violation(
                    NAME,
                    f"more than {cap.most} within the span of a cap",
                    decision_name(customer, counted[n].seq),
                )


def _decided(tx: Transaction) -> Iterator[Message]:
    """What was decided to be sent, by customer and number, as the outbox knows it."""
    known = iter(Messages(tx))
    following = next(known, None)
    for decision in tx.decisions.ordered():
        if decision.kind != "send":
            continue
        name = decision.customer, decision.seq
        while following is not None and (following.customer, following.seq) < name:
            following = next(known, None)
        if following is not None and (following.customer, following.seq) == name:
            yield Message(*name, following.channel, following.purpose, decision.now)
        else:
            yield _unknown(decision)


def _unknown(decision: Decision) -> Message:
    """One that is not in the outbox; it counts for caps of everything."""
    return Message(decision.customer, decision.seq, "", "", decision.now)


def _loosened(tx: Transaction, worlds: Worlds, latest: int) -> bool:
    """Whether an earlier programme had other caps: then today's cannot be held against it."""
    caps = worlds.compiled(tx, latest).programme.policy.caps
    return any(worlds.compiled(tx, n).programme.policy.caps != caps for n in range(1, latest))
