"""No message was decided in the customer's quiet hours.

The zone is read again from the ledger's own words; a customer who told another zone later is
judged by what had been told by then.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from aftersale.customers.fold import fold
from aftersale.customers.profile import Profile
from aftersale.customers.whereabouts import whereabouts
from aftersale.delivery.ports import Send
from aftersale.kernel.zones import in_window
from aftersale.programme.ports import Transaction
from aftersale.runtime.invariants.finding import Violation
from aftersale.runtime.worlds import Worlds

NAME = "quiet-kept"


def check(tx: Transaction, worlds: Worlds) -> Iterator[Violation]:
    """At the instant of each decision to send it was no quiet time on the likeliest clock."""
    latest = tx.deployments.latest()
    if latest is None:
        return
    policy = worlds.compiled(tx, latest.version).programme.policy
    quiet = policy.quiet
    sends: dict[int, list[Send]] = {}
    for send in tx.outbox.all():
        if send.kind == "message" and send.purpose in quiet.purposes:
            sends.setdefault(tx.identities.living(send.customer), []).append(send)
    read = dict(tx.decisions.read_upto())
    for customer, group in groupby(
        tx.ledger.of_customers(1, tx.identities.last()), key=attrgetter("customer")
    ):
        if customer not in sends:
            continue
        entries = sorted(group, key=attrgetter("position"))
        for send in sends[customer]:
            profile = Profile()
            for entry in entries:
                if entry.position <= read.get((send.customer, send.seq), 0):
                    fold(profile, entry)
            zone = whereabouts(profile, policy.zone).zone
            if in_window(send.decided_at, quiet.start, quiet.end, zone):
                yield Violation(NAME, f"it was quiet time in {zone}", send.key)
