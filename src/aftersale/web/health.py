"""Does everything that should move, move?"""

import msgspec
from starlette.requests import Request

from aftersale.delivery.ports import UNKNOWN, Send
from aftersale.kernel.instants import Instant
from aftersale.ledger.ports import Conflict
from aftersale.programme.ports import Transaction
from aftersale.runtime.doctor import Examined, Finding, examine
from aftersale.web.pages import Pages, Shown


class Health(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    now: Instant
    driven: bool
    last_line: str
    groups: dict[str, list[Finding]]
    unknown: list[Send]
    conflicts: list[Conflict]


def health(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """Everything that doctor looks at."""
    view = health_of(pages, tx, examine(pages.app))
    return Shown("health.html", "health", view, ("unknown", "conflicts"))


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
