"""How fast may messages go, and when may the next one?

A token bucket, kept as one instant: the *due* instant at which the bucket would be full again if
nothing more were taken (the generic cell rate algorithm, ITU-T I.371). In any stretch of time no
more than `burst` messages go, and one more for every `every` of its length.
"""

import msgspec

from aftersale.kernel.instants import SECOND, Duration, Instant


class Pace(msgspec.Struct, frozen=True, gc=False):
    """A rate, and how many messages may go together."""

    every: Duration
    burst: int = 1


def pace(per_second: float) -> Pace | None:
    """The pace of a rate: a tenth of a second's messages may go together. 0 or less: no limit."""
    if per_second <= 0:
        return None
    return Pace(max(round(SECOND / per_second), 1), max(int(per_second / 10), 1))


def earliest(full_at: Instant, now: Instant, pace: Pace) -> Instant:
    """When the next message may go, not before `now`."""
    return max(now, full_at - (pace.burst - 1) * pace.every)


def after(full_at: Instant, at: Instant, pace: Pace) -> Instant:
    """The bucket's instant once a message went at `at`, which `earliest` allowed."""
    return max(full_at, at) + pace.every
