"""What becomes of a request of a provider, when it arrives and when it is translated again?

The request, its events and whom they are about are kept in one transaction. What somebody sends
of a person who was erased is kept without its body.
"""

from collections.abc import Sequence

import msgspec

from aftersale.events.event import Event, Ref
from aftersale.kernel.instants import Instant
from aftersale.ledger.requests import (
    REFUSED,
    TRANSLATED,
    WAITING,
    NewRequest,
    Request,
    RequestNumber,
    key_of,
)
from aftersale.programme.ports import Transaction
from aftersale.runtime.intake import describe_products, is_past, take_in
from aftersale.runtime.suppression import without_erased
from aftersale.translation.happening import Delivery, Passed, Translated
from aftersale.translation.providers import translate
from aftersale.translation.requests import kept_headers, sender_id

_LONGEST_DETAIL = 200
FAULT = Passed("fault")
CONFIRM = Passed("to-confirm")


class Arrived(msgspec.Struct, frozen=True):
    """A request with what its translator made of it."""

    request: NewRequest
    translated: Translated = Translated()
    fault: Exception | None = None
    """What the translator failed with."""


class Retried(msgspec.Struct, frozen=True):
    """What became of one request that was translated again."""

    number: RequestNumber
    provider: str
    state: str
    events: int
    passed: tuple[Passed, ...]
    fault: Exception | None = None


def arrived(provider: str, delivery: Delivery) -> Arrived:
    """Translate a request that has proved whose it is.

    A translator that fails loses nothing: the request waits until that is mended.
    """
    try:
        found, fault = translate(provider, delivery), None
    except Exception as error:  # noqa: BLE001 - raised by who answers, once the request is safe
        found, fault = Translated(passed=(FAULT,)), error
    request = NewRequest(
        key_of(provider, delivery.shop, sender_id(provider, delivery)),
        provider,
        delivery.shop,
        delivery.received_at,
        kept_headers(delivery.headers),
        delivery.body,
        _state(found),
        _short(found.passed),
    )
    return Arrived(request, found, fault)


def untranslated(request: NewRequest) -> Arrived:
    """The same request by itself: what it told could not be taken in."""
    return Arrived(msgspec.structs.replace(request, state=WAITING, passed=(FAULT,)))


def take_requests(
    tx: Transaction, several: Sequence[Arrived], events: Sequence[Event], *, now: Instant
) -> None:
    """Keep requests and take in what they tell, after other events that came with them.

    A request that had come before is counted and tells nothing.
    """
    told = [event for one in several for event in one.translated.events]
    clean = {id(event) for event in without_erased(tx, told)}
    rows = [
        one.request
        if all(id(event) in clean for event in one.translated.events)
        else msgspec.structs.replace(one.request, body=b"", headers={})
        for one in several
    ]
    numbers = tx.requests.keep(rows)
    new = [
        (number, one.translated)
        for number, one in zip(numbers, several, strict=True)
        if number is not None
    ]
    _take(tx, new, events, now)


def retry(tx: Transaction, requests: Sequence[Request], *, now: Instant) -> list[Retried]:
    """Translate requests that are kept once more, as if they arrived with today's translators."""
    done, new = [], []
    for one in requests:
        delivery = Delivery(one.body, one.headers, one.received_at, one.shop)
        again = arrived(one.provider, delivery)
        state, passed = again.request.state, again.request.passed
        tx.requests.settle(one.number, state, passed)
        new.append((one.number, again.translated))
        events = len(again.translated.events)
        done.append(Retried(one.number, one.provider, state, events, passed, again.fault))
    _take(tx, new, (), now)
    return done


def _take(
    tx: Transaction,
    new: Sequence[tuple[RequestNumber, Translated]],
    before: Sequence[Event],
    now: Instant,
) -> None:
    history = is_past(tx)
    events = [*before, *(event for _, found in new for event in found.events)]
    take_in(tx, events, received_at=now, history=history)
    for _, found in new:
        if found.products:
            describe_products(tx, found.products, now, history=history)
    _concern(tx, new)


def _concern(tx: Transaction, new: Sequence[tuple[RequestNumber, Translated]]) -> None:
    """Note whom requests are about: everybody whom an id in them means."""
    refs = {number: _refs(found) for number, found in new}
    known = tx.identities.find(list({ref for some in refs.values() for ref in some}))
    pairs = {(number, known[ref]) for number, some in refs.items() for ref in some if ref in known}
    if pairs:
        tx.requests.concern(sorted(pairs))


def _refs(found: Translated) -> set[Ref]:
    return {ref for event in found.events for ref in event.refs}


def _state(found: Translated) -> str:
    if any(passed in {FAULT, CONFIRM} for passed in found.passed):
        return WAITING
    return TRANSLATED if found.understood else REFUSED


def _short(passed: Sequence[Passed]) -> tuple[Passed, ...]:
    return tuple(Passed(one.code, one.detail[:_LONGEST_DETAIL]) for one in passed)
