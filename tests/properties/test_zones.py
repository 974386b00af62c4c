"""Does the clock on the wall show what the zone database says, also where it jumps?"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, HOUR, MINUTE, SECOND, parse_instant
from aftersale.kernel.zones import (
    day_number,
    in_window,
    instants_at,
    is_zone,
    minute_of_day,
    next_at,
    offset_at,
    wall,
    window_end,
)

EDGES = {
    "Europe/Berlin": ("2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"),
    "America/New_York": ("2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"),
    "America/Sao_Paulo": ("2018-11-04T03:00:00Z", "2019-02-17T02:00:00Z"),
    "Australia/Lord_Howe": ("2026-10-03T15:30:00Z", "2026-04-04T15:00:00Z"),
    "Asia/Kolkata": ("2026-01-01T00:00:00Z",),
    "Asia/Kathmandu": ("2026-01-01T00:00:00Z",),
    "Pacific/Apia": ("2011-12-30T10:00:00Z", "2021-04-03T14:00:00Z"),
    "Africa/Casablanca": ("2026-02-15T02:00:00Z", "2026-03-22T02:00:00Z"),
}
"""Zone → instants at which its clock jumps, where it does."""
ZONES = sorted(EDGES)
NEAR = [(zone, parse_instant(edge)) for zone, edges in EDGES.items() for edge in edges]

FIRST, LAST = parse_instant("1995-01-01T00:00:00Z"), parse_instant("2065-01-01T00:00:00Z")
MINUTES = st.sampled_from([0, 1, 29, 90, 120, 149, 150, 180, 600, 1439]) | st.integers(0, 1439)


@st.composite
def places(draw: st.DrawFn) -> tuple[str, int]:
    """Draw a zone and an instant, more often than not within two days of a jump."""
    zone, edge = draw(st.sampled_from(NEAR))
    if draw(st.booleans()):
        return zone, edge + draw(st.integers(-2 * DAY, 2 * DAY))
    if draw(st.booleans()):
        return zone, edge + draw(st.integers(-12, 12)) * 15 * MINUTE
    return zone, draw(st.integers(FIRST, LAST))


def true_offset(instant: int, zone: str) -> int:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)
    offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)


def jumped_over(instant: int, minute: int, zone: str) -> bool:
    """Tell whether the clock is set forward at the instant, over that minute of a day."""
    before, after = wall(instant - 1, zone) + 1, wall(instant, zone)
    days = range(before // DAY, after // DAY + 1)
    return any(before <= day * DAY + minute * MINUTE < after for day in days)


@given(places())
def test_the_offset_is_that_of_the_zone_database(place):
    """The table of transitions agrees with zoneinfo at every instant from 1995 to 2065."""
    zone, instant = place
    assert offset_at(instant, zone) == true_offset(instant, zone)


@pytest.mark.parametrize(("zone", "edge"), NEAR)
def test_the_offset_changes_in_the_very_microsecond_of_the_jump(zone, edge):
    """On both sides of a jump the offset is that of the zone database."""
    for instant in (edge - 1, edge, edge + 1):
        assert offset_at(instant, zone) == true_offset(instant, zone)


@given(places())
def test_an_instant_is_among_those_that_show_its_wall_time(place):
    """What the wall shows leads back to the instant, and to nothing that shows another time."""
    zone, instant = place
    found = instants_at(wall(instant, zone), zone)
    assert instant in found
    assert list(found) == sorted(found)
    assert {wall(one, zone) for one in found} == {wall(instant, zone)}


@given(places(), MINUTES)
def test_the_next_time_is_not_before_and_shows_the_minute(place, minute):
    """`next_at` gives the beginning of that minute of day, or the jump over it, from then on."""
    zone, after = place
    found = next_at(after, minute, zone)
    assert found >= after
    begins = wall(found, zone) % DAY == minute * MINUTE
    assert begins or jumped_over(found, minute, zone)


@given(places(), MINUTES)
def test_the_next_time_is_the_first(place, minute):
    """No quarter of an hour, and no minute near it, between then and `next_at` would do."""
    zone, after = place
    found = next_at(after, minute, zone)
    first = -(-after // MINUTE) * MINUTE
    between = [*range(first, found, 15 * MINUTE), *range(max(first, found - HOUR), found, MINUTE)]
    skipped = range(-(-after // (15 * MINUTE)) * 15 * MINUTE, found, 15 * MINUTE)
    # Every offset of these zones, and every jump, is a multiple of five minutes.
    assert all(wall(at, zone) % DAY != minute * MINUTE for at in between)
    assert not any(jumped_over(at, minute, zone) for at in skipped)
    assert found - after <= 2 * DAY


@given(places(), MINUTES, MINUTES)
def test_a_window_ends_at_the_first_instant_outside_it(place, start, end):
    """`window_end` is outside the window, not before, and everything up to it is inside."""
    zone, instant = place
    found = window_end(instant, start, end, zone)
    assert found >= instant
    assert start == end or not in_window(found, start, end, zone)
    if found > instant:
        assert in_window(found - 1, start, end, zone)
    between = [instant, *range(-(-instant // (5 * MINUTE)) * 5 * MINUTE, found, 5 * MINUTE)]
    assert all(in_window(at, start, end, zone) for at in between if at < found)


@given(places(), MINUTES, MINUTES)
def test_a_window_and_its_complement_share_the_day(place, start, end):
    """Every minute lies in [start, end) or in [end, start), over midnight or not, never in both."""
    zone, instant = place
    if start != end:
        assert in_window(instant, start, end, zone) != in_window(instant, end, start, zone)


@pytest.mark.parametrize(
    ("zone", "instant", "until"),
    [
        # 21:00 to 8:00 over the night in which the clock is set forward: ten hours only.
        ("Europe/Berlin", "2026-03-28T20:00:00Z", "2026-03-29T06:00:00Z"),
        # And set back: twelve hours.
        ("Europe/Berlin", "2026-10-24T19:00:00Z", "2026-10-25T07:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T10:00:00Z", "2026-04-04T21:30:00Z"),
        ("Asia/Kathmandu", "2026-01-01T15:15:00Z", "2026-01-02T02:15:00Z"),
        # The thirtieth of December 2011 never was.
        ("Pacific/Apia", "2011-12-30T07:00:00Z", "2011-12-30T18:00:00Z"),
    ],
)
def test_a_quiet_night_lasts_as_the_wall_says(zone, instant, until):
    """A night from nine to eight ends at eight on the wall, however long it is."""
    begins, ends = parse_instant(instant), parse_instant(until)
    assert minute_of_day(ends, zone) == 8 * 60
    assert window_end(begins, 21 * 60, 8 * 60, zone) == ends


@given(st.integers(FIRST, LAST))
def test_a_zone_that_was_renamed_shows_the_same(instant):
    """Europe/Kiev and Europe/Kyiv are both names and always agree."""
    assert is_zone("Europe/Kiev")
    assert is_zone("Europe/Kyiv")
    assert offset_at(instant, "Europe/Kiev") == offset_at(instant, "Europe/Kyiv")


def test_a_minute_that_is_skipped_counts_at_the_jump():
    """Half past two does not exist on the last Sunday of March: three o'clock serves."""
    (jump,) = instants_at(parse_instant("2026-03-29T02:30:00Z"), "Europe/Berlin")
    assert jump == parse_instant("2026-03-29T01:00:00Z")
    assert next_at(jump - HOUR, 150, "Europe/Berlin") == jump
    assert next_at(jump + SECOND, 150, "Europe/Berlin") == parse_instant("2026-03-30T00:30:00Z")


