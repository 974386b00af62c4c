"""What is one figure of a page, how is it counted, and whom does it count?"""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import msgspec

from aftersale.turn.ports import DecisionRow
from aftersale.web.period import Period
from aftersale.web.words import grouped


class Figure(msgspec.Struct, frozen=True):
    """A number with everything that a reader needs to trust it."""

    key: str
    title: str
    number: float | None
    shown: str
    how: str
    """How it is counted: what, by which date, who is left out."""
    change: str = ""
    """Against the days it is compared with."""
    note: str = ""
    people: str = ""
    """Address of the people behind it."""
    plot: str = ""
    """Address on which it is drawn day by day."""
    plotted: bool = False


def people(where: str) -> str:
    """The address of the customers who meet a condition."""
    return "/customers?" + urlencode({"where": where})


def change(
    finished: float, before: float | None, period: Period, show: Callable[[float], str]
) -> str:
    """`1 204 in the 30 days before, +12 %`; only days that are over are compared."""
    if before is None or period.before is None:
        return ""
    first, last = period.before
    days = last - first + 1
    then = "a year before" if period.compare == "year" else "before"
    words = f"{show(before)} in {days} day{'' if days == 1 else 's'} {then}"
    if before:
        words += f", {_signed(100 * (finished - before) / before)}"
    return words


def _signed(percent: float) -> str:
    return f"{percent:+.0f}\u202f%"


class Sum(msgspec.Struct, frozen=True):
    """One number over a period: all of it, the days that are over, those before."""

    number: float
    finished: float
    before: float | None

    def change(self, period: Period, show: Callable[[float], str] = grouped) -> str:
        """Against the days before, in words."""
        return change(self.finished, self.before, period, show)


def summed(per_day: Mapping[int, float], period: Period) -> Sum:
    """The days of a series summed over the period."""

    def over(first: int, last: int) -> float:
        return sum(n for day, n in per_day.items() if first <= day <= last)

    before = over(*period.before) if period.before else None
    return Sum(over(period.first, period.last), over(period.first, period.over), before)


class Decided(msgspec.Struct, frozen=True):
    """Decisions of a period by journey, step, kind and reason."""

    rows: list[DecisionRow]
    today: list[DecisionRow]
    """Of the day that is not over; they are in `rows`, too."""
    before: list[DecisionRow] | None

    def sum(self, wanted: Callable[[DecisionRow], bool]) -> Sum:
        """How many of them are wanted."""
        number, today = _count(self.rows, wanted), _count(self.today, wanted)
        before = None if self.before is None else _count(self.before, wanted)
        return Sum(number, number - today, before)


def _count(rows: list[DecisionRow], wanted: Callable[[DecisionRow], bool]) -> int:
    return sum(row.count for row in rows if wanted(row))
