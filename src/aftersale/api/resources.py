"""What does a program read of an installation, and in which form?

Every resource is one line of `RESOURCES`: its address, what it takes, what it answers. The server
serves them by that table, and the description for programs is written from it.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec

from aftersale.customers.profile import Consent as Word
from aftersale.customers.profile import Profile
from aftersale.delivery.ports import Send
from aftersale.delivery.reasons import send_words
from aftersale.events.event import Entry
from aftersale.events.vocabulary import encode_body
from aftersale.journeys.definition import Journey as Definition
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant, format_instant
from aftersale.models import lifecycle
from aftersale.models.scores import SCORES, Card
from aftersale.programme.ports import Transaction
from aftersale.runtime.app import App
from aftersale.runtime.cards import kept_cards
from aftersale.runtime.explaining import find_customer
from aftersale.runtime.said import OfOne, said_of
from aftersale.turn.decision import Decision as Decided
from aftersale.turn.decision import decision_name
from aftersale.turn.programme import World
from aftersale.turn.state import decode
from aftersale.turn.words import sentence

T = TypeVar("T")

MOST, USUAL = 100, 25
"""Rows of one page."""
_LOOKED_AT = 2_000
"""Numbers of customers that one page looks at: of a merged one there is nothing to show."""

When = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
Found = dict[str, Any]


class Missing(Exception):
    """There is nothing of that name."""


class Money(msgspec.Struct, frozen=True):
    """An amount in the currency's smallest unit."""

    amount: int
    currency: str


class Outside(msgspec.Struct, frozen=True):
    """A name under which a source knows the customer."""

    kind: str
    value: str


class Consent(msgspec.Struct, frozen=True):
    """The latest word on a channel and purpose."""

    channel: str
    purpose: str
    given: bool
    basis: str
    at: When


class Customer(msgspec.Struct, frozen=True):
    """A customer, with what follows from the log as of now."""

    id: int
    email: str | None
    name: str | None
    country: str | None
    locale: str | None
    zone: str
    stage: str
    tier: str
    category: str
    orders: int
    revenue: list[Money]
    last_order_at: When | None
    next_order_at: When | None
    last_seen_at: When | None
    consents: list[Consent]


class Event(msgspec.Struct, frozen=True):
    """An event at its place in the ledger."""

    position: int
    id: str
    source: str
    type: str
    customer: int | None
    """None where it concerns nobody, or everybody."""
    at: When
    received_at: When
    shop: str
    history: bool
    """Known before the engine first ran, or imported as the past: it starts nothing."""
    data: Found
    personal: Found
    """What names a person; empty once it was erased."""


class Decision(msgspec.Struct, frozen=True):
    """One thing that was decided about one customer, and why."""

    id: str
    customer: int
    kind: str
    journey: str
    version: int
    step: str
    reason: str
    at: When
    """The instant that caused it."""
    decided_at: When
    sentence: str
    event: int | None
    """Position of the event that caused it; None where an alarm did."""


class Message(msgspec.Struct, frozen=True):
    """A message that was decided, and what became of it."""

    id: str
    decision: str
    customer: int
    journey: str
    step: str
    channel: str
    purpose: str
    template: str
    status: str
    status_at: When
    decided_at: When
    why: str
    """Why it is in this state, in words."""
    provider_id: str | None


class Score(msgspec.Struct, frozen=True):
    """What a model says of the customer."""

    score: str
    product: str | None
    value: float | When
    """A moment for a score that is one."""
    low: float | When
    high: float | When
    """In nine of ten cases it lies between `low` and `high`."""
    band: str
    step: str
    """On whose past it rests: customer, segment, shop or default."""
    reasons: list[str]
    version: str
    as_of: When


class Journey(msgspec.Struct, frozen=True):
    """A journey of the programme in force."""

    name: str
    title: str
    version: int
    about: str
    starts_on: list[str]
    """Types of events; empty where it starts at a date."""
    paused: bool
    holdout: float | None
    """Share of customers that it leaves out; None: the policy's."""
    steps: list[str]


