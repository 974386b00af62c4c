"""How does a row of numbers look? Drawn here as SVG, so pages need no script.

Shapes are stretched by the browser and words are not part of them, so letters keep their size.
"""

from collections.abc import Mapping, Sequence
from html import escape

import msgspec

from aftersale.kernel.instants import DAY
from aftersale.models.chances import Bin
from aftersale.web.words import day, grouped, percent


class Bar(msgspec.Struct, frozen=True):
    """One line of a list of bars."""

    label: str
    count: int
    share: float
    """Of the longest bar, 0 to 1."""
    healthy: bool = True
    title: str = ""


def bars(rows: Sequence[tuple[str, int, bool, str]]) -> list[Bar]:
    """The rows (label, count, healthy, title) as bars, the longest first."""
    most = max((count for _, count, _, _ in rows), default=1) or 1
    ordered = sorted(rows, key=lambda row: (-row[1], row[0]))
    return [
        Bar(label, count, count / most, healthy, title) for label, count, healthy, title in ordered
    ]


class Columns(msgspec.Struct, frozen=True):
    """A chart of one number a day."""

    svg: str
    """Markup made here from numbers alone."""
    most: int
    first: str
    last: str
    rows: tuple[tuple[str, int], ...]
    """The same as a table, days with none left out."""


def columns(per_day: Mapping[int, int], first: int, last: int) -> Columns:
    """A column for each day from `first` to `last` (days since 1970-01-01 UTC), both drawn."""
    days = max(last - first + 1, 1)
    most = max(per_day.values(), default=0)
    label = escape(_summary(per_day, first, last))
    parts = [
        '<svg class="columns" preserveAspectRatio="none" role="img" ',
        f'viewBox="0 0 {days * 10} 100" aria-label="{label}">',
    ]
    for number in range(first, last + 1):
        count = per_day.get(number, 0)
        if count:
            height = max(100 * count / most, 1.5)
            title = f"{day(number * DAY, 'UTC')}: {grouped(count)}"
            parts.append(
                f'<rect x="{(number - first) * 10 + 1}" y="{100 - height:.1f}" width="8" '
                f'height="{height:.1f}"><title>{title}</title></rect>'
            )
    parts.append("</svg>")
    rows = tuple((day(n * DAY, "UTC"), per_day[n]) for n in sorted(per_day) if first <= n <= last)
    return Columns("".join(parts), most, day(first * DAY, "UTC"), day(last * DAY, "UTC"), rows)


def _summary(per_day: Mapping[int, int], first: int, last: int) -> str:
    total = sum(count for number, count in per_day.items() if first <= number <= last)
    return (
        f"{grouped(total)} in all from {day(first * DAY, 'UTC')} to {day(last * DAY, 'UTC')}, "
        f"at most {grouped(max(per_day.values(), default=0))} a day"
    )


def reliability(bins: Sequence[Bin]) -> str:
    """What was said against what came, both from 0 to 1; on the line they are the same.

    The bar of a point is two standard errors of chance alone.
    """
    told = ", ".join(f"said {percent(b.said)}, came {percent(b.came)}" for b in bins)
    parts = [
        '<svg class="square" role="img" viewBox="-2 -2 104 104" ',
        f'aria-label="{escape(told)}"><path class="frame" d="M0 0V100H100"/>',
        '<path class="even" d="M0 100L100 0"/>',
    ]
    for one in bins:
        x, y, reach = 100 * one.said, 100 - 100 * one.came, 200 * one.error
        top, foot = max(y - reach, 0), min(y + reach, 100)
        title = f"said {percent(one.said)}, came {percent(one.came)}, of {grouped(one.rows)}"
        parts.append(
            f'<g><path class="reach" d="M{x:.1f} {top:.1f}V{foot:.1f}"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2"/><title>{title}</title></g>'
        )
    parts.append("</svg>")
    return "".join(parts)


def gains(shares: Sequence[float]) -> str:
    """Which share of all that came is among the first tenth, two tenths, and so on."""
    step = 100 / len(shares)
    line = " ".join(f"L{step * (n + 1):.1f} {100 - 100 * s:.1f}" for n, s in enumerate(shares))
    told = ", ".join(f"{percent(s)} in the first {n + 1}" for n, s in enumerate(shares))
    return (
        '<svg class="square" role="img" viewBox="-2 -2 104 104" '
        f'aria-label="Of all that came, by tenths: {escape(told)}">'
        '<path class="frame" d="M0 0V100H100"/><path class="even" d="M0 100L100 0"/>'
        f'<path class="line" d="M0 100 {line}"/></svg>'
    )
