"""Which messages were decided, and what became of each?"""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aftersale.delivery.ports import CLAIMED, DROPPED, FAILED, QUEUED, SENT, UNKNOWN, Send
from aftersale.delivery.reasons import send_words
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Transaction
from aftersale.turn.decision import decision_name
from aftersale.web.mailbox import address_of
from aftersale.web.pages import Pages, Shown
from aftersale.web.words import person_name

SHOWN, LOOKED_AT = 100, 1_000
"""Messages of a list, and how many are looked at to find those that are asked for."""

STATES = {
    QUEUED: "waits",
    CLAIMED: "is being sent",
    SENT: "sent",
    FAILED: "failed",
    DROPPED: "dropped",
    UNKNOWN: "in doubt",
}
_ON_THE_WAY = {QUEUED, CLAIMED, FAILED, UNKNOWN}
"""States that few messages are in for long, so that they are looked up by themselves."""


class Line(msgspec.Struct, frozen=True):
    """One message of the list."""

    key: str
    decision: str
    customer: int
    person: str
    journey: str
    template: str
    channel: str
    state: str
    why: str
    at: Instant
    """When it came into this state."""
    provider_id: str
    read: str
    """Address of what the customer reads; empty where it is not in the mailbox."""


class Messages(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    journey: str
    state: str
    messages: list[Line]
    more: bool
    """Whether there are others that are not shown."""


def messages(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """The newest messages, by state and journey."""
    journey, state = (request.query_params.get(key, "") for key in ("journey", "state"))
    if state and state not in STATES:
        raise HTTPException(404, f"There is no state {state}; there are {', '.join(STATES)}.")
    if state in _ON_THE_WAY:
        looked = tx.outbox.in_state(state, limit=LOOKED_AT)
    else:
        looked = tx.outbox.newest(limit=LOOKED_AT)
    wanted = [
        send
        for send in looked
        if send.kind == "message" and journey in {"", send.journey} and state in {"", send.status}
    ]
    shown = wanted[:SHOWN]
    people = tx.personal.of_many(sorted({send.customer for send in shown}))
    view = Messages(
        journey,
        state,
        [_line(tx, send, people.get(send.customer, {})) for send in shown],
        more=len(wanted) > SHOWN or len(looked) == LOOKED_AT,
    )
    also = {"states": STATES, "journeys": sorted(pages.world(tx).programme.journeys)}
    return Shown("messages.html", "messages", view, ("messages",), also)


def _line(tx: Transaction, send: Send, person: dict[str, object]) -> Line:
    caught = send.status == SENT and tx.mailbox.get(send.key) is not None
    return Line(
        send.key,
        decision_name(send.customer, send.seq),
        send.customer,
        person_name(send.customer, person),
        send.journey,
        send.template,
        send.channel,
        send.status,
        send_words(send.reason) if send.reason else "",
        send.status_at or send.decided_at,
        send.provider_id,
        address_of(send.key) if caught else "",
    )
