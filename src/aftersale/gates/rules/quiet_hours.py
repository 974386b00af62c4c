"""Is it a time at which the customer wants no message?"""

from aftersale.customers.whereabouts import Whereabouts
from aftersale.gates.policy import Policy, Quiet
from aftersale.gates.standing import Intent, Standing
from aftersale.gates.verdict import Allow, Defer, Verdict
from aftersale.kernel.instants import Instant
from aftersale.kernel.zones import in_window, window_end

NAME = "quiet_hours"


def judge(intent: Intent, customer: Standing, policy: Policy, now: Instant) -> Verdict:
    """Defer to the first instant at which it is quiet time in none of the plausible zones."""
    if intent.purpose not in policy.quiet.purposes:
        return Allow()
    until = first_allowed(customer.whereabouts, policy.quiet, now)
    source = customer.whereabouts.source
    return Allow(source) if until == now else Defer(until, "quiet-hours", source)


def first_allowed(where: Whereabouts, quiet: Quiet, now: Instant) -> Instant:
    """The first instant from `now` on that is quiet time in none of the plausible zones.

    Where the zones leave no common hour, the likeliest one alone serves.
    """
    if quiet.start == quiet.end:
        return now
    until = now
    for _ in range(4 * len(where.zones)):
        late = [zone for zone in where.zones if in_window(until, quiet.start, quiet.end, zone)]
        if not late:
            return until
        until = max(window_end(until, quiet.start, quiet.end, zone) for zone in late)
    return window_end(now, quiet.start, quiet.end, where.zone)
