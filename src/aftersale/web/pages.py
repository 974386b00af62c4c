"""What do all pages share: the frame, the words in templates, the store they read?"""

from pathlib import Path
from typing import Any, cast

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from aftersale.delivery.reasons import send_words
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.explaining import world_now
from aftersale.runtime.sending import mode_of
from aftersale.turn.programme import World
from aftersale.turn.words import reason_words
from aftersale.web import words
from aftersale.web.census import Census, Censuses
from aftersale.web.sign_in import SignIn, form_token

FOLDER = Path(__file__).parent

MODES = {
    "rehearse": "Rehearsal: everything is decided, every message stays in the mailbox here.",
    "test": "Test: only listed addresses get mail.",
    "live": "Live: customers get mail.",
    "stopped": "Stopped: nothing is sent.",
}


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
        "is_healthy": words.is_healthy,
    }
    return made


class Pages:
    """Renders pages over one installation."""

    def __init__(self, app: App, *, secret: bytes, sign_in: SignIn) -> None:
        self.app = app
        self.secret = secret
        self.sign_in = sign_in
        self._templates = environment()
        self._censuses = Censuses(app)

    def world(self, tx: Transaction) -> World:
        """What the next turn will decide with."""
        return world_now(tx, self.app.worlds)

    def census(self, tx: Transaction, now: Instant) -> Census:
        """The latest count of all customers."""
        return self._censuses.latest(tx, self.world(tx), now)

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
        mode = mode_of(tx)
        return self.bare(
            request,
            template,
            status=status,
            zone=self.world(tx).programme.policy.zone,
            mode=mode,
            mode_meaning=MODES.get(mode, mode),
            demo=bool(tx.meta.get("demo")),
            shop=self.shop_name(tx),
            form_token=form_token(self.secret, request.scope["state"]["session"]),
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


def as_json(view: Any) -> Response:
    """The twin of a page, for programs."""
    return Response(msgspec.json.encode(view), media_type="application/json")
