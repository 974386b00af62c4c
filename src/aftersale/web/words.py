"""How does the merchant read an event, an amount, a moment, a name?"""

from collections.abc import Mapping, Sequence
from typing import Any

from aftersale.catalogue.product import Catalogue
from aftersale.events.event import Entry
from aftersale.events.vocabulary import (
    ConsentEvent,
    Line,
    MessageEvent,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderShipped,
    ProductEvent,
    RefundIssued,
    ReturnInitiated,
    ReviewSubmitted,
    ScoreChanged,
    Subscription,
    SurveyAnswered,
    Ticket,
    TrackingViewed,
)
from aftersale.gates.verdict import REASONS
from aftersale.kernel.instants import DAY, HOUR, MINUTE, Duration, Instant, as_datetime
from aftersale.kernel.money import exponent, format_money
from aftersale.kernel.zones import wall
from aftersale.models.scores import SCORES

EVENT_TITLES = {
    "order.completed": "Order placed",
    "order.shipped": "Parcel shipped",
    "order.delivered": "Parcel delivered",
    "parcel.updated": "Parcel moved",
    "order.cancelled": "Order cancelled",
    "return.initiated": "Return announced",
    "refund.issued": "Refund paid",
    "payment.received": "Payment received",
    "payment.failed": "Payment failed",
    "payment.disputed": "Payment disputed",
    "subscription.updated": "Subscription changed",
    "review.submitted": "Review written",
    "message.sent": "Message sent",
    "message.delivered": "Message delivered",
    "message.opened": "Message opened",
    "message.clicked": "Link clicked",
    "message.bounced": "Message bounced",
    "message.complained": "Complaint about a message",
    "message.unsubscribed": "Unsubscribed",
    "message.failed": "Message not delivered",
    "message.received": "Wrote to us",
    "product.viewed": "Looked at a product",
    "product.added_to_cart": "Put into the basket",
    "checkout.started": "Went to pay",
    "support.ticket_created": "Support ticket opened",
    "support.ticket_resolved": "Support ticket resolved",
    "tracking.viewed": "Looked where the parcel is",
    "survey.answered": "Survey answered",
    "score.changed": "A model says",
    "consent.given": "Consent given",
    "consent.withdrawn": "Consent withdrawn",
    "privacy.requested": "Asked about personal data",
    "customer.updated": "Details updated",
    "customer.merged": "Two records became one",
    "history.summarised": "Older history summarised",
}

STAGE_TITLES = {
    "prospect": "Prospects",
    "new": "New",
    "active": "Active",
    "at_risk": "At risk",
    "lapsed": "Lapsed",
}

STAGE_MEANINGS = {
    "prospect": "no order that counts yet",
    "new": "one order, not late by the measure of customers like them",
    "active": "two orders or more, not late",
    "at_risk": "waited longer than 90 % of customers like them do",
    "lapsed": "waited twice as long as that",
}

KIND_TITLES = {
    "start": "Journey began",
    "refuse": "Did not begin",
    "send": "Message decided",
    "hold": "Held back",
    "defer": "Waits",
    "would-send": "Left out to measure",
    "task": "Task",
    "branch": "Way chosen",
    "wait": "Wait",
    "goal": "Goal reached",
    "exit": "Journey ended",
    "late": "Known too late",
}


def event_title(kind: str) -> str:
    """What happened, in shop words; a type of the merchant's own as it is named."""
    return EVENT_TITLES.get(kind, kind)


def event_facts(entry: Entry, catalogue: Catalogue) -> str:
    """What the event said besides that it happened."""
    facts = (
        (score_words(entry.body.score, entry.body.value), entry.body.band, entry.body.product)
        if isinstance(entry.body, ScoreChanged)
        else _facts(entry, catalogue)
    )
    return " · ".join(fact for fact in facts if fact)