class Asked(msgspec.Struct, frozen=True):
    """What a request asks for, each part checked."""

    path: dict[str, str]
    find: str = ""
    after: tuple[int, ...] = ()
    """Where the page before ended; empty for the first."""
    limit: int = USUAL


class Rows(msgspec.Struct, frozen=True):
    """A page, and where the next one goes on; nothing where this is the last."""

    data: Sequence[Any]
    after: tuple[int, ...] = ()


Read = Callable[[App, Transaction, Asked], Any]


class Resource(msgspec.Struct, frozen=True):
    """One address."""

    path: str
    """Parts in braces are names."""
    doc: str
    answer: type[Any]
    """Of one, or of each row of a page."""
    read: Read
    paged: bool = False
    findable: bool = False
    numbers: int = 1
    """Of a cursor."""


def _customers(app: App, tx: Transaction, asked: Asked) -> Rows:
    """The newest first; those of one name where it is asked for."""
    world, now = app.worlds.now(tx), app.now(tx)
    if asked.find:
        try:
            return Rows(_people(tx, world, now, [find_customer(tx, asked.find)]))
        except Refusal:
            return Rows([])
    at = asked.after[0] - 1 if asked.after else tx.identities.last()
    end = max(at - _LOOKED_AT, 0)
    chosen: list[CustomerId] = []
    while at > end and len(chosen) < asked.limit:
        numbers = list(range(at, max(at - asked.limit, end), -1))
        rows = tx.states.load(numbers)
        for number in numbers:
            at = number - 1
            if number in rows:
                chosen.append(number)
                if len(chosen) == asked.limit:
                    break
    return Rows(_people(tx, world, now, chosen), (at + 1,) if at > 0 else ())


def _customer(app: App, tx: Transaction, asked: Asked) -> Customer:
    number = _number(tx, asked)
    return _people(tx, app.worlds.now(tx), app.now(tx), [number])[0]


def _events(_: App, tx: Transaction, asked: Asked) -> Rows:
    """As they came in, the oldest first: a program that remembers its cursor misses none."""
    after = asked.after[0] if asked.after else 0
    entries = tx.ledger.read(after, asked.limit)
    return Rows(_told(tx, entries), (entries[-1].position,) if entries else asked.after)


def _event(_: App, tx: Transaction, asked: Asked) -> Event:
    position = _whole(asked.path["position"])
    found = tx.ledger.entries([position]) if 0 < position <= tx.ledger.last() else {}
    if position not in found:
        raise Missing(f"there is no event at position {position}")
    return _told(tx, [found[position]])[0]


def _events_of(_: App, tx: Transaction, asked: Asked) -> Rows:
    number = _number(tx, asked)
    entries = sorted(
        tx.ledger.of_customers(number, number), key=lambda one: (one.at, one.position), reverse=True
    )
    page = _page(entries, asked, lambda one: (one.at, one.position))
    return Rows(_told(tx, page.data), page.after)


def _decisions_of(_: App, tx: Transaction, asked: Asked) -> Rows:
    number = _number(tx, asked)
    newest = tx.decisions.of(number, limit=1)
    last = asked.after[0] - 1 if asked.after else (newest[0].seq if newest else 0)
    first = max(last - asked.limit, 0)
    found = [tx.decisions.get(number, seq) for seq in range(last, first, -1)]
    data = [_decided(one) for one in found if one]
    return Rows(data, (first + 1,) if first > 0 and data else ())


def _decision(_: App, tx: Transaction, asked: Asked) -> Decision:
    name = asked.path["decision"]
    customer, _dash, seq = name.partition("-")
    found = None
    if 0 < _whole(customer) <= tx.identities.last():
        found = tx.decisions.get(_whole(customer), _whole(seq))
    if found is None:
        raise Missing(f"there is no decision {name}")
    return _decided(found)


