"""Is something bad open, so that promotion would hurt?"""

from operator import itemgetter

from aftersale.customers.profile import NEVER, Profile
from aftersale.gates.policy import Policy
from aftersale.gates.standing import Intent, Standing
from aftersale.gates.verdict import Allow, Defer, Verdict
from aftersale.kernel.instants import Instant

NAME = "empathy"


def judge(intent: Intent, customer: Standing, policy: Policy, now: Instant) -> Verdict:
    """Defer promotion until every open ticket, fresh bad rating and late parcel is old enough."""
    if intent.purpose not in policy.consent_purposes:
        return Allow()
    troubles = _troubles(customer.profile, policy)
    if not troubles:
        return Allow()
    until, reason = now, ""
    # In order of beginning: a parcel may become late while an older trouble lasts.
    for since, why in sorted(troubles, key=itemgetter(0)):
        ends = since + policy.ticket_lasts
        if since <= until < ends:
            if since <= now:
                reason = why
            until = ends
    return Defer(until, reason) if reason else Allow()


def _troubles(profile: Profile, policy: Policy) -> list[tuple[Instant, str]]:
    """When something bad began, and what."""
    found = [
        (ticket.opened_at, "open-ticket")
        for ticket in profile.tickets.values()
        if ticket.opened_at > ticket.resolved_at
    ]
    found += [
        (review.at, "bad-experience")
        for review in profile.reviews.values()
        if 0 < review.rating <= policy.bad_rating
    ]
    for order in profile.orders.values():
        for parcel in order.parcels.values():
            if not parcel.delivered_at and parcel.promised_at and order.cancelled_at == NEVER:
                found.append((parcel.promised_at, "late-parcel"))
    return found
