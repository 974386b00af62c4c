"""Does everything that should move, move?"""

from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aftersale.delivery.ports import UNKNOWN, Send
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import Conflict
from aftersale.programme.ports import Transaction
from aftersale.runtime.sending import mode_of
from aftersale.web.overview import Need, needs_of
from aftersale.web.pages import Pages, as_json, pages_of
from aftersale.web.report import Report


class Health(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    now: Instant
    mode: str
    driven: bool
    needs: list[Need]
    events: int
    read: int
    """Position up to which events were taken."""
    oldest_unread: Instant | None
    overdue: int
    next_alarm: Instant | None
    customers: int
    decisions: int
    outbox: dict[str, int]
    unknown: list[Send]
    conflicts: list[Conflict]
    deployed: int
    deployed_at: Instant
    store: dict[str, Any]
    """As the store describes itself."""


def health(request: Request) -> Response:
    """Facts of the store, as doctor sees them."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        view = health_of(pages, tx)
        return pages.framed(request, tx, "health.html", section="health", view=view)


def health_json(request: Request) -> Response:
    """The same for programs."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        return as_json(health_of(pages, tx))


def health_of(pages: Pages, tx: Transaction) -> Health:
    """What the page shows."""
    now = pages.app.now(tx)
    last = tx.journal.last()
    by_status: dict[str, int] = {}
    for (_, _, status), count in tx.outbox.counts().items():
        by_status[status] = by_status.get(status, 0) + count
    latest = tx.deployments.latest()
    return Health(
        now=now,
        mode=mode_of(tx),
        driven=bool(tx.meta.get("driven")),
        needs=[need for need in needs_of(pages, tx, now) if need.address == "/health"],
        events=tx.ledger.last(),
        read=last.upto if last else 0,
        oldest_unread=tx.ledger.oldest_after(last.upto if last else 0),
        overdue=len(tx.states.due(now - 1, 1_000)),
        next_alarm=tx.states.next_alarm(),
        customers=tx.states.count(),
        decisions=tx.decisions.total(),
        outbox=by_status,
        unknown=tx.outbox.in_state(UNKNOWN, limit=50),
        conflicts=tx.ledger.conflicts(limit=20),
        deployed=latest.version if latest else 0,
        deployed_at=latest.deployed_at if latest else 0,
        store=pages.app.store.describe(),
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
