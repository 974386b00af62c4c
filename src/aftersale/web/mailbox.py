"""What would customers have read, exactly as they would have seen it?"""

from urllib.parse import quote

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aftersale.delivery.ports import Caught, Send
from aftersale.messages.reading import read
from aftersale.programme.ports import Transaction
from aftersale.web.pages import Pages, Shown, pages_of
from aftersale.web.words import person_name

SHOWN = 100

PREVIEW = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""A mail runs nothing, loads nothing from elsewhere and can be framed only by our own page."""


class Line(msgspec.Struct, frozen=True):
    """One message of the list."""

    key: str
    address: str
    to: str
    subject: str
    at: int
    name: str
    customer: int
    journey: str


def address_of(key: str, page: str = "message") -> str:
    """Where a message is shown: keys hold `:`, `/` and `@`, so they travel as a parameter."""
    return f"/mailbox/{page}?key={quote(key, safe='')}"


class Mails(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    total: int
    messages: list[Line]


def mailbox(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """The newest messages."""
    caught = tx.mailbox.newest(limit=SHOWN)
    people = tx.personal.of_many(sorted({message.customer for message in caught}))
    rows = [
        Line(
            message.key,
            address_of(message.key),
            message.to,
            message.subject,
            message.at,
            person_name(message.customer, people.get(message.customer, {})),
            message.customer,
            message.key.partition(":")[0],
        )
        for message in caught
    ]
    return Shown("mailbox.html", "mailbox", Mails(tx.mailbox.total(), rows), ("messages",))


def message(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """One message with everything around it."""
    found = _asked(tx, request)
    send: Send | None = tx.outbox.get(found.key)
    person = tx.personal.of_many([found.customer]).get(found.customer, {})
    also = {
        "send": send,
        "preview": address_of(found.key, "html"),
        "links": [link for link in dict.fromkeys(read(found.html).addresses) if link],
        "name": person_name(found.customer, person),
    }
    return Shown("message.html", "mailbox", found, also=also)


def message_html(request: Request) -> Response:
    """The HTML part alone, for the frame on the message's page."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        found = _asked(tx, request)
    return Response(
        found.html,
        media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": PREVIEW, "Referrer-Policy": "no-referrer"},
    )


def _asked(tx: Transaction, request: Request) -> Caught:
    found = tx.mailbox.get(request.query_params.get("key", ""))
    if found is None:
        raise HTTPException(404, "This message is not in the mailbox.")
    return found
