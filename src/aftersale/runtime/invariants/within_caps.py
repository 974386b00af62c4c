"""No customer got more messages than the caps allow, by the record of decisions."""

from collections import defaultdict
from collections.abc import Iterator

from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds
from aftersale.turn.decision import decision_name

NAME = "within-caps"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """In every span of a cap there are at most as many messages as it says."""
    latest = tx.deployments.latest()
    if latest is None:
        return
    policy = worlds.compiled(tx, latest.version).programme.policy
    if any(tx.deployments.get(n) is not None for n in range(1, latest.version)) and _loosened(
        tx, worlds, latest.version
    ):
        return
    sent: dict[int, list[tuple[int, str, str, int]]] = defaultdict(list)
    facts = {
        (s.customer, s.seq): (s.channel, s.purpose) for s in tx.outbox.all() if s.kind == "message"
    }
    for decision in tx.decisions.ordered():
        if decision.kind == "send":
            channel, purpose = facts.get((decision.customer, decision.seq), ("", ""))
            sent[decision.customer].append((decision.now, channel, purpose, decision.seq))
    for cap in policy.caps:
        for customer, rows in sent.items():
            counted = [
                row for row in rows if cap.channel in {"*", row[1]} and cap.purpose in {"*", row[2]}
            ]
            for n in range(cap.most, len(counted)):
                if counted[n][0] - counted[n - cap.most][0] < cap.per:
                    yield Violation(
                        NAME,
                        f"more than {cap.most} within the span of a cap",
                        decision_name(customer, counted[n][3]),
                    )


def _loosened(tx: Transaction, worlds: Worlds, latest: int) -> bool:
    """Whether an earlier programme had other caps: then today's cannot be held against it."""
    caps = worlds.compiled(tx, latest).programme.policy.caps
    return any(worlds.compiled(tx, n).programme.policy.caps != caps for n in range(1, latest))
