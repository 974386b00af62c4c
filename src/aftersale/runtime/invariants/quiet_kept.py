"""No message was decided in the customer's quiet hours.

The zone is read again from the ledger's own words; a customer who told another zone later is
judged by what had been told by then.
"""

from collections.abc import Iterator

from aftersale.customers.fold import fold
from aftersale.customers.profile import Profile
from aftersale.customers.whereabouts import whereabouts
from aftersale.kernel.zones import in_window
from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.invariants.sent import sent_for
from aftersale.runtime.worlds import Worlds
from aftersale.turn.decision import decision_name

NAME = "quiet-kept"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """At the instant of each decision to send it was no quiet time on the likeliest clock."""
    latest = tx.deployments.latest()
    if latest is None:
        return
    policy = worlds.compiled(tx, latest.version).programme.policy
    quiet = policy.quiet
    for entries, sends in sent_for(tx, quiet.purposes):
        profile, folded = Profile(), 0
        for send, read in sends:
            while folded < len(entries) and entries[folded].position <= read:
                fold(profile, entries[folded])
                folded += 1
            zone = whereabouts(profile, policy.zone).zone
            if in_window(send.decided_at, quiet.start, quiet.end, zone):
                yield Violation(
                    NAME, f"it was quiet time in {zone}", decision_name(send.customer, send.seq)
                )
