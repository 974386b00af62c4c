"""The decisions of each customer are numbered from 1 without gaps, and its state knows how many."""

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from aftersale.kernel.ids import CustomerId
from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds
from aftersale.turn.decision import decision_name
from aftersale.turn.state import decode

NAME = "numbered"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """Numbers ascend by one per customer and end where the state says.

    Decisions and states come in the order of customers, so neither is kept.
    """
    states = _counted(tx)
    state = next(states, None)
    for customer, decisions in groupby(tx.decisions.ordered(), key=attrgetter("customer")):
        last = 0
        for decision in decisions:
            if decision.seq != last + 1:
                where = decision_name(customer, decision.seq)
                yield Violation(NAME, "a number is missing before it", where)
            last = decision.seq
        while state is not None and state[0] < customer:
            yield from _compared(*state, 0)
            state = next(states, None)
        if state is not None and state[0] == customer:
            yield from _compared(*state, last)
            state = next(states, None)
    while state is not None:
        yield from _compared(*state, 0)
        state = next(states, None)


def _compared(customer: CustomerId, decided: int, last: int) -> Iterator[Violation]:
    if decided != last:
        what = f"its state counts {decided} decisions, the record {last}"
        yield Violation(NAME, what, f"customer {customer}")


def _counted(tx: Transaction) -> Iterator[tuple[CustomerId, int]]:
    """Each customer that has a state, and how many decisions that counts."""
    after = 0
    while rows := tx.states.page(after, 2_000):
        for row in rows:
            yield row.customer, decode(row.blob).decided
        after = rows[-1].customer
