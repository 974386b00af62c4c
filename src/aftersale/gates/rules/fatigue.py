"""Has the customer heard enough from us for now?"""

from aftersale.gates.policy import Cap, Policy
from aftersale.gates.standing import Contact, Intent, Standing
from aftersale.gates.verdict import Allow, Defer, Deny, Verdict
from aftersale.kernel.instants import DAY, WEEK, Instant

NAME = "fatigue"

_REASONS = {DAY: "daily-cap", WEEK: "weekly-cap"}


def judge(intent: Intent, customer: Standing, policy: Policy, now: Instant) -> Verdict:
    """Defer until every cap that counts this message leaves room; deny where one never does."""
    until, reason, seen = now, "", 0
    for cap in policy.caps:
        if cap.channel not in {"*", intent.channel} or cap.purpose not in {"*", intent.purpose}:
            continue
        if cap.most <= 0:
            return Deny(_REASONS.get(cap.per, "cap"))
        counted = _counted(cap, customer.contacts, now)
        seen = max(seen, len(counted))
        if len(counted) >= cap.most:
            frees = counted[-cap.most] + cap.per
            if frees > until or not reason:
                until, reason = max(frees, until), _REASONS.get(cap.per, "cap")
    return Defer(until, reason, seen) if reason else Allow(seen)


def _counted(cap: Cap, contacts: list[Contact], now: Instant) -> list[Instant]:
    """The contacts that the cap counts, ascending; they come ascending, so the latest suffice."""
    since, channel, purpose = now - cap.per, cap.channel, cap.purpose
    found = []
    for contact in reversed(contacts):
        if contact.at <= since:
            break
        if (channel in ("*", contact.channel)) and (purpose in ("*", contact.purpose)):
            found.append(contact.at)
    found.reverse()
    return found