def _facts(entry: Entry, catalogue: Catalogue) -> tuple[str, ...]:
    facts: tuple[str, ...] = ()
    match entry.body:
        case OrderCompleted() as body:
            facts = (_order(body.order), amount(body.total, body.currency))
            facts += (_lines(body.lines, catalogue),)
        case OrderShipped() as body:
            facts = (_order(body.order), body.carrier)
        case OrderCancelled() | OrderDelivered() | TrackingViewed() as body:
            facts = (_order(body.order),)
        case ReturnInitiated() as body:
            facts = (_order(body.order), _lines(body.lines, catalogue), body.reason)
        case RefundIssued() as body:
            facts = (amount(body.amount, body.currency),)
        case ReviewSubmitted() as body:
            facts = (f"{body.rating} of 5", product_name(body.product, catalogue))
        case ProductEvent() | Subscription() as body:
            status = body.status if isinstance(body, Subscription) else ""
            facts = (product_name(body.product, catalogue), status.replace("_", " "))
        case Ticket() as body:
            facts = (body.category, _order(body.order))
        case SurveyAnswered() as body:
            facts = (body.kind.upper(), _score(body.score))
        case ConsentEvent() as body:
            facts = (f"{body.channel}, {body.purpose}", body.basis)
        case MessageEvent() as body:
            facts = (body.channel, body.kind)
        case _:
            pass
    return facts


def score_words(name: str, value: float | None) -> str:
    """A score as a few words; where nothing is said any more, that."""
    title = name.replace("_", " ")
    if value is None:
        return f"{title}: nothing any more"
    instant = name in SCORES and SCORES[name].type == "instant"
    return f"{title} {day(round(value), 'UTC') if instant else f'{value:.3g}'}"


def _score(score: int | None) -> str:
    return "" if score is None else str(score)


def _order(number: str) -> str:
    return f"#{number}" if number else ""


def _lines(lines: Sequence[Line], catalogue: Catalogue) -> str:
    return ", ".join(
        name if line.quantity == 1 else f"{line.quantity} × {name}"
        for line in lines
        for name in (product_name(line.product, catalogue),)
    )


def product_name(product: str, catalogue: Catalogue) -> str:
    """The product's name, its id where it has none."""
    return catalogue.get(product).name or product


def amount(minor: int, currency: str) -> str:
    """`1 234.50 EUR`; nothing where no currency was told."""
    if not currency:
        return ""
    number, _, name = format_money(minor, currency).partition(" ")
    whole, dot, part = number.partition(".")
    return f"{grouped(int(whole))}{dot}{part} {name}"


def rounded_amount(minor: float, currency: str) -> str:
    """`55 446 EUR`, `1.23 M EUR`: as many places as one reads at a glance."""
    if not currency:
        return ""
    whole = minor / 10 ** exponent(currency)
    if abs(whole) < 1_000:
        return amount(round(minor), currency)
    if abs(whole) < 1_000_000:
        return f"{grouped(whole)} {currency}"
    return f"{whole / 1_000_000:.2f}\u202fM {currency}"


def grouped(number: float) -> str:
    """An integer with narrow spaces between its thousands."""
    return f"{number:,.0f}".replace(",", "\u202f")


def percent(share: float) -> str:
    """`31.4 %`."""
    return f"{100 * share:.1f}\u202f%"


def day(instant: Instant, zone: str) -> str:
    """`3 Mar 2026` on the zone's calendar."""
    shown = as_datetime(wall(instant, zone))
    return f"{shown.day} {shown:%b %Y}"


def clock(instant: Instant, zone: str) -> str:
    """`10:11` on the zone's clock."""
    return f"{as_datetime(wall(instant, zone)):%H:%M}"


def minute(instant: Instant, zone: str) -> str:
    """`3 Mar 2026, 10:11` on the zone's clock."""
    return f"{day(instant, zone)}, {clock(instant, zone)}"


def span(duration: Duration) -> str:
    """About how long, in one unit: `3 days`, `2 hours`, `1 minute`, `moments`."""
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if duration >= unit:
            count = duration // unit
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "moments"


def many(count: int, one: str, more: str = "") -> str:
    """`1 order`, `2 orders`."""
    return f"{grouped(count)} {one if count == 1 else more or one + 's'}"


def person_name(customer: int, personal: Mapping[str, Any]) -> str:
    """The name that was told, else the address, else our number."""
    joined = " ".join(str(personal.get(key) or "") for key in ("first_name", "last_name")).strip()
    return str(
        personal.get("name") or joined or personal.get("email") or f"Customer {customer}"
    ).strip()


def is_healthy(reason: str) -> bool:
    """Whether a message held back for this reason is as it should be."""
    known = REASONS.get(reason)
    return known is None or known.healthy
