"""What does the customer get from it, and what shows that?"""

from aftersale.gates.policy import Policy
from aftersale.gates.standing import Intent, Standing
from aftersale.gates.verdict import Allow, Deny, Verdict
from aftersale.kernel.instants import Instant

NAME = "benefit"


def judge(intent: Intent, customer: Standing, policy: Policy, now: Instant) -> Verdict:
    """Deny a message that asks for consent but names no benefit, or none that is evident."""
    if intent.purpose not in policy.consent_purposes:
        return Allow("not needed")
    if not intent.benefit:
        return Deny("no-benefit")
    if not intent.evidence:
        return Deny("no-evidence", intent.benefit)
    return Allow(intent.benefit)
