"""Where do customers stand in their lifecycle and by RFM, and whence did they come?"""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aftersale.models import lifecycle
from aftersale.models.calibration import Calibration
from aftersale.models.rfm import named
from aftersale.programme.ports import Transaction
from aftersale.web.census import BACK, Census, Counting, Overlap
from aftersale.web.figures import people
from aftersale.web.overview import Stage, stages_of
from aftersale.web.pages import Pages, Shown
from aftersale.web.words import STAGE_MEANINGS, STAGE_TITLES, amount

FIFTHS = (5, 4, 3, 2, 1)
GROUPS = {
    "champions": "bought lately and often",
    "loyal": "buy often, not quite so lately",
    "recent": "bought lately, not often yet",
    "promising": "bought not long ago, not often",
    "cannot-lose": "bought most often, and long ago",
    "at-risk": "bought often, and long ago",
    "about-to-sleep": "bought seldom, some time ago",
    "hibernating": "bought seldom and longest ago",
}


class StageLine(msgspec.Struct, frozen=True):
    """One stage, now and then."""

    stage: str
    title: str
    meaning: str
    now: int
    then: int
    people: str


class Move(msgspec.Struct, frozen=True):
    """Customers who stood there then, and stand here now."""

    then: str
    now: str
    count: int
    share: float
    """Of those who stood there then."""


class Lifecycle(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    counting: Counting
    back: int
    stages: list[Stage]
    lines: list[StageLine]
    moves: list[Move]
    matrix: list[tuple[str, list[int]]]
    """Stage then → customers by stage now, in the order of the lifecycle."""


class RfmCell(msgspec.Struct, frozen=True):
    """One square of the grid."""

    recency: int
    frequency: int
    group: str
    count: int
    revenue: str
    heat: int
    """0 to 9 by the share of the fullest square."""
    people: str


class RfmGroup(msgspec.Struct, frozen=True):
    """One named part of the grid."""

    group: str
    meaning: str
    count: int
    then: int
    revenue: str
    people: str


class Rfm(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    counting: Counting
    back: int
    cells: list[RfmCell]
    groups: list[RfmGroup]
    moves: list[Move]
    fitted: bool
    recency_days: list[int]
    orders: list[int]
    currency: str


def lifecycle_page(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """The stages, and who moved between them."""
    back = back_of(request)
    counting = pages.census(tx, pages.app.now(tx))
    census = counting.census
    moved = census.moved_stages.get(back, [])
    prospects = census.stages.get("prospect", 0)
    then: dict[str, int] = {"prospect": prospects}
    table = {(one.one, one.other): one.count for one in moved}
    for one in moved:
        then[one.one] = then.get(one.one, 0) + one.count
    lines = [
        StageLine(
            stage,
            STAGE_TITLES[stage],
            STAGE_MEANINGS[stage],
            census.stages.get(stage, 0),
            then.get(stage, 0),
            people(f"lifecycle.stage = '{stage}'"),
        )
        for stage in lifecycle.STAGES
    ]
    matrix = [
        (was, [table.get((was, now), 0) for now in lifecycle.STAGES[1:]])
        for was in lifecycle.STAGES
    ]
    view = Lifecycle(counting, back, stages_of(census), lines, _moves(moved), matrix)
    also = {"backs": BACK, "known_stages": lifecycle.STAGES}
    return Shown("lifecycle.html", "lifecycle", view, ("lines", "moves"), also)


def rfm_page(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """The grid, its named parts, and who moved between them."""
    back = back_of(request)
    counting = pages.census(tx, pages.app.now(tx))
    census = counting.census
    known: Calibration = pages.world(tx).calibration
    moved = census.moved_groups.get(back, [])
    then: dict[str, int] = {}
    for one in moved:
        then[one.one] = then.get(one.one, 0) + one.count
    view = Rfm(
        counting,
        back,
        _cells(census),
        [
            RfmGroup(
                name,
                meaning,
                census.groups[name].count if name in census.groups else 0,
                then.get(name, 0),
                amount(
                    census.groups[name].revenue if name in census.groups else 0, census.currency
                ),
                people(f"rfm.segment = '{name}'"),
            )
            for name, meaning in GROUPS.items()
        ],
        _moves([one for one in moved if one.one]),
        bool(known.cuts.recency_days),
        [round(days) for days in known.cuts.recency_days],
        [round(orders) for orders in known.cuts.orders],
        census.currency,
    )
    also = {"backs": BACK, "fifths": FIFTHS}
    return Shown("rfm.html", "rfm", view, ("groups", "cells", "moves"), also)


def back_of(request: Request) -> int:
    """How many days back the page looks for movement."""
    asked = request.query_params.get("since", str(BACK[0]))
    if asked not in {str(days) for days in BACK}:
        days = ", ".join(str(days) for days in BACK)
        raise HTTPException(404, f"Movement is counted since {days} days, not {asked}.")
    return int(asked)


def _cells(census: Census) -> list[RfmCell]:
    most = max((cell.count for cell in census.cells.values()), default=0) or 1
    found = []
    for recency in FIFTHS:
        for frequency in reversed(FIFTHS):
            cell = census.cells.get(f"{recency}/{frequency}")
            count = cell.count if cell else 0
            found.append(
                RfmCell(
                    recency,
                    frequency,
                    named(recency, frequency),
                    count,
                    amount(cell.revenue if cell else 0, census.currency),
                    round(9 * count / most),
                    people(f"rfm.recency = {recency} and rfm.frequency = {frequency}"),
                )
            )
    return found


def _moves(moved: list[Overlap]) -> list[Move]:
    """Those who moved, the most first; who stayed is left out."""
    then: dict[str, int] = {}
    for one in moved:
        then[one.one] = then.get(one.one, 0) + one.count
    return [
        Move(one.one, one.other, one.count, one.count / then[one.one])
        for one in moved
        if one.one != one.other
    ]
