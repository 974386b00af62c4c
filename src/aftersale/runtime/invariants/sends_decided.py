"""Each send has its decision, and each decision to send has its send under its own key."""

from collections.abc import Iterator

from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds
from aftersale.turn.decision import decision_name

NAME = "sends-decided"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """The outbox and the decisions of kind send and task pair up one to one."""
    decided = {
        (decision.customer, decision.seq): decision
        for decision in tx.decisions.ordered()
        if decision.kind in {"send", "task"}
    }
    for send in tx.outbox.all():
        decision = decided.pop((send.customer, send.seq), None)
        if decision is None:
            yield Violation(NAME, "no decision stands behind it", send.key)
        elif (decision.journey, decision.step, decision.run) != (send.journey, send.step, send.run):
            yield Violation(NAME, "its decision speaks of another step", send.key)
    for customer, seq in sorted(decided):
        yield Violation(NAME, "the outbox has no row for it", decision_name(customer, seq))
