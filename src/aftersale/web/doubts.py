"""Which messages may have gone out, and what does a person say of them?"""

from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aftersale.delivery.ports import Send
from aftersale.programme.ports import Transaction
from aftersale.runtime.resolving import in_doubt, resolve
from aftersale.web.pages import Pages, Shown
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


def doubts(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """The list, with what can be said of each."""
    return Shown("doubts.html", "health", _doubts_of(tx))


def say(pages: Pages, where: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """Settle one message, or all of a journey."""
    answer, key, journey = (fields.get(name, "") for name in ("answer", "key", "journey"))
    if bool(key) == bool(journey):
        raise HTTPException(400, "Name one message or one journey.")
    with pages.app.store.write() as tx:
        resolve(tx, answer, pages.app.now(tx), key=key, journey=journey)
    return "/doubts"


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
