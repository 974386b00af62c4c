"""In which mode does the installation send, what would it send next, and how is that changed?"""

from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY
from aftersale.programme.load import paused_in, with_paused
from aftersale.programme.ports import Transaction
from aftersale.runtime.golive import Projection, project, set_mode
from aftersale.runtime.sending import LIVE, REHEARSE, STOPPED, TEST, mode_of
from aftersale.web.pages import MODES, Pages, Shown

PROJECTED_UPTO = 20_000
"""Customers up to which the page works out who would get what; above, the command does."""


class Ahead(msgspec.Struct, frozen=True):
    """Messages of one journey that go out if nothing else happens."""

    journey: str
    day: int
    week: int
    people: int
    """Of the week."""


class Mode(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    mode: str
    ahead: list[Ahead]
    people: int
    """Who get a message within 7 days."""
    known: bool
    """Whether it was worked out."""
    backtested: bool
    channels: dict[str, str]


def mode(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """The mode, and what comes next."""
    view = mode_view(pages, tx)
    also = {"modes": {name: MODES[name] for name in (REHEARSE, TEST, LIVE, STOPPED)}}
    return Shown("mode.html", "mode", view, ("ahead",), also)


def mode_view(pages: Pages, tx: Transaction) -> Mode:
    """What the page shows."""
    known = tx.states.count() <= PROJECTED_UPTO
    ahead, people = _ahead(project(tx, pages.world(tx), pages.app.now(tx))) if known else ([], 0)
    return Mode(
        mode_of(tx),
        ahead,
        people,
        known,
        tx.meta.get("backtest") is not None,
        {name: channel.where for name, channel in pages.app.sending.channels.items()},
    )


def _ahead(found: list[Projection]) -> tuple[list[Ahead], int]:
    day = next(one for one in found if one.within == DAY)
    week = found[-1]
    rows = [
        Ahead(
            name,
            day.journeys[name].messages if name in day.journeys else 0,
            count.messages,
            count.people,
        )
        for name, count in sorted(week.journeys.items())
    ]
    return rows, week.people


def change_mode(pages: Pages, where: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """Another mode; to go live the number of people must be written."""
    wanted = fields.get("mode", "")
    with pages.app.store.write() as tx:
        if wanted == LIVE and mode_of(tx) != LIVE:
            view = mode_view(pages, tx)
            if not view.known:
                raise Refusal(
                    "With so many customers only the command goes live.",
                    hint="aftersale live   shows who would get what, then asks",
                )
            if fields.get("people", "").strip() != str(view.people):
                raise Refusal(
                    "Nothing was changed.",
                    why=f"To go live, write how many people get mail within 7 days: {view.people}.",
                    hint="Go back, look at the numbers, and write it.",
                )
        set_mode(tx, pages.app.worlds, wanted, pages.app.now(tx))
    return "/mode"


def pause(pages: Pages, where: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """Freeze a journey, or let it go on."""
    name, paused = where["name"], fields.get("paused") == "yes"
    files = pages.app.files()
    with pages.app.store.read() as tx:
        known = pages.world(tx).programme.journeys
    if name not in known:
        raise HTTPException(404, f"No journey in force is called {name}.")
    names = set(paused_in(files))
    if not paused and known[name].paused and name not in names:
        raise Refusal(f"{name} is paused in its file.", hint="Take out `paused: true` and deploy.")
    names = names | {name} if paused else names - {name}
    pages.app.deploy(with_paused(files, names), note=f"{'pause' if paused else 'resume'} {name}")
    return f"/journeys/{name}"
