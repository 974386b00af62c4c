"""May the address be used at all?"""

from aftersale.gates.policy import Policy
from aftersale.gates.standing import Intent, Standing
from aftersale.gates.verdict import Allow, Deny, Verdict
from aftersale.kernel.instants import Instant

NAME = "address"


def judge(intent: Intent, customer: Standing, policy: Policy, now: Instant) -> Verdict:
    """Deny after a hard bounce or, except for order facts, a complaint."""
    blocked = customer.profile.blocked.get(intent.channel)
    if blocked is None:
        return Allow()
    if blocked.value == "complaint" and intent.purpose not in policy.consent_purposes:
        return Allow(blocked.value)
    return Deny("address-blocked", blocked.value)
