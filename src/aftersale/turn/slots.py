"""When is the customer's next slot?

Marketing messages do not go when they fall due. They wait for the slot, by default one a day at
the customer's best hour, an alarm like any other.
"""

from aftersale.customers.profile import NEVER
from aftersale.gates.rules.quiet_hours import first_allowed
from aftersale.journeys.run import Run
from aftersale.kernel.draw import draw
from aftersale.kernel.instants import HOUR, MINUTE, Instant
from aftersale.kernel.zones import next_at, offset_at
from aftersale.turn.course import Course
from aftersale.turn.state import NOTHING

ENOUGH_REACTIONS = 5
"""Reactions from which on the customer's own hour serves."""


def arm(course: Course, after: Instant) -> None:
    """Set the alarm of the next slot, if none is set."""
    if course.state.slot_at == NOTHING:
        course.state.slot_at = next_slot(course, after)


def next_slot(course: Course, after: Instant) -> Instant:
    """The customer's first slot not before `after`.

    Its minute is the customer's own best hour or the policy's, spread by a draw so that not
    everybody is written to in the same second.
    """
    policy = course.programme.policy
    zone = course.reading.whereabouts.zone
    spread = round(draw(policy.seed, "slot", course.customer) * policy.slot_spread)
    spread -= spread % MINUTE
    start = next_at(max(after - spread, 0), best_minute(course, zone), zone) + spread
    # Where the zone is unsure, the slot must be no quiet time in any that is plausible.
    return first_allowed(course.reading.whereabouts, policy.quiet, start)


def best_minute(course: Course, zone: str) -> int:
    """The start of the hour in which the customer reacts most, else the policy's minute.

    Hours are those of today's clock; a reaction of the other half of the year may count an hour
    off, which a habit of an hour's width does not notice.
    """
    policy = course.programme.policy
    messages = course.state.profile.messages
    if len(messages) < ENOUGH_REACTIONS:
        return policy.slot_minute
    hours = [0] * 24
    ahead = offset_at(course.now, zone)
    for reaction in messages.values():
        at = reaction.clicked_at or reaction.opened_at
        if at != NEVER:
            hours[(at + ahead) // HOUR % 24] += 1
    most = max(hours)
    if sum(hours) < ENOUGH_REACTIONS:
        return policy.slot_minute
    minute = hours.index(most) * 60
    quiet = policy.quiet
    inside = (
        quiet.start <= minute < quiet.end
        if quiet.start <= quiet.end
        else minute >= quiet.start or minute < quiet.end
    )
    return policy.slot_minute if inside else minute


def is_paused(course: Course, run: Run) -> bool:
    """Whether the run's journey is frozen now."""
    return run.journey in course.programme.paused