def test_a_minute_that_comes_twice_has_two_instants():
    """Half past two comes twice on the last Sunday of October."""
    found = instants_at(parse_instant("2026-10-25T02:30:00Z"), "Europe/Berlin")
    first = parse_instant("2026-10-25T00:30:00Z")
    assert found == (first, first + HOUR)
    assert next_at(first + 1, 150, "Europe/Berlin") == first + HOUR


@pytest.mark.parametrize("zone", ZONES)
def test_the_days_of_a_calendar_never_go_back_a_day(zone):
    """From one quarter of an hour to the next the date stays or goes on."""
    for edge in EDGES[zone]:
        about = range(parse_instant(edge) - DAY, parse_instant(edge) + DAY, 15 * MINUTE)
        days = [day_number(at, zone) for at in about]
        # Setting the clock back over midnight repeats the last hour of a day in Sao Paulo.
        assert all(
            after >= before - (zone == "America/Sao_Paulo") for before, after in pairwise(days)
        )


def test_a_zone_that_nobody_knows_is_refused():
    """An unknown zone is the user's to mend, whatever is wrong with its name."""
    for name in ("Mars/Olympus", "", "../etc/passwd", "Europe/", "a\0b", "\ud800"):
        assert not is_zone(name)
        with pytest.raises(Refusal):
            offset_at(0, name)
