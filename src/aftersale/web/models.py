"""Which models are in use, and how good were they on this shop's own past?"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from aftersale.kernel.instants import DAY, Instant
from aftersale.models.scores import SCORES, Card, Proof
from aftersale.programme.ports import Transaction
from aftersale.runtime.cards import kept_cards
from aftersale.web import charts
from aftersale.web.pages import Pages, as_json, pages_of

STALE = 7 * DAY
"""Age from which on the page says that scores are old."""


class Models(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    until: Instant | None
    """As of when was scored last; None: never."""
    old: bool
    cards: list[Card]
    meanings: dict[str, str]
    """Score → what it is."""
    wanted: list[str]
    """Scores that a journey or a segment looks at."""


def models(request: Request) -> Response:
    """The cards of the newest scoring."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        view = models_of(pages, tx)
        plots = {card.name: _plots(card.proof) for card in view.cards if card.proof.bins}
        return pages.framed(request, tx, "models.html", section="models", view=view, plots=plots)


def models_json(request: Request) -> Response:
    """The same for programs."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        return as_json(models_of(pages, tx))


def models_of(pages: Pages, tx: Transaction) -> Models:
    """What the page shows."""
    kept = kept_cards(tx)
    world = pages.world(tx)
    return Models(
        until=kept.until if kept else None,
        old=kept is not None and pages.app.now(tx) - kept.until > STALE,
        cards=kept.cards if kept else [],
        meanings={score.name: score.doc for score in SCORES.values()},
        wanted=sorted(pages.app.worlds.compiled(tx, world.programme.version).scores),
    )


def _plots(proof: Proof) -> tuple[str, str]:
    """The reliability plot, and that of gains."""
    return charts.reliability(proof.bins), charts.gains(proof.gains) if proof.gains else ""
