"""What may a store still believe after a backup was put in its place by other means?"""

from aftersale.delivery.reasons import RESTORED
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.sending import STOPPED


def after_a_restore(tx: Transaction, now: Instant) -> int:
    """Stop sending, and put in doubt what may have gone out since the backup; how many sends.

    Refused while a worker is at work: it would go on with what it claimed.
    """
    workers = tx.shards.workers()
    if workers:
        raise Refusal(
            "nothing was changed",
            why=f"a worker is at work on this store: {', '.join(workers)}",
            hint="stop it first",
        )
    tx.meta.set("mode", STOPPED)
    tx.meta.set("restored_at", now)
    return tx.outbox.put_in_doubt(now, RESTORED)