def _messages_of(_: App, tx: Transaction, asked: Asked) -> Rows:
    number = _number(tx, asked)
    sends = sorted(
        (one for one in tx.outbox.of(number) if one.kind == "message"),
        key=lambda one: (one.seq, one.decided_at),
        reverse=True,
    )
    page = _page(sends, asked, lambda one: (one.seq, one.decided_at))
    return Rows([_message(one) for one in page.data], page.after)


def _message_of(_: App, tx: Transaction, asked: Asked) -> Message:
    found = tx.outbox.get(asked.path["message"])
    if found is None or found.kind != "message":
        raise Missing("there is no message of this id")
    return _message(found)


def _scores_of(app: App, tx: Transaction, asked: Asked) -> Rows:
    return _cut([_said(one) for one in said_of(app.lake, _number(tx, asked))], asked)


def _models(_: App, tx: Transaction, asked: Asked) -> Rows:
    kept = kept_cards(tx)
    return _cut(kept.cards if kept else [], asked)


def _journeys(app: App, tx: Transaction, asked: Asked) -> Rows:
    known = app.worlds.now(tx).programme.journeys
    return _cut([_journey(known[name]) for name in sorted(known)], asked)


def _journey_of(app: App, tx: Transaction, asked: Asked) -> Journey:
    name = asked.path["journey"]
    known = app.worlds.now(tx).programme.journeys
    if name not in known:
        raise Missing(f"no journey in force is called {name}")
    return _journey(known[name])


def _rows(path: str, doc: str, read: Read, answer: type[Any], numbers: int = 1) -> Resource:
    return Resource(path, doc, answer, read, paged=True, numbers=numbers)


_ALL, _ONE = "/api/v1", "/api/v1/customers/{customer}"
_MERGED = "One customer; of one that was merged, the customer that it became."
_LATER = "All events as they came in. The last page has a cursor too: for what comes later."
RESOURCES = (
    Resource(
        f"{_ALL}/customers",
        "Customers, the newest first; with `find` the one of that name.",
        Customer,
        _customers,
        paged=True,
        findable=True,
    ),
    Resource(_ONE, _MERGED, Customer, _customer),
    _rows(f"{_ONE}/events", "Events of a customer, the newest first.", _events_of, Event, 2),
    _rows(
        f"{_ONE}/decisions",
        "What was decided about a customer, the newest first.",
        _decisions_of,
        Decision,
    ),
    _rows(
        f"{_ONE}/messages", "Messages to a customer, the newest first.", _messages_of, Message, 2
    ),
    _rows(f"{_ONE}/scores", "What every model said of a customer last.", _scores_of, Score),
    _rows(f"{_ALL}/events", _LATER, _events, Event),
    Resource(f"{_ALL}/events/{{position}}", "One event.", Event, _event),
    Resource(
        f"{_ALL}/decisions/{{decision}}", "One decision, by its name: `42-7`.", Decision, _decision
    ),
    Resource(f"{_ALL}/messages/{{message}}", "One message.", Message, _message_of),
    _rows(f"{_ALL}/journeys", "The journeys in force.", _journeys, Journey),
    Resource(f"{_ALL}/journeys/{{journey}}", "One journey.", Journey, _journey_of),
    _rows(f"{_ALL}/models", "The cards of all models of the newest scoring.", _models, Card),
)


