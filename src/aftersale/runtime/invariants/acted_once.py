"""Each event acted once: the turns of each shard cover the ledger without gap or overlap."""

from collections.abc import Iterator

from aftersale.kernel.ids import Position
from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds
from aftersale.turn.shards import Shard, numbers, shard_of
from aftersale.turn.together import absorbed_by

NAME = "acted-once"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """Every turn begins where the one before it of its shards ended; none passes the end.

    Where it begins later, nothing in between may concern its shards.
    """
    stood = {shard.number: Shard(shard.number) for shard in tx.shards.all()}
    turn = 0
    for record in tx.journal.read():
        where = f"turn {record.turn}"
        if record.turn <= turn:
            yield Violation(NAME, f"follows turn {turn}", where)
        turn = record.turn
        for number in numbers(record.shards):
            before = stood[number]
            if record.after < before.upto:
                yield Violation(NAME, f"begins after {record.after}, not {before.upto}", where)
            elif _left_out(tx, before, record.after):
                yield Violation(NAME, f"leaves out entries from {before.upto} on", where)
            if record.now < before.now:
                yield Violation(NAME, "its clock went back", where)
            stood[number] = Shard(number, record.upto, record.now)
    last = tx.ledger.last()
    for shard in tx.shards.all():
        before = stood[shard.number]
        if before.upto > last:
            where = f"position {before.upto}"
            yield Violation(NAME, "the journal passes the end of the ledger", where)
        if shard.upto < before.upto or _left_out(tx, before, shard.upto):
            where = f"shard {shard.number}"
            yield Violation(NAME, f"stands at {shard.upto}, its turns at {before.upto}", where)


def _left_out(tx: Transaction, before: Shard, until: Position) -> bool:
    """Whether an entry of the shard lies between its last turn and that position."""
    if until <= before.upto:
        return False
    shards = None if tx.shards.count == 1 else (before.number,)
    entries = tx.ledger.read(before.upto, until - before.upto, upto=until, shards=shards)
    count = tx.shards.count
    return any(
        entry.customer == 0
        or before.number in {shard_of(entry.customer, count), shard_of(absorbed_by(entry), count)}
        for entry in entries
    )
