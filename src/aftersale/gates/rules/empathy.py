"""Is something bad open, so that promotion would hurt?"""

from aftersale.customers.profile import NEVER
from aftersale.gates.policy import Policy
from aftersale.gates.standing import Intent, Standing
from aftersale.gates.verdict import Allow, Defer, Verdict
from aftersale.kernel.instants import Instant

NAME = "empathy"


def judge(intent: Intent, customer: Standing, policy: Policy, now: Instant) -> Verdict:
    """Defer promotion until the open ticket, fresh bad rating or late parcel is old enough."""
    if intent.purpose not in policy.consent_purposes:
        return Allow()
    until, reason = NEVER, ""
    profile = customer.profile
    for ticket in profile.tickets.values():
        if ticket.opened_at > ticket.resolved_at:
            until, reason = _later(until, reason, ticket.opened_at, "open-ticket", now, policy)
    for review in profile.reviews.values():
        if 0 < review.rating <= policy.bad_rating:
            until, reason = _later(until, reason, review.at, "bad-experience", now, policy)
    for order in profile.orders.values():
        for parcel in order.parcels.values():
            if parcel.promised_at and not parcel.delivered_at and order.cancelled_at == NEVER:
                until, reason = _later(
                    until, reason, parcel.promised_at, "late-parcel", now, policy
                )
    return Defer(until, reason) if reason else Allow()


def _later(
    until: Instant, reason: str, since: Instant, why: str, now: Instant, policy: Policy
) -> tuple[Instant, str]:
    ends = since + policy.ticket_lasts
    return (ends, why) if since <= now < ends and ends > until else (until, reason)
