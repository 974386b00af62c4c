"""How is a moment written, read and compared?

Inside, an instant is an int of microseconds since 1970-01-01 UTC and a duration an int of
microseconds. Text appears only at the edges: ISO 8601 in, ISO 8601 with a `Z` out.
"""

import re
from datetime import UTC, datetime, timedelta

from aftersale.kernel.errors import Refusal
from aftersale.kernel.zones import instants_at

Instant = int
Duration = int

SECOND: Duration = 1_000_000
MINUTE: Duration = 60 * SECOND
HOUR: Duration = 60 * MINUTE
DAY: Duration = 24 * HOUR
WEEK: Duration = 7 * DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock arithmetic, no zone meant
_MICROSECOND = timedelta(microseconds=1)
_UNITS = {
    "second": SECOND,
    "minute": MINUTE,
    "hour": HOUR,
    "day": DAY,
    "week": WEEK,
}
_TOO_LONG = 1_000_000 * DAY
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def instant_of(moment: datetime, *, zone: str = "") -> Instant:
    """The instant of a datetime; a naive one is read as wall clock of `zone` (needed then)."""
    if moment.tzinfo is not None:
        return (moment - _EPOCH) // _MICROSECOND
    if not zone:
        raise Refusal(
            f"the time {moment.isoformat()} names no zone",
            hint="write it with an offset (2026-03-01T09:00:00Z) or name the zone it is in",
        )
    wall = (moment - _NAIVE_EPOCH) // _MICROSECOND
    return instants_at(wall, zone)[0]


def parse_instant(text: str, *, zone: str = "") -> Instant:
    """The instant of an ISO 8601 text; a date alone is its midnight."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Refusal(
            f"{text!r} is no time", hint="write it as 2026-03-01 or 2026-03-01T09:00:00Z"
        ) from None
    return instant_of(moment, zone=zone)


def as_datetime(instant: Instant) -> datetime:
    """The same moment as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def format_instant(instant: Instant) -> str:
    """ISO 8601 in UTC, without fractions where there are none: `2026-03-01T09:00:00Z`."""
    return as_datetime(instant).isoformat().replace("+00:00", "Z")


def parse_duration(text: str | int) -> Duration:
    """The duration of `3 days`, `12 hours`, `30 minutes`, `2 weeks`, `1 day 6 hours`; 0 is 0.

    A million days and more are refused.
    """
    if text in {0, "0"}:
        return 0
    total, end = 0.0, 0
    source = str(text)
    for part in _DURATION.finditer(source):
        unit = _UNITS.get(part[2].lower().removesuffix("s"))
        if part.start() != end or unit is None:
            break
        total += float(part[1]) * unit
        end = part.end()
    if end == 0 or end != len(source) or total >= _TOO_LONG:
        raise Refusal(
            f"{text!r} is no duration",
            hint="write a number and seconds, minutes, hours, days or weeks, for instance 3 days",
        )
    return round(total)


def format_duration(duration: Duration) -> str:
    """The largest two units that say it: `3 days`, `1 day 6 hours`, `0 seconds`."""
    rest, parts = abs(duration), []
    for unit in ("day", "hour", "minute", "second"):
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return ("-" if duration < 0 else "") + (" ".join(parts[:2]) or "0 seconds")
