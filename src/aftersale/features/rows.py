"""Which rows of the history does one entry of the ledger give?

Only facts are read: what names a person lies apart and never comes here. Consent, what is known
of a customer, types that only this system writes and types that nobody listed give no row.
"""

from collections.abc import Callable, Iterable
from typing import Any

from aftersale.customers.fold import order_key
from aftersale.events.event import Entry
from aftersale.events.vocabulary import (
    CustomerMerged,
    MessageEvent,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderShipped,
    ParcelUpdated,
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
from aftersale.features.tables import TABLES
from aftersale.kernel.zones import day_number

Rows = dict[str, list[tuple[Any, ...]]]
"""Table → rows, their values in the order of the table's columns."""

_Head = tuple[int, int, int, int, int]


def no_rows() -> Rows:
    """Every table of the history, without a row."""
    return {name: [] for name in TABLES}


def lay_out(entries: Iterable[Entry], zone: str, rows: Rows) -> None:
    """Add what the entries give to the rows; days are those of the zone."""
    for entry in entries:
        lay = _LAYS.get(entry.type)
        if lay is not None:
            at = entry.at
            head = (
                entry.position, entry.customer, at, entry.received_at, day_number(at, zone),
            )  # fmt: skip
            lay(rows, head, entry)


def _named(shop: str, name: str) -> str:
    return order_key(shop, name) if name else ""


def _completed(rows: Rows, head: _Head, entry: Entry) -> None:
    body: OrderCompleted = entry.body  # type: ignore[assignment]  # the table pairs type and body
    key = order_key(entry.shop, body.order)
    lines = body.lines
    rows["orders"].append(
        (
            *head, key, entry.shop, body.currency, body.total, body.discount,
            len(body.codes), len(lines), body.gift,
        )
    )  # fmt: skip
    add = rows["lines"].append
    for place, line in enumerate(lines):
        add((*head, key, place, line.product, line.quantity, line.amount))


def _cancelled(rows: Rows, head: _Head, entry: Entry) -> None:
    body: OrderCancelled = entry.body  # type: ignore[assignment]
    key = order_key(entry.shop, body.order)
    for product in body.products or ("",):
        rows["undone"].append((*head, "cancelled", "", key, product, 0, 0))


def _returned(rows: Rows, head: _Head, entry: Entry) -> None:
    body: ReturnInitiated = entry.body  # type: ignore[assignment]
    record, key = order_key(entry.shop, body.record), _named(entry.shop, body.order)
    if not body.lines:
        rows["undone"].append((*head, "returned", record, key, "", 0, 0))
    for line in body.lines:
        rows["undone"].append(
            (*head, "returned", record, key, line.product, line.quantity, line.amount)
        )


def _refunded(rows: Rows, head: _Head, entry: Entry) -> None:
    body: RefundIssued = entry.body  # type: ignore[assignment]
    record, key = order_key(entry.shop, body.refund), _named(entry.shop, body.order)
    rows["undone"].append((*head, "refunded", record, key, "", 0, body.amount))


def _merged(rows: Rows, head: _Head, entry: Entry) -> None:
    body: CustomerMerged = entry.body  # type: ignore[assignment]
    rows["merges"].append((*head, body.absorbed))


def _parcel(rows: Rows, head: _Head, entry: Entry) -> None:
    body: OrderShipped | OrderDelivered = entry.body  # type: ignore[assignment]
    key = order_key(entry.shop, body.order)
    rows["signals"].append((*head, entry.type, body.parcel, "", key, "", None, ""))


def _moved(rows: Rows, head: _Head, entry: Entry) -> None:
    body: ParcelUpdated = entry.body  # type: ignore[assignment]
    key = _named(entry.shop, body.order)
    rows["signals"].append((*head, entry.type, body.parcel, "", key, "", None, body.status))


def _tracked(rows: Rows, head: _Head, entry: Entry) -> None:
    body: TrackingViewed = entry.body  # type: ignore[assignment]
    key = order_key(entry.shop, body.order)
    rows["signals"].append((*head, entry.type, "", "", key, "", None, ""))


def _looked(rows: Rows, head: _Head, entry: Entry) -> None:
    body: ProductEvent = entry.body  # type: ignore[assignment]
    rows["signals"].append((*head, entry.type, "", body.product, "", "", body.quantity, ""))


def _message(rows: Rows, head: _Head, entry: Entry) -> None:
    body: MessageEvent = entry.body  # type: ignore[assignment]
    rows["signals"].append(
        (*head, entry.type, body.message, "", "", body.channel, None, body.kind)
    )  # fmt: skip


def _subscribed(rows: Rows, head: _Head, entry: Entry) -> None:
    body: Subscription = entry.body  # type: ignore[assignment]
    about = order_key(entry.shop, body.subscription)
    rows["signals"].append(
        (*head, entry.type, about, body.product, "", "", body.renews_at, body.status)
    )


def _reviewed(rows: Rows, head: _Head, entry: Entry) -> None:
    body: ReviewSubmitted = entry.body  # type: ignore[assignment]
    about, key = order_key(entry.shop, body.review), _named(entry.shop, body.order)
    rows["signals"].append(
        (*head, entry.type, about, body.product, key, "", body.rating or None, "")
    )


def _ticket(rows: Rows, head: _Head, entry: Entry) -> None:
    body: Ticket = entry.body  # type: ignore[assignment]
    about, key = order_key(entry.shop, body.ticket), _named(entry.shop, body.order)
    rows["signals"].append((*head, entry.type, about, "", key, "", None, body.category))


def _scored(rows: Rows, head: _Head, entry: Entry) -> None:
    body: ScoreChanged = entry.body  # type: ignore[assignment]
    rows["scored"].append((*head, body.score, body.product, body.value, body.band))


def _answered(rows: Rows, head: _Head, entry: Entry) -> None:
    body: SurveyAnswered = entry.body  # type: ignore[assignment]
    about, key = order_key(entry.shop, body.survey), _named(entry.shop, body.order)
    rows["signals"].append((*head, entry.type, about, "", key, "", body.score, body.kind))


_LAYS: dict[str, Callable[[Rows, _Head, Entry], None]] = {
    "order.completed": _completed,
    "order.cancelled": _cancelled,
    "return.initiated": _returned,
    "refund.issued": _refunded,
    "customer.merged": _merged,
    "score.changed": _scored,
    "order.shipped": _parcel,
    "order.delivered": _parcel,
    "parcel.updated": _moved,
    "tracking.viewed": _tracked,
    "product.viewed": _looked,
    "product.added_to_cart": _looked,
    "message.sent": _message,
    "message.delivered": _message,
    "message.opened": _message,
    "message.clicked": _message,
    "message.bounced": _message,
    "message.complained": _message,
    "message.unsubscribed": _message,
    "message.failed": _message,
    "message.received": _message,
    "subscription.updated": _subscribed,
    "review.submitted": _reviewed,
    "support.ticket_created": _ticket,
    "support.ticket_resolved": _ticket,
    "survey.answered": _answered,
}

KINDS = tuple(sorted(_LAYS))
"""Types of entries that give rows."""
