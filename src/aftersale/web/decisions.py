"""What was decided here, by which gates, and on what did it rest?"""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aftersale.delivery.ports import Send
from aftersale.events.event import Entry
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.explaining import reading_of
from aftersale.turn.decision import KINDS, Decision, decision_name
from aftersale.turn.state import State, decode
from aftersale.turn.words import GATE_WORDS, Explanation, explain, moment, sentence
from aftersale.web.pages import Pages, Shown
from aftersale.web.words import KIND_TITLES, event_facts, event_title, person_name

SHOWN, LOOKED_AT = 100, 1_000
"""Decisions of a list, and how many are looked at to find those of one reason."""


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


class DecisionLine(msgspec.Struct, frozen=True):
    """One line of a list of decisions."""

    name: str
    customer: int
    person: str
    now: Instant
    kind: str
    journey: str
    step: str
    reason: str
    sentence: str


class Decisions(msgspec.Struct, frozen=True):
    """Everything on the page of the newest decisions; the same as JSON."""

    journey: str
    kind: str
    reason: str
    decisions: list[DecisionLine]
    more: bool
    """Whether there are older ones that are not shown."""


def decisions(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """The newest decisions, by journey, kind and reason."""
    asked = request.query_params
    journey, kind, reason = (asked.get(key, "") for key in ("journey", "kind", "reason"))
    if kind and kind not in KINDS:
        raise HTTPException(404, f"There is no kind of decision {kind}.")
    zone = pages.world(tx).programme.policy.zone
    limit = LOOKED_AT if reason else SHOWN
    newest = tx.decisions.newest(journey=journey, kind=kind, limit=limit)
    wanted = [one for one in newest if not reason or one.reason == reason][:SHOWN]
    people = tx.personal.of_many(sorted({one.customer for one in wanted}))
    lines = [
        DecisionLine(
            decision_name(one.customer, one.seq),
            one.customer,
            person_name(one.customer, people.get(one.customer, {})),
            one.now,
            one.kind,
            one.journey,
            one.step,
            one.reason,
            sentence(one, zone),
        )
        for one in wanted
    ]
    view = Decisions(journey, kind, reason, lines, more=len(newest) == limit)
    also = {"titles": KIND_TITLES}
    return Shown("decisions.html", "journeys", view, ("decisions",), also)


def decision(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """One decision."""
    view = _asked(pages, tx, request)
    return Shown("decision.html", "customers", view, also={"gate_words": GATE_WORDS})


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