def _whole(text: str) -> int:
    """A whole number that a store can hold; 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def _number(tx: Transaction, asked: Asked) -> CustomerId:
    text = asked.path["customer"]
    number = _whole(text)
    if not 0 < number <= tx.identities.last():
        raise Missing(f"there is no customer {text}")
    return tx.identities.living(number)


def _cut(rows: Sequence[Any], asked: Asked) -> Rows:
    """A page of a short list that has one order; its cursor is a place in it."""
    begin = asked.after[0] if asked.after else 0
    end = begin + asked.limit
    return Rows(rows[begin:end], (end,) if end < len(rows) else ())


def _page(rows: Sequence[T], asked: Asked, place: Callable[[T], tuple[int, ...]]) -> "Rows":
    """So many of the rows, which descend by their places, as come after the cursor."""
    left = [one for one in rows if not asked.after or place(one) < asked.after]
    page = left[: asked.limit]
    return Rows(page, place(page[-1]) if len(left) > len(page) else ())


def _people(
    tx: Transaction, world: World, now: Instant, numbers: Sequence[CustomerId]
) -> list[Customer]:
    rows, people = tx.states.load(numbers), tx.personal.of_many(numbers)
    found = []
    for number in numbers:
        person = people.get(number, {})
        row = rows.get(number)
        profile = decode(row.blob).profile if row else Profile()
        reading = world.reading(profile, now)
        bought = reading.bought
        name = " ".join(str(person[key]) for key in ("first_name", "last_name") if person.get(key))
        found.append(
            Customer(
                id=number,
                email=str(person["email"]) if person.get("email") else None,
                name=name or None,
                country=profile.country.value if profile.country else None,
                locale=profile.locale.value if profile.locale else None,
                zone=reading.whereabouts.zone,
                stage=lifecycle.stage(bought, reading.rhythm, now),
                tier=reading.segment[0],
                category=reading.segment[1],
                orders=bought.count,
                revenue=[Money(amount, of) for of, amount in sorted(bought.revenue.items())],
                last_order_at=_moment(bought.last_at),
                next_order_at=_moment(lifecycle.next_order_date(bought, reading.rhythm)),
                last_seen_at=_moment(profile.last_seen_at),
                consents=[_consent(key, word) for key, word in sorted(profile.consents.items())],
            )
        )
    return found


def _consent(key: str, word: Word) -> Consent:
    channel, _, purpose = key.partition("/")
    return Consent(channel, purpose, word.given, word.basis, format_instant(word.at))


def _moment(at: Instant | None) -> When | None:
    return format_instant(at) if at else None


def _told(tx: Transaction, entries: Sequence[Entry]) -> list[Event]:
    personal = tx.personal.of_events([one.position for one in entries])
    return [
        Event(
            one.position,
            one.id,
            one.source,
            one.type,
            one.customer or None,
            format_instant(one.at),
            format_instant(one.received_at),
            one.shop,
            one.history,
            msgspec.msgpack.decode(encode_body(one.body)),
            personal.get(one.position, {}),
        )
        for one in entries
    ]


def _decided(one: Decided) -> Decision:
    return Decision(
        decision_name(one.customer, one.seq),
        one.customer,
        one.kind,
        one.journey,
        one.version,
        one.step,
        one.reason,
        format_instant(one.at),
        format_instant(one.now),
        sentence(one),
        one.cause or None,
    )


def _message(one: Send) -> Message:
    return Message(
        one.key,
        decision_name(one.customer, one.seq),
        one.customer,
        one.journey,
        one.step,
        one.channel,
        one.purpose,
        one.template,
        one.status,
        format_instant(one.status_at or one.decided_at),
        format_instant(one.decided_at),
        send_words(one.reason) if one.reason else "",
        one.provider_id or None,
    )


def _said(one: OfOne) -> Score:
    of_time = SCORES[one.score].type == "instant"
    value, low, high = (
        format_instant(round(number)) if of_time else number
        for number in (one.value, one.low, one.high)
    )
    return Score(
        one.score,
        one.product or None,
        value,
        low,
        high,
        one.band,
        one.step,
        list(one.reasons),
        one.version,
        format_instant(one.until),
    )


def _journey(one: Definition) -> Journey:
    return Journey(
        one.name,
        one.title or one.name,
        one.version,
        one.about,
        list(one.start.on.types) if one.start.on else [],
        one.paused,
        one.holdout,
        [step.id for step in one.steps],
    )
