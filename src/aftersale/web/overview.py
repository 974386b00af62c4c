"""How is the shop doing today, and what needs a person?"""

from collections import defaultdict
from collections.abc import Callable, Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aftersale.journeys.definition import Journey
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.sending import mode_of
from aftersale.turn.ports import DecisionRow
from aftersale.turn.words import reason_words
from aftersale.web.census import Census, Counting
from aftersale.web.charts import Bar, bars
from aftersale.web.figures import Decided, Figure, people, summed
from aftersale.web.needs import Need, needs_of
from aftersale.web.pages import Pages, Shown
from aftersale.web.period import Period
from aftersale.web.plots import Plot, plot
from aftersale.web.words import (
    STAGE_TITLES,
    grouped,
    is_healthy,
    percent,
    rounded_amount,
)


class JourneyRow(msgspec.Struct, frozen=True):
    """One journey in numbers."""

    name: str
    title: str
    version: int
    paused: bool
    begun: int
    sent: int
    held_back: int
    left_out: int
    """Messages not sent because the customer is in the holdout."""
    waiting: int


class Stage(msgspec.Struct, frozen=True):
    """One part of the lifecycle bar."""

    name: str
    count: int
    share: float
    offset: float
    people: str
    """Address of the customers in it."""


class Overview(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    now: Instant
    mode: str
    period: Period
    figures: list[Figure]
    plot: Plot
    counting: Counting
    stages: list[Stage]
    needs: list[Need]
    dismissed: int
    """Further needs that somebody does not want to see for now."""
    journeys: list[JourneyRow]
    reasons: list[Bar]
    caught: int


PLOTS = {"orders": "Orders", "revenue": "Revenue", "buyers": "First orders"}


def overview(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """The first page."""
    plot = request.query_params.get("plot", "orders")
    if plot not in PLOTS:
        raise HTTPException(404, f"There is no chart of {plot}; there is {', '.join(PLOTS)}.")
    view = overview_of(pages, tx, pages.period(request, tx), plot)
    tables = ("figures", "journeys", "stages", "reasons")
    return Shown("overview.html", "overview", view, tables)


def overview_of(pages: Pages, tx: Transaction, period: Period, plotted: str) -> Overview:
    """What the page shows."""
    now = pages.app.now(tx)
    counting = pages.census(tx, now)
    found = pages.tally.decided(tx, period, now)
    series = series_of(counting.census)
    needs, dismissed = needs_of(pages, tx, now)
    return Overview(
        now=now,
        mode=mode_of(tx),
        period=period,
        figures=_figures(counting.census, found, series, period, plotted),
        plot=plot(
            f"{PLOTS[plotted]}, {period.words}",
            series[plotted],
            period,
            _money(counting.census) if plotted == "revenue" else grouped,
        ),
        counting=counting,
        stages=stages_of(counting.census),
        needs=needs,
        dismissed=dismissed,
        journeys=journey_rows(pages.world(tx).programme.journeys, counting.census, found),
        reasons=reason_bars(found.rows),
        caught=tx.mailbox.total(),
    )


def series_of(census: Census) -> dict[str, dict[int, float]]:
    """Day → number, of everything that is drawn day by day."""
    days = census.days.items()
    return {
        "orders": {day: one.orders for day, one in days},
        "revenue": {day: one.revenue for day, one in days},
        "buyers": {day: one.firsts for day, one in days},
    }


def _money(census: Census) -> Callable[[float], str]:
    return lambda minor: rounded_amount(minor, census.currency) or "–"


def _figures(
    census: Census,
    found: Decided,
    series: dict[str, dict[int, float]],
    period: Period,
    plotted: str,
) -> list[Figure]:
    money = _money(census)
    of_days = "By the day of the order on the shop's calendar."
    kept = "Orders that were cancelled or went back as a whole are left out."
    ordered = people(f"orders.last_at >= now - days({period.today - period.first + 1})")
    bought = people(f"orders.first_at >= now - days({period.today - period.first + 1})")
    worth = (
        f"What the orders came to in {census.currency or 'one currency'}, refunds not taken off, "
        "other currencies left out."
    )
    told = {
        "orders": ("Orders", grouped, f"{kept} {of_days}", ordered),
        "revenue": (
            "Revenue",
            money,
            f"{worth} {of_days}",
            ordered,
        ),
        "buyers": ("First orders", grouped, f"Customers who bought first. {of_days}", bought),
    }
    figures = []
    for key, (title, show, how, whom) in told.items():
        sum_ = summed(series[key], period)
        figures.append(
            Figure(
                key,
                title,
                sum_.number,
                show(sum_.number),
                how,
                sum_.change(period, show),
                people=whom if period.unfinished else "",
                plot=f"/?plot={key}",
                plotted=key == plotted,
            )
        )
    share = census.second_orders / census.first_orders if census.first_orders else None
    again = (
        "Of customers whose first order is 90 to 455 days old, those who ordered again within 90 "
        "days. The days that you choose above do not change it."
    )
    note = f"{grouped(census.second_orders)} of {grouped(census.first_orders)} first orders"
    shown = "–" if share is None else percent(share)
    figures.append(
        Figure("again", "Bought again in 90 days", share, shown, again, note=note,
               people="/retention")
    )  # fmt: skip
    for key, title, kind, how in (
        ("messages", "Messages", "send", "Decided to send, by the day of the decision."),
        ("held", "Held back", "hold", "Refused for good by a gate, by the day of the decision."),
    ):
        one = found.sum(lambda row, kind=kind: row.kind == kind)  # type: ignore[misc]
        whom = f"/decisions?kind={kind}"
        figures.append(
            Figure(key, title, one.number, grouped(one.number), how, one.change(period),
                   people=whom)
        )  # fmt: skip
    return figures


def stages_of(census: Census) -> list[Stage]:
    """The parts of the lifecycle bar."""
    total = sum(census.stages.values()) or 1
    stages, offset = [], 0.0
    for name in STAGE_TITLES:
        count = census.stages.get(name, 0)
        whom = people(f"lifecycle.stage = '{name}'")
        stages.append(Stage(name, count, count / total, offset, whom))
        offset += count / total
    return stages


def reason_bars(rows: list[DecisionRow]) -> list[Bar]:
    """Messages held back by reason, as bars."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        if row.kind == "hold":
            counts[row.reason] += row.count
    return bars(
        [
            (reason_words(reason), count, is_healthy(reason), reason)
            for reason, count in counts.items()
        ]
    )


def journey_rows(
    journeys: Mapping[str, Journey], census: Census, found: Decided
) -> list[JourneyRow]:
    """The journeys in force with their numbers of the period."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for row in found.rows:
        if not (row.kind == "start" and row.reason == "moved"):
            counts[row.journey, row.kind] += row.count
    return [
        JourneyRow(
            name,
            journey.title or name,
            journey.version,
            journey.paused,
            counts[name, "start"],
            counts[name, "send"],
            counts[name, "hold"],
            counts[name, "would-send"],
            sum(census.waiting.get(name, {}).values()),
        )
        for name, journey in journeys.items()
    ]
