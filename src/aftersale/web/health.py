"""Does everything that should move, move?"""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aftersale.delivery.ports import UNKNOWN, Send
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import Conflict
from aftersale.programme.ports import Transaction
from aftersale.runtime.doctor import Examined, Finding, examine
from aftersale.web.pages import Pages, as_json, pages_of
from aftersale.web.report import Report


class Health(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    now: Instant
    driven: bool
    last_line: str
    groups: dict[str, list[Finding]]
    unknown: list[Send]
    conflicts: list[Conflict]


def health(request: Request) -> Response:
    """Everything that doctor looks at."""
    pages = pages_of(request)
    examined = examine(pages.app)
    with pages.app.store.read() as tx:
        view = health_of(pages, tx, examined)
        return pages.framed(request, tx, "health.html", section="health", view=view)


def health_json(request: Request) -> Response:
    """The same for programs."""
    pages = pages_of(request)
    examined = examine(pages.app)
    with pages.app.store.read() as tx:
        return as_json(health_of(pages, tx, examined))


def health_of(pages: Pages, tx: Transaction, examined: Examined) -> Health:
    """What the page shows."""
    return Health(
        now=pages.app.now(tx),
        driven=bool(tx.meta.get("driven")),
        last_line=examined.last_line,
        groups=examined.groups,
        unknown=tx.outbox.in_state(UNKNOWN, limit=50),
        conflicts=tx.ledger.conflicts(limit=20),
    )


def latest_backtest(request: Request) -> Response:
    """The newest backtest that was kept."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        kept = tx.meta.get("backtest")
        if kept is None:
            raise HTTPException(404, "No backtest was kept yet: run aftersale backtest.")
        view = msgspec.convert(kept, Report)
        return pages.framed(request, tx, "backtest.html", section="backtest", view=view)
