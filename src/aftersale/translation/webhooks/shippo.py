"""What do Shippo's webhooks say?

docs: docs.goshippo.com/docs/tracking/webhooks. `metadata` is the merchant's own text on a label,
usually the number of the order.
"""

import re
from collections.abc import Iterator

from aftersale.translation.foreign import (
    Tree,
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
    "PRE_TRANSIT": "pre_transit",
    "TRANSIT": "in_transit",
    "DELIVERED": "delivered",
    "RETURNED": "returned",
    "FAILURE": "exception",
}
_SUBSTATUSES = {
    "out_for_delivery": "out_for_delivery",
    "delivery_attempted": "attempt_failed",
    "delivery_rescheduled": "attempt_failed",
    "pickup_available": "available_for_pickup",
    "package_available": "available_for_pickup",
    "package_lost": "lost",
    "package_damaged": "exception",
    "return_to_sender": "returned",
}
_ORDER = re.compile(r"(?:order)?[\s:#]*([A-Za-z0-9][\w./-]{0,60})", re.IGNORECASE)


def translate(delivery: Delivery) -> Iterator[Part]:
    """The changes of one tracking, or the label that was bought."""
    found = delivery.content()
    event, told = text(found, "event"), part(found, "data") or part(found)
    if event.startswith(("batch", "all", "account", "pickup", "order")):
        yield Passed("no-fact", event)
    elif event and not event.startswith(("track", "transaction")):
        yield Passed("unknown", event)
    else:
        yield from _tracking(told)


def _tracking(told: Tree) -> Iterator[Part]:
    number = text(told, "tracking_number")
    if not number:
        yield Passed("missing", "tracking_number")
        return
    words = [
        Word(status, moment_in(point, "status_date", "object_created"))
        for point in (*parts(told, "tracking_history"), part(told, "tracking_status"))
        if (status := _status(point))
    ]
    if not words and text(told, "status") == "SUCCESS":
        words = [Word("pre_transit", moment_in(told, "object_created"))]
    if not words:
        yield Passed("not-yet", first(told, "status", "tracking_status"))
    order = _ORDER.fullmatch(text(told, "metadata"))
    parcel = Parcel(
        number,
        order=order[1] if order else "",
        tracking=number,
        tracking_url=text(told, "tracking_url_provider"),
        carrier=text(told, "carrier"),
        promised_at=promise_in(told, "eta"),
    )
    yield from moves(parcel, words)


def _status(point: Tree) -> str:
    inner = text(point, "substatus", "code")
    return _SUBSTATUSES.get(inner, "") or _STATUSES.get(text(point, "status"), "")
