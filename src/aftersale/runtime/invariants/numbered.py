"""The decisions of each customer are numbered from 1 without gaps, and its state knows how many."""

from collections.abc import Iterator

from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds
from aftersale.turn.decision import decision_name
from aftersale.turn.state import decode

NAME = "numbered"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """Numbers ascend by one per customer and end where the state says."""
    last: dict[int, int] = {}
    for decision in tx.decisions.ordered():
        if decision.seq != last.get(decision.customer, 0) + 1:
            yield Violation(
                NAME,
                "a number is missing before it",
                decision_name(decision.customer, decision.seq),
            )
        last[decision.customer] = decision.seq
    after = 0
    while rows := tx.states.page(after, 5_000):
        for row in rows:
            decided = decode(row.blob).decided
            if decided != last.get(row.customer, 0):
                yield Violation(
                    NAME,
                    f"its state counts {decided} decisions, the record {last.get(row.customer, 0)}",
                    f"customer {row.customer}",
                )
        after = rows[-1].customer
