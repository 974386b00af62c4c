"""Is it a time at which the customer wants no message?"""

from aftersale.gates.policy import Policy
from aftersale.gates.standing import Intent, Standing
from aftersale.gates.verdict import Allow, Defer, Verdict
from aftersale.kernel.instants import Instant
from aftersale.kernel.zones import in_window, window_end

NAME = "quiet_hours"


def judge(intent: Intent, customer: Standing, policy: Policy, now: Instant) -> Verdict:
    """Defer to the first instant at which it is quiet time in none of the plausible zones."""
    quiet = policy.quiet
    if intent.purpose not in quiet.purposes or quiet.start == quiet.end:
        return Allow()
    zones = customer.whereabouts.zones
    until = now
    for _ in range(4 * len(zones)):
        late = [zone for zone in zones if in_window(until, quiet.start, quiet.end, zone)]
        if not late:
            break
        until = max(window_end(until, quiet.start, quiet.end, zone) for zone in late)
    else:
        # The zones leave no common hour: the likeliest one alone serves.
        until = window_end(now, quiet.start, quiet.end, customer.whereabouts.zone)
    source = customer.whereabouts.source
    return Allow(source) if until == now else Defer(until, "quiet-hours", source)
