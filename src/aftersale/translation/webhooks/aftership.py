"""What do AfterShip's tracking webhooks say?

docs: aftership.com/docs/tracking/webhook. The whole tracking comes each time, with every
checkpoint.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import (
    Tree,
    at,
    first,
    moment_in,
    part,
    parts,
    promise_in,
    text,
)
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.parcels import Parcel, Word, moves

_STATUSES = {
    "InfoReceived": "pre_transit",
    "Pending": "pre_transit",
    "InTransit": "in_transit",
    "OutForDelivery": "out_for_delivery",
    "AttemptFail": "attempt_failed",
    "AvailableForPickup": "available_for_pickup",
    "Exception": "exception",
    "Expired": "exception",
    "Delivered": "delivered",
}
_SUBTAGS = {"Exception_011": "returned", "Exception_012": "exception", "Exception_013": "lost"}


def translate(delivery: Delivery) -> Iterator[Part]:
    """The changes of one tracking, or of several in a list."""
    found = delivery.content()
    event = text(found, "event")
    if event and event not in {"tracking_update", "edd_revise", "tracking_pending_time"}:
        yield Passed("unknown", event)
        return
    told = part(found, "msg") or part(found, "data", "tracking") or part(found, "tracking")
    listed = list(parts(found, "trackings")) or list(parts(found, "data", "trackings"))
    several = listed or [told or part(found)]
    for tracking in several:
        yield from _tracking(tracking)


def _tracking(told: Tree) -> Iterator[Part]:
    number = text(told, "tracking_number")
    if not number:
        yield Passed("missing" if told else "empty", "tracking_number")
        return
    words = [
        Word(status, moment_in(point, "checkpoint_time", "created_at"))
        for point in parts(told, "checkpoints")
        if (status := _status(point))
    ]
    last = _status(told)
    if last and not any(word.status == last for word in words):
        words.append(Word(last, moment_in(told, "shipment_delivery_date", "updated_at")))
    parcel = Parcel(
        number,
        order=first(told, "order_id", "order_number"),
        tracking=number,
        tracking_url=first(told, "courier_tracking_link", "aftership_tracking_url"),
        carrier=text(told, "slug"),
        promised_at=promise_in(
            told,
            "courier_estimated_delivery_date",
            "expected_delivery",
            "aftership_estimated_delivery_date",
        )
        or promise_in(part(told, "courier_estimated_delivery_date"), "estimated_delivery_date"),
        customer={"email": _mail(told)},
    )
    if not words:
        yield Passed("not-yet", text(told, "tag"))
    yield from moves(parcel, words)


def _status(told: Tree) -> str:
    return _SUBTAGS.get(text(told, "subtag"), "") or _STATUSES.get(text(told, "tag"), "")


def _mail(told: Tree) -> str:
    """The one address that the tracking is for; of several nobody knows which is the buyer's."""
    emails = at(told, "emails") or at(told, "subscribed_emails")
    if isinstance(emails, list) and len(emails) == 1 and isinstance(emails[0], str):
        return emails[0]
    customers = [text(one, "email") for one in parts(told, "customers")]
    return customers[0] if len(customers) == 1 else ""
