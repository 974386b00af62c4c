"""No message went out against a gate: each send's own record shows every gate allowing it."""

from collections.abc import Iterator

from aftersale.gates.chain import NAMES
from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds
from aftersale.turn.decision import decision_name

NAME = "gates-held"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """Every decision to send carries the verdict of every gate, and each is Allow."""
    for decision in tx.decisions.ordered():
        if decision.kind != "send":
            continue
        trace = decision.values[0] if decision.values else ()
        if len(trace) != len(NAMES):
            yield Violation(
                NAME, "not every gate was asked", decision_name(decision.customer, decision.seq)
            )
        for gate, row in zip(NAMES, trace, strict=False):
            if row[0] != 0:
                yield Violation(
                    NAME,
                    f"{gate} did not allow it",
                    decision_name(decision.customer, decision.seq),
                )
