"""What did a sender hand in, and what became of it?

A translator turns one request into happenings: objects of the form in docs/reference/events.md,
which `told` reads with the same care as any other event. What is no happening is passed over with
a reason of a closed list. Nothing that a sender writes may end in anything else.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from aftersale.events.event import Event, read_event
from aftersale.events.vocabulary import ProductFacts
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import digest16
from aftersale.kernel.instants import Instant
from aftersale.translation.foreign import body_of


class Reason(msgspec.Struct, frozen=True):
    """One word of the closed list, as people read it."""

    text: str
    understood: bool = True
    """Whether we know what it is and that it is of no use: translating again changes nothing."""


REASONS: dict[str, Reason] = {
    "no-fact": Reason("tells nothing that a customer did or got"),
    "set-up": Reason("is about the connection itself"),
    "not-yet": Reason("is not far enough to count"),
    "told-elsewhere": Reason("is told by another topic, which says more"),
    "test": Reason("is marked as a test"),
    "machine": Reason("was done by a machine and not by a person"),
    "deleted": Reason("says only that something was deleted"),
    "empty": Reason("has nothing in it"),
    "not-for-us": Reason("is about somebody who is no customer"),
    "thin": Reason("names a thing without telling of it", understood=False),
    "missing": Reason("lacks what it is about", understood=False),
    "unreadable": Reason("is neither JSON nor a form", understood=False),
    "unknown": Reason("is of a kind that we do not know", understood=False),
    "invalid": Reason("tells what cannot be", understood=False),
    "to-confirm": Reason("asks to be confirmed by a person", understood=False),
    "fault": Reason("could not be translated, for a fault of ours", understood=False),
}


class Delivery(msgspec.Struct, frozen=True):
    """One request, as it arrived."""

    body: bytes
    headers: Mapping[str, str]
    """Names in small letters."""
    received_at: Instant
    shop: str = ""
    """Which shop of the merchant it is from, by the address it was sent to."""

    def content(self) -> Any:
        """What its body says, JSON or a form by its content type; Refusal where it is neither."""
        return body_of(self.body, self.headers.get("content-type", ""))


class Passed(msgspec.Struct, frozen=True):
    """A part of a request that becomes no event, and why."""

    code: str
    """Of `REASONS`."""
    detail: str = ""
    """What exactly: a topic, a field. Never anything that names a person."""

    def __str__(self) -> str:
        text = REASONS[self.code].text
        return f"{text} ({self.detail})" if self.detail else text


class Happening(msgspec.Struct, frozen=True):
    """One event in the sender's words, put into our form."""

    kind: str
    at: Instant | None = None
    """None: the sender names no time, and the arrival serves."""
    customer: Mapping[str, Any] = {}
    data: Mapping[str, Any] = {}
    id: str = ""
    """The sender's own id; where there is none, the content is the id."""
    names: tuple[str, ...] = ()
    """Of a message: other names by which we may know it."""


Part = Happening | ProductFacts | Passed


class Translated(msgspec.Struct, frozen=True):
    """What one request told."""

    events: tuple[Event, ...] = ()
    products: tuple[ProductFacts, ...] = ()
    names: dict[str, tuple[str, ...]] = {}
    """Event id → other names of the message that it tells of."""
    passed: tuple[Passed, ...] = ()

    @property
    def understood(self) -> bool:
        """Whether a better translator would make no more of it."""
        return all(REASONS[passed.code].understood for passed in self.passed)


def told(provider: str, delivery: Delivery, parts: Iterable[Part]) -> Translated:
    """Read what a translator found; what cannot be an event is passed over with its field."""
    events: dict[str, Event] = {}
    products: dict[str, ProductFacts] = {}
    names: dict[str, tuple[str, ...]] = {}
    passed: dict[Passed, None] = {}
    for part in parts:
        if isinstance(part, Passed):
            passed[part] = None
        elif isinstance(part, ProductFacts):
            products[part.product] = part
        else:
            try:
                event = _event(provider, delivery, part)
            except Refusal as refusal:
                passed[Passed("invalid", refusal.where or part.kind)] = None
                continue
            events.setdefault(event.id, event)
            if part.names:
                names[event.id] = part.names
    if not (events or products or passed):
        passed[Passed("empty")] = None
    return Translated(tuple(events.values()), tuple(products.values()), names, tuple(passed))


def _event(provider: str, delivery: Delivery, part: Happening) -> Event:
    data = {name: value for name, value in part.data.items() if value not in _NOTHING}
    customer = {name: value for name, value in part.customer.items() if value not in _NOTHING}
    try:
        content = msgspec.json.encode([part.at, customer, data], order="deterministic")
    except (UnicodeEncodeError, RecursionError, TypeError):
        raise Refusal("the event holds half a character", where=part.kind) from None
    own = part.id or digest16(part.kind, delivery.shop, content).hex()
    if part.kind.startswith("message.") and not data.get("message"):
        data["message"] = f"{provider}:{own}"
    raw = {
        "type": part.kind,
        "id": f"{part.kind}:{own}"[:_LONGEST_ID],
        "at": delivery.received_at if part.at is None else part.at,
        "shop": delivery.shop,
        "source": provider,
        "customer": customer,
        "data": data,
    }
    event = read_event(raw)
    # Without a time of the sender's own, another arrival is no contradiction.
    return event if part.at is not None else msgspec.structs.replace(event, told_at=0)


_NOTHING: tuple[Any, ...] = (None, "", (), [], {})
_LONGEST_ID = 200
