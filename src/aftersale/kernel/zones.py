"""What does the clock on the wall show, and when will it show a given time?

The only place where zones are known. A wall time is an int too: microseconds since midnight of
1970-01-01 on that wall. Offsets come from a table of transitions made once a zone, so a look-up
is a bisection and not a calendar calculation.
"""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from aftersale.kernel.errors import Refusal

_MICROSECOND = timedelta(microseconds=1)
_MINUTE = 60_000_000
_DAY = 86_400_000_000
_FIRST_YEAR, _LAST_YEAR = 1990, 2070
_STEP = timedelta(days=5)


@lru_cache(maxsize=512)
def _table(zone: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Transitions (instants, ascending) and the offset from each on; the first is the start."""
    try:
        info = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise Refusal(
            f"{zone!r} is no time zone", hint="use a name like Europe/Berlin or America/Sao_Paulo"
        ) from None
    epoch = datetime(1970, 1, 1, tzinfo=UTC)

    def offset(moment: datetime) -> int:
        return (moment.astimezone(info).utcoffset() or timedelta()) // _MICROSECOND

    start = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    steps = (datetime(_LAST_YEAR, 1, 1, tzinfo=UTC) - start) // _STEP
    marks = [start + _STEP * n for n in range(steps + 1)]
    instants, offsets = [(start - epoch) // _MICROSECOND], [offset(start)]
    for low, high in pairwise(marks):
        if offset(low) == offset(high):
            continue
        before, after = low, high
        while after - before > timedelta(seconds=1):
            middle = (before + (after - before) / 2).replace(microsecond=0)
            if middle <= before:
                break
            if offset(middle) == offsets[-1]:
                before = middle
            else:
                after = middle
        instants.append((after - epoch) // _MICROSECOND)
        offsets.append(offset(after))
    return tuple(instants), tuple(offsets)


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def is_zone(name: str) -> bool:
    """Whether the name is one of the zone database."""
    return name in _names()


def offset_at(instant: int, zone: str) -> int:
    """Microseconds that the wall clock of the zone is ahead of UTC at the instant."""
    instants, offsets = _table(zone)
    place = bisect_right(instants, instant)
    return offsets[place - 1 if place else 0]


def wall(instant: int, zone: str) -> int:
    """The wall time that the zone's clock shows at the instant."""
    return instant + offset_at(instant, zone)


def instants_at(wall_time: int, zone: str) -> tuple[int, ...]:
    """Every instant, ascending, at which the zone's clock shows the wall time.

    One as a rule, two where the clock is set back. Where it is set forward over the wall time,
    the instant of that jump: the first at which the clock has passed it.
    """
    around = sorted({offset_at(wall_time - _DAY, zone), offset_at(wall_time + _DAY, zone)})
    found = sorted(wall_time - o for o in around if offset_at(wall_time - o, zone) == o)
    if found:
        return tuple(found)
    instants, _ = _table(zone)
    return (instants[bisect_right(instants, wall_time - around[-1])],)


def minute_of_day(instant: int, zone: str) -> int:
    """Minutes since midnight on the zone's clock, 0 to 1439."""
    return (instant + offset_at(instant, zone)) % _DAY // _MINUTE


def day_number(instant: int, zone: str) -> int:
    """Days since 1970-01-01 on the zone's calendar."""
    return (instant + offset_at(instant, zone)) // _DAY


def next_at(after: int, minute: int, zone: str) -> int:
    """The first instant not before `after` at which the zone's clock comes to that minute of day.

    Where the clock jumps over the minute, the instant of the jump. A minute that has begun has
    passed: its next beginning counts.
    """
    ahead = offset_at(after, zone)
    shown = after + ahead
    found = shown - shown % _DAY + minute * _MINUTE
    found = (found if found >= shown else found + _DAY) - ahead
    if ahead == offset_at(after - _DAY, zone) == offset_at(found + _DAY, zone):
        # No change of the clock is near: the plain sum is right, and by far the usual case.
        return found
    day = day_number(after, zone)
    return min(
        instant
        for number in (day - 1, day, day + 1, day + 2)
        for instant in instants_at(number * _DAY + minute * _MINUTE, zone)
        if instant >= after
    )


def in_window(instant: int, start: int, end: int, zone: str) -> bool:
    """Whether the zone's clock is in the daily window of minutes [start, end), overnight too."""
    minute = minute_of_day(instant, zone)
    return start <= minute < end if start <= end else minute >= start or minute < end


def window_end(instant: int, start: int, end: int, zone: str) -> int:
    """The first instant from `instant` on at which the zone's clock is outside the window."""
    if start == end:
        return instant
    while in_window(instant, start, end, zone):
        day = day_number(instant, zone)
        ends = (
            found
            for number in (day - 1, day, day + 1)
            for found in instants_at(number * _DAY + end * _MINUTE, zone)
            if found > instant
        )
        jumps, _ = _table(zone)
        at = bisect_right(jumps, instant)
        instant = min((*ends, *jumps[at : at + 1]))
    return instant
