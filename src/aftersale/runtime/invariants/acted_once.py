"""Each event acted once: the turns cover the ledger without gap or overlap."""

from collections.abc import Iterator

from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds

NAME = "acted-once"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """Every turn begins where the one before it ended, and none passes the ledger's end."""
    upto = turn = now = 0
    for record in tx.journal.read():
        if record.after != upto:
            yield Violation(NAME, f"begins after {record.after}, not {upto}", f"turn {record.turn}")
        if record.turn != turn + 1:
            yield Violation(NAME, f"follows turn {turn}", f"turn {record.turn}")
        if record.now < now:
            yield Violation(NAME, "its clock went back", f"turn {record.turn}")
        upto, turn, now = record.upto, record.turn, record.now
    if upto > tx.ledger.last():
        yield Violation(NAME, "the journal passes the end of the ledger", f"position {upto}")
