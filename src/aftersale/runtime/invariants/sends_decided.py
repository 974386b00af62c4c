"""Each send has its decision, and each decision to send has its send under its own key."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.columns import packed, unpacked
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds
from aftersale.turn.decision import decision_name

NAME = "sends-decided"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """The outbox and the decisions of kind send and task pair up one to one."""
    names, steps = array("Q"), array("q")
    for decision in tx.decisions.ordered():
        if decision.kind in {"send", "task"}:
            names.append(packed(decision.customer, decision.seq))
            steps.append(hash((decision.journey, decision.step, decision.run)))
    has_send = bytearray(len(names))
    for send in tx.outbox.all():
        name = packed(send.customer, send.seq)
        place = bisect_left(names, name)
        if place == len(names) or names[place] != name or has_send[place]:
            yield Violation(NAME, "no decision stands behind it", send.key)
            continue
        has_send[place] = True
        if steps[place] != hash((send.journey, send.step, send.run)):
            yield Violation(NAME, "its decision speaks of another step", send.key)
    for place, has in enumerate(has_send):
        if not has:
            where = decision_name(*unpacked(names[place]))
            yield Violation(NAME, "the outbox has no row for it", where)
