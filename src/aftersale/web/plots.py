"""How does a number look day by day, with the days before behind it?

Drawn here as SVG that the browser stretches; words stand beside it, so letters keep their size.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape

import msgspec

from aftersale.web.period import Period, day_words

MOST_BARS = 100
"""Days above which weeks are drawn."""


class Point(msgspec.Struct, frozen=True):
    """One bar as a row of the table."""

    days: str
    number: float
    before: float | None = None
    unfinished: bool = False


class Plot(msgspec.Struct, frozen=True):
    """A chart with what stands beside it."""

    title: str
    svg: str
    most: str
    first: str
    last: str
    points: list[Point]
    note: str


def plot(
    title: str, per_day: Mapping[int, float], period: Period, show: Callable[[float], str]
) -> Plot:
    """The series over the period; a bar that is not over is hatched."""
    width = 1 if period.days <= MOST_BARS else 7
    starts = list(range(period.first, period.last + 1, width))
    shift = None
    if period.before:
        shift = period.first - period.before[0]
    points = []
    for start in starts:
        end = min(start + width - 1, period.last)
        unfinished = end >= period.today or (width > 1 and end - start + 1 < width)
        before = None
        if shift is not None and not unfinished:
            before = _over(per_day, start - shift, end - shift)
        words = day_words(start) if width == 1 else f"{day_words(start)} to {day_words(end)}"
        points.append(Point(words, _over(per_day, start, end), before, unfinished))
    note = "a bar is a week" if width > 1 else "a bar is a day"
    if points[-1].unfinished:
        note += "; the last is not over"
    if any(point.before is not None for point in points):
        note += f"; the line: {period.before_words}"
    most = max((max(point.number, point.before or 0) for point in points), default=0)
    return Plot(
        title,
        bars_svg(f"{title}, {points[0].days} to {points[-1].days}", points, show),
        show(most),
        points[0].days,
        points[-1].days,
        points,
        note,
    )


def _over(per_day: Mapping[int, float], first: int, last: int) -> float:
    return sum(per_day.get(day, 0) for day in range(first, last + 1))


def bars_svg(label: str, points: Sequence[Point], show: Callable[[float], str]) -> str:
    """Bars from zero, with a line over them where there is something before."""
    most = max((max(point.number, point.before or 0) for point in points), default=0) or 1
    parts = [
        '<svg class="columns" preserveAspectRatio="none" role="img" ',
        f'viewBox="0 0 {len(points) * 10} 100" aria-label="{escape(label)}">',
    ]
    for n, point in enumerate(points):
        height = max(100 * point.number / most, 1.0 if point.number else 0)
        if height:
            kind = ' class="open"' if point.unfinished else ""
            parts.append(
                f'<rect{kind} x="{n * 10 + 1}" y="{100 - height:.1f}" width="8" '
                f'height="{height:.1f}"><title>{escape(point.days)}: {escape(show(point.number))}'
                f"{' so far' if point.unfinished else ''}</title></rect>"
            )
    line = " ".join(
        f"{n * 10 + 5},{100 - 100 * point.before / most:.1f}"
        for n, point in enumerate(points)
        if point.before is not None
    )
    if line:
        parts.append(f'<polyline class="before" points="{line}"/>')
    parts.append("</svg>")
    return "".join(parts)


def line_svg(label: str, points: Sequence[tuple[int, float]], show: Callable[[float], str]) -> str:
    """A line from zero over days that need not follow each other: (number of the day, value)."""
    first, last = points[0][0], points[-1][0]
    most = max(value for _, value in points) or 1
    width = max(last - first, 1)
    line = " ".join(
        f"{1000 * (day - first) / width:.1f},{100 - 98 * value / most:.1f}" for day, value in points
    )
    said = f"{label}: from {show(points[0][1])} to {show(points[-1][1])}"
    return (
        '<svg class="columns line" preserveAspectRatio="none" role="img" viewBox="0 0 1000 100" '
        f'aria-label="{escape(said)}"><polyline points="{line}"/></svg>'
    )
