"""Which days does a page speak of, and with which others are they compared?

The address says it, so a link shows the same to everybody. Today is not over: what it brought so
far is shown, and never compared.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from urllib.parse import urlencode

import msgspec

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, Instant
from aftersale.kernel.zones import day_number, instants_at

EPOCH = date(1970, 1, 1)
RANGES = {
    "7": "7 days",
    "30": "30 days",
    "90": "90 days",
    "month": "This month",
    "quarter": "This quarter",
    "year": "This year",
    "365": "12 months",
    "all": "Everything",
    "custom": "From … to …",
}
USUAL = "30"
COMPARED = {
    "previous": "the days before",
    "year": "the year before",
    "none": "nothing",
}
YEAR = 364
"""Days back to the year before: the same weekday."""
MOST_DAYS = 4_000


class Period(msgspec.Struct, frozen=True):
    """Whole days on the shop's calendar, as numbers since 1970-01-01."""

    name: str
    compare: str
    first: int
    last: int
    """The last day, today where the period reaches it."""
    today: int
    before: tuple[int, int] | None
    """First and last day of those it is compared with: as many as are over."""
    zone: str

    @property
    def days(self) -> int:
        """How many, with one that is not over."""
        return self.last - self.first + 1

    @property
    def over(self) -> int:
        """The last day that is over; before the first where none is."""
        return min(self.last, self.today - 1)

    @property
    def unfinished(self) -> bool:
        """Whether its last day is not over."""
        return self.last >= self.today

    def span(self, first: int, last: int) -> tuple[Instant, Instant]:
        """The instants [since, until) of these days."""
        return start_of(first, self.zone), start_of(last + 1, self.zone)

    @property
    def words(self) -> str:
        """In a heading: `last 30 days`, `1 Mar to 5 Apr 2026`."""
        if self.name.isdigit():
            return "last 12 months" if self.name == "365" else f"last {self.name} days"
        if self.name == "custom":
            return f"{day_words(self.first)} to {day_words(self.last)}"
        return RANGES[self.name].lower()

    @property
    def before_words(self) -> str:
        """What it is compared with."""
        if self.before is None:
            return ""
        first, last = self.before
        return f"{day_words(first)} to {day_words(last)}"

    @property
    def query(self) -> str:
        """What a link carries so that the next page speaks of the same days; usually nothing."""
        asked = {}
        if self.name != USUAL:
            asked["range"] = self.name
        if self.name == "custom":
            asked |= {"from": date_of(self.first), "to": date_of(self.last)}
        if self.compare != "previous":
            asked["compare"] = self.compare
        return urlencode(asked)

    @property
    def fixed(self) -> str:
        """The same days for ever, for a link that is sent to somebody."""
        asked = {"range": "custom", "from": date_of(self.first), "to": date_of(self.last)}
        return urlencode(asked | {"compare": self.compare})

    @property
    def earlier(self) -> str:
        """The query of as many days before."""
        return self._moved(-self.days)

    @property
    def later(self) -> str:
        """The query of as many days after; empty where they have not begun."""
        return self._moved(self.days) if self.last < self.today else ""

    def _moved(self, days: int) -> str:
        first, last = self.first + days, min(self.last + days, self.today)
        asked = {"range": "custom", "from": date_of(first), "to": date_of(last)}
        return urlencode(asked | ({} if self.compare == "previous" else {"compare": self.compare}))


def period_of(asked: Mapping[str, str], now: Instant, zone: str, *, since: Instant = 0) -> Period:
    """The period that an address asks for. `since`: when everything began.

    `Refusal` for one that does not exist or ends before it begins.
    """
    name, compare = asked.get("range") or USUAL, asked.get("compare") or "previous"
    if name not in RANGES:
        raise Refusal(f"There is no range {name!r}.", hint=f"One of {', '.join(RANGES)}.")
    if compare not in COMPARED:
        hint = f"One of {', '.join(COMPARED)}."
        raise Refusal(f"Nothing is compared with {compare!r}.", hint=hint)
    today = day_number(now, zone)
    first, last = _days(name, asked, today, day_number(since, zone) if since else today)
    over = min(last, today - 1)
    before = None
    if compare != "none" and over >= first and name != "all":
        back = YEAR * -(-(over - first + 1) // YEAR) if compare == "year" else over - first + 1
        before = (first - back, over - back)
    return Period(name, compare, first, last, today, before, zone)


def _days(name: str, asked: Mapping[str, str], today: int, begun: int) -> tuple[int, int]:
    if name.isdigit():
        return today - int(name) + 1, today
    if name == "all":
        return max(min(begun, today), today - MOST_DAYS), today
    if name == "custom":
        first = _asked_day(asked.get("from") or "", "from", today - 29)
        last = min(_asked_day(asked.get("to") or "", "to", today), today)
        if last < first:
            raise Refusal(
                "The range ends before it begins, or begins after today.",
                hint="Choose an earlier first day or a later last one.",
            )
        return max(first, last - MOST_DAYS), last
    here = EPOCH + timedelta(days=today)
    month = {"month": here.month, "quarter": here.month - (here.month - 1) % 3, "year": 1}[name]
    return (date(here.year, month, 1) - EPOCH).days, today


def _asked_day(text: str, key: str, usual: int) -> int:
    if not text:
        return usual
    try:
        return number_of(text)
    except ValueError:
        raise Refusal(f"{text!r} is no day.", where=f"({key})", hint="Write 2026-03-01.") from None


def start_of(number: int, zone: str) -> Instant:
    """The first instant of a day on the zone's calendar."""
    return instants_at(number * DAY, zone)[0]


def number_of(day: str) -> int:
    """The number of `2026-03-01`; ValueError where that is no day."""
    return (date.fromisoformat(day) - EPOCH).days


def date_of(number: int) -> str:
    """`2026-03-01`."""
    return (EPOCH + timedelta(days=number)).isoformat()


def day_words(number: int) -> str:
    """`1 Mar 2026`."""
    shown = EPOCH + timedelta(days=number)
    return f"{shown.day} {shown:%b %Y}"
