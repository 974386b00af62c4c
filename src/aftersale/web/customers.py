"""Who is this customer, and why did they get this and not that?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from aftersale.catalogue.product import Catalogue
from aftersale.customers.profile import Profile
from aftersale.delivery.ports import Send
from aftersale.events.event import Entry
from aftersale.kernel.errors import Refusal
from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import DAY, Instant
from aftersale.kernel.zones import day_number
from aftersale.models import lifecycle
from aftersale.models.scores import SCORES
from aftersale.programme.ports import Transaction
from aftersale.runtime.explaining import Told, explain_customer, find_customer, reading_of
from aftersale.runtime.said import OfOne, said_of
from aftersale.runtime.valuing import kept_worth
from aftersale.segments.states import state
from aftersale.turn.programme import World
from aftersale.turn.state import decode
from aftersale.turn.words import Explanation, reason_words
from aftersale.web.charts import Bar, bars
from aftersale.web.pages import Pages, Shown
from aftersale.web.people import Found, Person, condition_of, find_people
from aftersale.web.words import (
    KIND_TITLES,
    amount,
    day,
    event_facts,
    event_title,
    is_healthy,
    person_name,
    product_name,
)

FIRST_LINES, MOST_LINES = 80, 1_000
"""Of a timeline: at first, and where all are asked for."""
QUIET_DAYS = 5
"""Days without anything from which on they are said as a gap."""


class Listed(msgspec.Struct, frozen=True):
    """Everything on the page of customers; the same as JSON."""

    where: str
    meaning: str
    """In words, where the condition is a segment of its own name."""
    problem: str
    total: int
    looked_at: int
    before: CustomerId
    """Where the next page goes on; 0: nowhere."""
    customers: list[Person]


class Moment(msgspec.Struct, frozen=True):
    """One line of the timeline, or a gap between two."""

    at: Instant
    icon: str
    """event, send, hold, note or gap."""
    title: str
    text: str = ""
    address: str = ""
    history: bool = False


class Head(msgspec.Struct, frozen=True):
    """What is known at a glance."""

    id: CustomerId
    name: str
    email: str
    stage: str
    tier: str
    category: str
    orders: int
    value: str
    last_order_at: Instant
    next_order_at: Instant | None
    lapse_at: Instant | None
    zone: str
    zone_source: str
    locale: str
    country: str
    consents: list[tuple[str, bool, str, Instant]]
    """Channel and purpose, given, basis, since."""
    blocked: list[tuple[str, str]]
    worth: "Ahead | None" = None
    state: str = ""
    evidence: tuple[str, ...] = ()
    """The signals that show the state."""
    scores: list["Score"] = []
    segments: list[str] = []
    """Of the programme, that the customer is in."""


class Score(msgspec.Struct, frozen=True):
    """What a model says of the customer, and what decisions see of that."""

    title: str
    value: str = ""
    """As everybody was scored last; empty where nothing was said then."""
    band: str = ""
    low: str = ""
    """It lies between `low` and `high` nine times of ten."""
    high: str = ""
    step: str = ""
    """On whose past it rests: customer, segment, shop or default."""
    reasons: tuple[str, ...] = ()
    version: str = ""
    until: Instant = 0
    """As of when it was said; 0: it was not."""
    told: str = ""
    """As decisions see it; empty where they see none."""
    told_band: str = ""
    told_at: Instant = 0


class Ahead(msgspec.Struct, frozen=True):
    """What is expected of the customer in the next 12 months, by `aftersale value`."""

    value: str
    low: str
    high: str
    purchases: float
    buys: float
    alive: float
    fitted_at: Instant


class Held(msgspec.Struct, frozen=True):
    """What names the person, as the sources told it."""

    refs: list[tuple[str, str]]
    now: dict[str, str]
    """The latest telling of each field."""
    tellings: int


class Customer(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    head: Head
    told: Told
    timeline: list[Moment]
    more: int
    """Lines left out at the end."""
    messages: list[Send]
    held: Held
    skipped: list[Bar]
    """Messages held back, by reason."""


def customers(pages: Pages, tx: Transaction, request: Request) -> Shown | Response:
    """Search, and those who meet a condition, the newest first."""
    asked = request.query_params.get("q", "").strip()
    where = request.query_params.get("where", "").strip()
    begin = request.query_params.get("before", "0")
    if not begin.isdigit():
        raise HTTPException(400, f"{begin} is no number of a customer.")
    problem = ""
    if asked:
        try:
            return RedirectResponse(f"/customers/{find_customer(tx, asked)}", 303)
        except Refusal as refusal:
            problem = f"{refusal.what}: {refusal.hint}"
    world, now = pages.world(tx), pages.app.now(tx)
    segments = pages.app.worlds.compiled(tx, world.programme.version).segments
    condition, wrong = None, ""
    if where:
        try:
            condition = condition_of(where, segments)
        except Refusal as refusal:
            parts = (refusal.what, refusal.where, refusal.why, refusal.hint)
            problem = wrong = " · ".join(part for part in parts if part)
    found = Found([], 0, 0)
    if not wrong:
        found = find_people(tx, world, now, condition, before=int(begin))
    view = Listed(
        where,
        next((one.doc for one in segments if one.name == where), ""),
        problem,
        tx.states.count(),
        found.looked_at,
        found.before,
        found.people,
    )
    status = 400 if wrong else 200
    also = {"find": asked}
    return Shown("customers.html", "customers", view, ("customers",), also, status)


def customer(pages: Pages, tx: Transaction, request: Request) -> Shown | Response:
    """One customer."""
    asked: int = request.path_params["customer"]
    living = known(tx, asked)
    if living != asked:
        return RedirectResponse(f"/customers/{living}", 303)
    every = request.query_params.get("all") or request.url.path.endswith(".json")
    view = customer_of(pages, tx, living, most=MOST_LINES if every else FIRST_LINES)
    caught = {message.key for message in tx.mailbox.newest(limit=500, customer=living)}
    return Shown("customer.html", "customers", view, ("timeline",), {"caught": caught})


def known(tx: Transaction, asked: CustomerId) -> CustomerId:
    """The living customer of that number; 404 where there never was one."""
    if not 0 < asked <= tx.identities.last():
        raise HTTPException(404, f"There is no customer {asked}.")
    return tx.identities.living(asked)


def customer_of(
    pages: Pages, tx: Transaction, number: CustomerId, *, most: int = MOST_LINES
) -> Customer:
    """What the page shows; the timeline in at most so many lines."""
    now = pages.app.now(tx)
    told = explain_customer(tx, pages.app.worlds, number, now)
    world = pages.world(tx)
    messages = tx.outbox.of(number)
    entries = list(tx.ledger.of_customers(number, number))
    moments = timeline(entries, told.decisions, world.catalogue, told.zone)
    return Customer(
        head=_head(pages, tx, number, world, now),
        told=told,
        timeline=with_gaps(moments[:most], told.zone),
        more=max(len(moments) - most, 0),
        messages=messages,
        held=_held(tx, number),
        skipped=_skipped(told.decisions),
    )


def _skipped(decisions: Sequence[Explanation]) -> list[Bar]:
    counts = Counter(one.reason for one in decisions if one.kind == "hold")
    return bars([(reason_words(key), n, is_healthy(key), key) for key, n in counts.items()])


def _head(pages: Pages, tx: Transaction, number: CustomerId, world: World, now: Instant) -> Head:
    person = tx.personal.of_many([number]).get(number, {})
    row = tx.states.load([number]).get(number)
    if row is None:
        name = person_name(number, person)
        nothing = ("prospect", "new", "", 0, "", 0, None, None, "", "", "", "")
        return Head(number, name, str(person.get("email") or ""), *nothing, [], [])
    profile = decode(row.blob)
    reading = reading_of(profile, world, now)
    bought, rhythm, facts = reading.bought, reading.rhythm, profile.profile
    return Head(
        id=number,
        name=person_name(number, person),
        email=str(person.get("email") or ""),
        stage=lifecycle.stage(bought, rhythm, now),
        tier=reading.segment[0],
        category=reading.segment[1],
        orders=bought.count,
        value=amount(bought.revenue.get(bought.currency, 0), bought.currency),
        last_order_at=bought.last_at,
        next_order_at=lifecycle.next_order_date(bought, rhythm),
        lapse_at=lifecycle.lapse_date(bought, rhythm),
        zone=reading.whereabouts.zone,
        zone_source=reading.whereabouts.source,
        locale=facts.locale.value if facts.locale else "",
        country=facts.country.value if facts.country else "",
        consents=[
            (key.replace("/", ", "), word.given, word.basis, word.at)
            for key, word in sorted(facts.consents.items())
        ],
        blocked=[(channel, told.value) for channel, told in sorted(facts.blocked.items())],
        worth=_ahead(tx, world, number, facts, now),
        state=found.name if (found := state(reading)) else "",
        evidence=found.evidence if found else (),
        scores=_scores(facts, said_of(pages.app.lake, number), reading.whereabouts.zone),
        segments=[
            segment.name
            for segment in pages.app.worlds.compiled(tx, world.programme.version).segments
            if segment.condition.met(reading)
        ],
    )


def _scores(profile: Profile, said: Sequence[OfOne], zone: str) -> list[Score]:
    """What models said last and what they told of the customer; of a product with its number."""

    def shown(name: str, value: float) -> str:
        return day(round(value), zone) if SCORES[name].type == "instant" else f"{value:.3g}"

    found: dict[str, Score] = {}
    for one in said:
        title = one.score.replace("_", " ")
        found[f"{one.score}/{one.product}".rstrip("/")] = Score(
            f"{title}, {one.product}" if one.product else title,
            shown(one.score, one.value),
            one.band,
            shown(one.score, one.low),
            shown(one.score, one.high),
            one.step,
            one.reasons,
            one.version,
            one.until,
        )
    for key, told in sorted(profile.scores.items()):
        name, _, product = key.partition("/")
        if told.value is None or name not in SCORES:
            continue
        title = name.replace("_", " ")
        mine = found.get(key) or Score(f"{title}, {product}" if product else title)
        found[key] = msgspec.structs.replace(
            mine, told=shown(name, told.value), told_band=told.band, told_at=told.at
        )
    return list(found.values())


def _ahead(
    tx: Transaction, world: World, number: CustomerId, profile: Profile, now: Instant
) -> Ahead | None:
    found = kept_worth(tx, world, number, profile, now)
    if found is None:
        return None
    one, fitted_at = found
    value, low, high = (amount(round(m), one.currency) for m in (one.value, one.low, one.high))
    return Ahead(value, low, high, one.purchases, one.buys, one.alive, fitted_at)


def timeline(
    entries: Sequence[Entry],
    decisions: Sequence[Explanation],
    catalogue: Catalogue,
    zone: str,
) -> list[Moment]:
    """Events and decisions together, the newest first; looks at products joined by day."""
    moments = [
        Moment(
            told.now,
            _ICONS.get(told.kind, "note"),
            KIND_TITLES.get(told.kind, told.kind),
            told.sentence,
            f"/decisions/{told.name}",
        )
        for told in decisions
    ]
    for (kind, _), group in groupby(
        entries, key=lambda entry: (entry.type, day_number(entry.at, zone))
    ):
        same = list(group)
        if kind == "product.viewed" and len(same) > 1:
            names = dict.fromkeys(product_name(_product(entry), catalogue) for entry in same)
            title = f"Looked at products {len(same)} times"
            moments.append(
                Moment(same[-1].at, "event", title, ", ".join(names), "", same[-1].history)
            )
            continue
        if kind == "score.changed" and len(same) > 1:
            said = "; ".join(event_facts(entry, catalogue) for entry in same)
            moments.append(Moment(same[-1].at, "event", "Models say", said))
            continue
        moments += [
            Moment(
                entry.at,
                "event",
                event_title(entry.type),
                event_facts(entry, catalogue),
                history=entry.history,
            )
            for entry in same
        ]
    # Of one instant the event stands below what it caused.
    moments.sort(key=lambda moment: (-moment.at, moment.icon == "event"))
    return moments


_ICONS = {"send": "send", "hold": "hold", "would-send": "hold", "defer": "wait", "wait": "wait"}


def _product(entry: Entry) -> str:
    return str(getattr(entry.body, "product", ""))


def with_gaps(moments: Sequence[Moment], zone: str) -> list[Moment]:
    """The timeline with long silences said as one line."""
    found: list[Moment] = []
    for moment in moments:
        if found:
            quiet = day_number(found[-1].at, zone) - day_number(moment.at, zone) - 1
            if quiet >= QUIET_DAYS:
                found.append(Moment(moment.at + DAY, "gap", f"{quiet} days, nothing"))
        found.append(moment)
    return found


def _held(tx: Transaction, number: CustomerId) -> Held:
    told: Mapping[str, Any] = tx.personal.of_many([number]).get(number, {})
    return Held(
        [(ref.kind, ref.value.removeprefix("/")) for ref in sorted(tx.identities.refs_of(number))],
        {key: shown(value) for key, value in sorted(told.items())},
        len(tx.personal.of(number)),
    )


def shown(value: Any) -> str:
    """A value as text, however deep."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
