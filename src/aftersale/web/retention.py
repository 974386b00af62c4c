"""Who comes back, how soon, and is it getting better?"""

import msgspec
from starlette.requests import Request

from aftersale.kernel.instants import DAY
from aftersale.kernel.zones import day_number
from aftersale.programme.ports import Transaction
from aftersale.web.census import AGES, MOST_GAP, Census, Cohort, Counting
from aftersale.web.pages import Pages, Shown
from aftersale.web.period import date_of
from aftersale.web.words import percent

MONTHS = 18
FEW = 20
"""Buyers below which a share says little; it is shown pale."""
WAYS = {"again": "ordered in that month", "ever": "had ordered again by then"}


class Share(msgspec.Struct, frozen=True):
    """One square of the table."""

    month: str
    age: int
    buyers: int
    count: int
    share: float
    heat: int
    """0 to 9 on one scale for the whole table."""
    unfinished: bool
    """Whether its month is not over."""


class Row(msgspec.Struct, frozen=True):
    """Everybody whose first order was in one month."""

    month: str
    title: str
    buyers: int
    few: bool
    shares: list[Share]


class Gap(msgspec.Struct, frozen=True):
    """Second orders by a day since the first."""

    days: int
    customers: int
    share: float
    """Of all second orders within 400 days, those up to this day."""


class Retention(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    counting: Counting
    way: str
    rows: list[Row]
    squares: list[Share]
    low: str
    high: str
    curve: list[Gap]
    half: int | None
    """Days by which half of those who ordered again had done so."""
    svg: str


def retention(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """Cohorts by the month of the first order."""
    way = request.query_params.get("way", "again")
    way = way if way in WAYS else "again"
    now = pages.app.now(tx)
    counting = pages.census(tx, now)
    today = day_number(now, pages.world(tx).programme.policy.zone)
    rows = rows_of(counting.census, way, date_of(today)[:7])
    squares = [share for row in rows for share in row.shares if share.age]
    shown = [square.share for square in squares if square.buyers >= FEW]
    curve, half = curve_of(counting.census)
    view = Retention(
        counting,
        way,
        rows,
        squares,
        percent(min(shown, default=0)),
        percent(max(shown, default=0)),
        curve,
        half,
        curve_svg(curve),
    )
    also = {"ways": WAYS, "ages": range(1, AGES), "few": FEW, "day_us": DAY}
    return Shown("retention.html", "retention", view, ("squares", "curve"), also)


def rows_of(census: Census, way: str, this_month: str) -> list[Row]:
    """The newest cohorts first to last, each as far as time has gone."""
    known = {month: cohort for month, cohort in census.cohorts.items() if month <= this_month}
    chosen = dict(sorted(known.items())[-MONTHS:])
    here = _number(this_month)
    most = max(
        (
            share
            for month, cohort in chosen.items()
            if cohort.buyers >= FEW
            for share in _shares(cohort, way, here - _number(month))[1:]
        ),
        default=0,
    )
    rows = []
    for month, cohort in chosen.items():
        reached = here - _number(month)
        counts = cohort.again if way == "again" else cohort.ever
        shares = [
            Share(
                month,
                age,
                cohort.buyers,
                counts[age],
                share,
                min(round(9 * share / most), 9) if most else 0,
                age == reached,
            )
            for age, share in enumerate(_shares(cohort, way, reached))
        ]
        rows.append(Row(month, _title(month), cohort.buyers, cohort.buyers < FEW, shares))
    return rows


def _shares(cohort: Cohort, way: str, reached: int) -> list[float]:
    counts = cohort.again if way == "again" else cohort.ever
    return [count / max(cohort.buyers, 1) for count in counts[: reached + 1]]


def curve_of(census: Census) -> tuple[list[Gap], int | None]:
    """How second orders come in over the days since the first, and the day of half of them."""
    total = sum(census.gaps.values())
    found, passed, half = [], 0, None
    for days in range(MOST_GAP + 1):
        count = census.gaps.get(days, 0)
        passed += count
        if half is None and total and passed * 2 >= total:
            half = days
        if count:
            found.append(Gap(days, count, passed / total))
    return found, half


def curve_svg(curve: list[Gap]) -> str:
    """The curve as a line, from day 0 to day 400."""
    if not curve:
        return ""
    points = [(0.0, 100.0)]
    for gap in curve:
        points += [(float(gap.days), points[-1][1]), (float(gap.days), 100 - 100 * gap.share)]
    points.append((float(MOST_GAP), points[-1][1]))
    line = " ".join(f"{x:g},{y:.1f}" for x, y in points)
    return (
        '<svg class="columns line" preserveAspectRatio="none" role="img" '
        f'viewBox="0 0 {MOST_GAP} 100" aria-label="Second orders by days since the first">'
        f'<polyline points="{line}"/></svg>'
    )


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1


_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _title(month: str) -> str:
    return f"{_NAMES[int(month[5:7]) - 1]} {month[:4]}"
