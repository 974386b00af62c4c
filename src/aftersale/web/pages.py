"""What do all pages share: the frame, the words in templates, the store they read?

A page is a function that returns what it shows; the same is answered as a page, as JSON and, where
there are tables in it, as CSV, so the numbers are the same in all of them.
"""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from aftersale.delivery.reasons import send_words
from aftersale.kernel.instants import DAY, Instant
from aftersale.models.scores import STEPS
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.explaining import world_now
from aftersale.runtime.jobs import Runner
from aftersale.runtime.sending import mode_of
from aftersale.turn.programme import World
from aftersale.turn.words import reason_words
from aftersale.web import words
from aftersale.web.accounts import Accounts
from aftersale.web.census import Censuses, Counting
from aftersale.web.names import Names
from aftersale.web.period import COMPARED, RANGES, Period, date_of, period_of
from aftersale.web.sign_in import SignIn, form_token
from aftersale.web.tables import as_csv
from aftersale.web.tally import Tally

FOLDER = Path(__file__).parent
T = TypeVar("T")
MOST_MADE = 200
"""Things that are made once and kept."""

MODES = {
    "rehearse": "Rehearsal: everything is decided, every message stays in the mailbox here.",
    "test": "Test: only listed addresses get mail.",
    "live": "Live: customers get mail.",
    "stopped": "Stopped: nothing is sent.",
}


MENU = (
    (
        "",
        (
            ("overview", "/", "Overview"),
            ("customers", "/customers", "Customers"),
            ("segments", "/segments", "Segments"),
            ("retention", "/retention", "Retention"),
            ("rfm", "/rfm", "RFM"),
            ("lifecycle", "/lifecycle", "Lifecycle"),
        ),
    ),
    (
        "Act",
        (
            ("journeys", "/journeys", "Journeys"),
            ("templates", "/templates", "Templates"),
            ("messages", "/messages", "Messages"),
            ("mailbox", "/mailbox", "Mailbox"),
            ("backtest", "/backtests/latest", "Backtest"),
            ("versions", "/versions", "Versions"),
        ),
    ),
    (
        "Watch",
        (
            ("models", "/models", "Models"),
            ("data", "/data", "Data"),
            ("jobs", "/jobs", "Jobs"),
            ("health", "/health", "Health"),
        ),
    ),
)
"""Groups of pages: (section, address, words)."""


class Shown(msgspec.Struct, frozen=True):
    """What a page shows."""

    template: str
    section: str
    """Where it stands in the menu."""
    view: Any
    """What its JSON is."""
    tables: tuple[str, ...] = ()
    """Fields of the view that are lists of structs; the first is its CSV if none is named."""
    also: dict[str, Any] = {}
    """What only the template needs."""
    status: int = 200


Make = Callable[["Pages", Transaction, Request], Shown | Response]


def page(path: str, make: Make, *, twin: str = "") -> list[Route]:
    """The routes of a page and of its twins for programs, `twin` with `.json` and `.csv` behind."""

    def answer(request: Request) -> Response:
        pages = pages_of(request)
        with pages.app.store.read() as tx:
            shown = make(pages, tx, request)
            if isinstance(shown, Response):
                return shown
            kind = request.url.path.rpartition(".")[2]
            if kind == "json":
                return as_json(shown.view, shown.status)
            if kind == "csv":
                return _csv(request, shown)
            return pages.framed(
                request,
                tx,
                shown.template,
                status=shown.status,
                section=shown.section,
                view=shown.view,
                **shown.also,
            )

    base = twin or path
    twins = [Route(f"{base}.{kind}", answer) for kind in ("json", "csv")]
    return [*twins, Route(path, answer, methods=["GET"])]


def showing(make: Make) -> Callable[[Request], Response]:
    """A page without twins, which answers by itself."""

    def answer(request: Request) -> Response:
        pages = pages_of(request)
        with pages.app.store.read() as tx:
            made = make(pages, tx, request)
        if isinstance(made, Response):
            return made
        raise TypeError("a page with twins is made by page()")

    return answer


