"""Has the customer allowed this channel for this purpose?"""

from aftersale.gates.policy import Policy
from aftersale.gates.standing import Intent, Standing
from aftersale.gates.verdict import Allow, Deny, Verdict
from aftersale.kernel.instants import Instant

NAME = "consent"


def judge(intent: Intent, customer: Standing, policy: Policy, now: Instant) -> Verdict:
    """Deny where consent is needed and the latest word is not a yes."""
    if intent.purpose not in policy.consent_purposes:
        return Allow("not needed")
    word = customer.profile.consents.get(f"{intent.channel}/{intent.purpose}")
    if word is None:
        return Deny("no-consent")
    if not word.given:
        return Deny("consent-withdrawn", word.at)
    return Allow(word.basis or "given")
