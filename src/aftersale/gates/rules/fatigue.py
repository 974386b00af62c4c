"""Has the customer heard enough from us for now?"""

from aftersale.gates.policy import Cap, Policy
from aftersale.gates.standing import Contact, Intent, Standing
from aftersale.gates.verdict import Allow, Defer, Verdict
from aftersale.kernel.instants import DAY, WEEK, Instant

NAME = "fatigue"

_REASONS = {DAY: "daily-cap", WEEK: "weekly-cap"}


def judge(intent: Intent, customer: Standing, policy: Policy, now: Instant) -> Verdict:
    """Defer until every cap that counts this message leaves room for one more."""
    until, reason, seen = now, "", 0
    for cap in policy.caps:
        if cap.channel not in {"*", intent.channel} or cap.purpose not in {"*", intent.purpose}:
            continue
        counted = [contact.at for contact in customer.contacts if _counts(cap, contact, now)]
        seen = max(seen, len(counted))
        if len(counted) >= cap.most:
            frees = counted[-cap.most] + cap.per if cap.most else now + cap.per
            if frees > until or not reason:
                until, reason = max(frees, until), _REASONS.get(cap.per, "cap")
    return Defer(until, reason, seen) if reason else Allow(seen)


def _counts(cap: Cap, contact: Contact, now: Instant) -> bool:
    return (
        contact.at > now - cap.per
        and cap.channel in {"*", contact.channel}
        and cap.purpose in {"*", contact.purpose}
    )