def _csv(request: Request, shown: Shown) -> Response:
    asked = request.query_params.get("table") or next(iter(shown.tables), "")
    if asked not in shown.tables:
        raise HTTPException(404, f"There is no such table here; there is {shown.tables or None}.")
    name = f"{shown.section}-{asked}".replace("_", "-")
    return Response(
        as_csv(getattr(shown.view, asked)),
        shown.status,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def environment() -> Environment:
    """The templates beside this file; every value is escaped."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "grouped": words.grouped,
        "percent": words.percent,
        "date": date_of,
        "day": words.day,
        "clock": words.clock,
        "minute": words.minute,
        "span": words.span,
        "event_title": words.event_title,
        "reason": reason_words,
        "send_reason": send_words,
        "drawing": Markup,
    }
    made.globals |= {
        "many": words.many,
        "stage_titles": words.STAGE_TITLES,
        "stage_meanings": words.STAGE_MEANINGS,
        "kind_titles": words.KIND_TITLES,
        "steps": STEPS,
        "is_healthy": words.is_healthy,
        "menu": MENU,
        "ranges": RANGES,
        "compared": COMPARED,
    }
    return made


class Pages:
    """Renders pages over one installation."""

    def __init__(
        self, app: App, *, secret: bytes, sign_in: SignIn, accounts: Accounts, runner: Runner
    ) -> None:
        self.app = app
        self.runner = runner
        self.secret = secret
        self.sign_in = sign_in
        self.accounts = accounts
        self._templates = environment()
        self._censuses = Censuses(app)
        self.names = Names()
        self.tally = Tally()
        self._made: dict[Any, Any] = {}

    def world(self, tx: Transaction) -> World:
        """What the next turn will decide with."""
        return world_now(tx, self.app.worlds)

    def census(self, tx: Transaction, now: Instant) -> Counting:
        """The latest count of all customers."""
        return self._censuses.latest(tx, self.world(tx), now)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What never changes under that key, such as a version of the programme, made once."""
        if key not in self._made:
            while len(self._made) >= MOST_MADE:
                self._made.pop(next(iter(self._made)), None)
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def period(self, request: Request, tx: Transaction) -> Period:
        """The days that the address asks for."""
        now, asked = self.app.now(tx), request.query_params
        since = 0
        if asked.get("range") == "all":
            days = self.census(tx, now).census.days
            since = min(days) * DAY if days else 0
        return period_of(asked, now, self.world(tx).programme.policy.zone, since=since)

    def bare(
        self, request: Request, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A page outside the merchant's frame."""
        text = self._templates.get_template(template).render(
            theme=theme_of(request), nonce=nonce_of(request), **values
        )
        return HTMLResponse(text, status)

    def framed(
        self, request: Request, tx: Transaction, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """One of the merchant's pages; `section` marks where it stands in the menu."""
        mode, period = mode_of(tx), self.period(request, tx)

        def go(path: str) -> str:
            """The address with the days that this page speaks of."""
            query = period.query
            return f"{path}{'&' if '?' in path else '?'}{query}" if query else path

        return self.bare(
            request,
            template,
            status=status,
            zone=self.world(tx).programme.policy.zone,
            mode=mode,
            mode_meaning=MODES.get(mode, mode),
            demo=bool(tx.meta.get("demo")),
            period=period,
            go=go,
            path=request.url.path,
            asked=request.query_params,
            empty=tx.ledger.last() == 0,
            shop=self.shop_name(tx),
            form_token=form_token(self.secret, request.scope["state"]["session"]),
            account=request.scope["state"]["account"],
            **values,
        )

    def shop_name(self, tx: Transaction) -> str:
        """The name that the merchant's folder gives."""
        return self.app.worlds.compiled(tx, self.app.worlds.newest(tx)).shop.name


def pages_of(request: Request) -> Pages:
    """The pages that this request came to."""
    return cast("Pages", request.app.state.pages)


def nonce_of(request: Request) -> str:
    """What marks the style of this one answer as ours."""
    return str(request.scope["state"]["nonce"])


def theme_of(request: Request) -> str:
    """Light or dark where the address asks for it, else nothing."""
    asked = request.query_params.get("theme", "")
    return asked if asked in {"light", "dark"} else ""


def as_json(view: Any, status: int = 200) -> Response:
    """The twin of a page, for programs."""
    return Response(msgspec.json.encode(view), status, media_type="application/json")
