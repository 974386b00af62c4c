"""Is it about something that the customer still has and likes?"""

from aftersale.gates.policy import Policy
from aftersale.gates.standing import Intent, Standing
from aftersale.gates.verdict import Allow, Deny, Verdict
from aftersale.kernel.instants import Instant

NAME = "relevance"


def judge(intent: Intent, customer: Standing, policy: Policy, now: Instant) -> Verdict:
    """Deny promotion of a product that was returned without order or rated badly."""
    if intent.purpose not in policy.consent_purposes or not intent.product:
        return Allow()
    for review in customer.profile.reviews.values():
        if review.product == intent.product and 0 < review.rating <= policy.bad_rating:
            return Deny("product-disliked", review.rating)
    for back in customer.profile.returns.values():
        if (not intent.order or back.order == intent.order) and any(
            line.product == intent.product for line in back.lines
        ):
            return Deny("product-returned", back.at)
    return Allow()
