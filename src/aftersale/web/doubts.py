"""Which messages may have gone out, and what does a person say of them?"""

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from aftersale.delivery.ports import Send
from aftersale.programme.ports import Transaction
from aftersale.runtime.resolving import in_doubt, resolve
from aftersale.web.pages import Pages, as_json, pages_of
from aftersale.web.sign_in import form_allowed
from aftersale.web.words import person_name

SHOWN = 200


class Doubt(msgspec.Struct, frozen=True):
    """One message of which nobody knows whether it went out."""

    send: Send
    name: str


class Doubts(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    total: int
    journeys: dict[str, int]
    shown: list[Doubt]


def doubts(request: Request) -> Response:
    """The list, with what can be said of each."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        view = _doubts_of(tx)
        return pages.framed(request, tx, "doubts.html", section="health", view=view)


def doubts_json(request: Request) -> Response:
    """The same for programs."""
    with pages_of(request).app.store.read() as tx:
        return as_json(_doubts_of(tx))


async def say(request: Request) -> Response:
    """Settle one message, or all of a journey."""
    form = await request.form(max_fields=5, max_files=0)
    session: str = request.scope["state"]["session"]
    pages = pages_of(request)
    if not form_allowed(pages.secret, session, str(form.get("form_token") or "")):
        raise HTTPException(403, "This form is not of your session; open the page again.")
    said = {name: str(form.get(name) or "") for name in ("answer", "key", "journey")}
    return await run_in_threadpool(_settle, pages, said)


def _settle(pages: Pages, said: dict[str, str]) -> Response:
    if bool(said["key"]) == bool(said["journey"]):
        raise HTTPException(400, "Name one message or one journey.")
    with pages.app.store.write() as tx:
        resolve(tx, said["answer"], pages.app.now(tx), key=said["key"], journey=said["journey"])
    return RedirectResponse("/doubts", 303)


def _doubts_of(tx: Transaction) -> Doubts:
    found = in_doubt(tx)
    shown = found[:SHOWN]
    people = tx.personal.of_many(sorted({send.customer for send in shown}))
    journeys: dict[str, int] = {}
    for send in found:
        journeys[send.journey] = journeys.get(send.journey, 0) + 1
    return Doubts(
        len(found),
        dict(sorted(journeys.items())),
        [Doubt(send, person_name(send.customer, people.get(send.customer, {}))) for send in shown],
    )
