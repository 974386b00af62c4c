"""What was decided here, by which gates, and on what did it rest?"""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aftersale.delivery.ports import Send
from aftersale.events.event import Entry
from aftersale.programme.ports import Transaction
from aftersale.runtime.explaining import reading_of
from aftersale.turn.decision import Decision
from aftersale.turn.state import State, decode
from aftersale.turn.words import GATE_WORDS, Explanation, explain, moment
from aftersale.web.pages import Pages, as_json, pages_of
from aftersale.web.words import KIND_TITLES, event_facts, event_title, person_name


class DecisionView(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    told: Explanation
    title: str
    customer: int
    name: str
    zone: str
    at: str
    now: str
    cause: str
    """What brought it about, in words."""
    send: Send | None
    caught: bool
    before: bool
    """Whether there is a decision of this customer before it."""
    after: bool


def decision(request: Request) -> Response:
    """One decision."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        view = _asked(pages, tx, request)
        return pages.framed(
            request, tx, "decision.html", section="customers", view=view, gate_words=GATE_WORDS
        )


def decision_json(request: Request) -> Response:
    """The same for programs."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        return as_json(_asked(pages, tx, request))


def _asked(pages: Pages, tx: Transaction, request: Request) -> DecisionView:
    customer, seq = request.path_params["customer"], request.path_params["seq"]
    found = tx.decisions.get(customer, seq)
    if found is None:
        raise HTTPException(404, f"There is no decision {customer}-{seq}.")
    return decision_of(pages, tx, found)


def decision_of(pages: Pages, tx: Transaction, found: Decision) -> DecisionView:
    """What the page shows."""
    customer = found.customer
    world = pages.world(tx)
    row = tx.states.load([customer]).get(customer)
    state = decode(row.blob) if row else State()
    zone = reading_of(state, world, pages.app.now(tx)).whereabouts.zone
    send = next((one for one in tx.outbox.of(customer) if one.seq == found.seq), None)
    cause = "An alarm that was set for this instant."
    if found.cause:
        entries: list[Entry] = tx.ledger.read(found.cause - 1, 1, upto=found.cause)
        if entries:
            facts = event_facts(entries[0], world.catalogue)
            cause = f"{event_title(entries[0].type)} {facts}".strip()
    return DecisionView(
        told=explain(found, zone),
        title=KIND_TITLES.get(found.kind, found.kind),
        customer=customer,
        name=person_name(customer, tx.personal.of_many([customer]).get(customer, {})),
        zone=zone,
        at=moment(found.at, zone),
        now=moment(found.now, zone),
        cause=cause,
        send=send,
        caught=send is not None and tx.mailbox.get(send.key) is not None,
        before=found.seq > 1,
        after=tx.decisions.get(customer, found.seq + 1) is not None,
    )
