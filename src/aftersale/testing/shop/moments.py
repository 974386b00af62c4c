"""On which days and at which hours do people buy?"""

from aftersale.kernel.instants import DAY, HOUR, MINUTE, SECOND, Duration, Instant, as_datetime
from aftersale.kernel.zones import instants_at, wall
from aftersale.testing.shop.stream import Stream

EVERYDAY = (0.92, 0.88, 0.94, 0.94, 0.96, 0.9, 0.84, 0.86, 0.96, 1.06, 1.32, 1.42)
"""How much more or less is bought in each month; the mean is 1."""
GIFTS = (0.3, 0.8, 0.4, 0.6, 1.0, 0.5, 0.4, 0.4, 0.5, 0.8, 2.5, 3.8)
SALES = (1.9, 0.6, 0.6, 0.7, 0.6, 0.9, 1.9, 0.7, 0.6, 0.7, 1.9, 0.9)

YEAR: Duration = 365 * DAY + 6 * HOUR

_WEEKDAYS = (1.0, 0.95, 0.9, 0.9, 0.8, 0.75, 0.95)
_HOURS = (
    4,
    2,
    1,
    1,
    1,
    2,
    6,
    14,
    22,
    28,
    32,
    33,
    34,
    30,
    28,
    28,
    30,
    33,
    38,
    46,
    52,
    46,
    28,
    12,
)
_HOUR_NUMBERS = tuple(hour for hour, weight in enumerate(_HOURS) for _ in range(weight))


def month(instant: Instant) -> int:
    """0 for January to 11, in UTC."""
    return as_datetime(instant).month - 1


def leisure(stream: Stream, after: Instant, zone: str) -> Instant:
    """A believable moment of a purchase, not before `after`, a few days later at most."""
    day = wall(after, zone) // DAY
    while not stream.chance(_WEEKDAYS[(day + 3) % 7]):
        day += 1
    return _at_hour(stream, day, after, zone)


def soon(stream: Stream, after: Instant, zone: str) -> Instant:
    """A waking moment on that day of the zone, or on the next one."""
    return _at_hour(stream, wall(after, zone) // DAY, after, zone)


def _at_hour(stream: Stream, day: int, after: Instant, zone: str) -> Instant:
    second = stream.pick(_HOUR_NUMBERS) * HOUR + stream.between(0, 3600) * SECOND
    (found, *_) = instants_at(day * DAY + second, zone)
    return found if found >= after else found + DAY


def at_work(stream: Stream, after: Instant, zone: str) -> Instant:
    """The first moment, from `after` on, at which an office of the zone is open, roughly."""
    day = wall(after, zone) // DAY
    day += max((day + 3) % 7 - 4, 0) and 7 - (day + 3) % 7
    (found, *_) = instants_at(day * DAY + 9 * HOUR + stream.between(0, 480) * MINUTE, zone)
    if found >= after:
        return found
    return after if wall(after, zone) % DAY < 18 * HOUR else at_work(stream, after + DAY, zone)
