"""What do EasyPost's events say?

docs: docs.easypost.com/docs/events. An event wraps an object; a tracker comes whole each time. Of a
shipment its reference is the merchant's own number of the order.
"""

from collections.abc import Iterator

from aftersale.translation.foreign import Tree, moment_in, part, parts, promise_in, text
from aftersale.translation.happening import Delivery, Part, Passed
from aftersale.translation.parcels import Parcel, Word, moves

_STATUSES = {
    "pre_transit": "pre_transit",
    "in_transit": "in_transit",
    "out_for_delivery": "out_for_delivery",
    "available_for_pickup": "available_for_pickup",
    "return_to_sender": "returned",
    "failure": "exception",
    "error": "exception",
    "delivered": "delivered",
}
_LISTS = ("trackers", "shipments", "events")
_SET_UP = {"Webhook", "Payload", "CarrierAccount", "ApiKey", "User"}


def translate(delivery: Delivery) -> Iterator[Part]:
    """The changes of each tracker in the event."""
    found = delivery.content()
    if isinstance(found, list):
        for one in found:
            yield from _object(part(one))
        return
    told = part(found)
    listed = "" if "object" in told else next((name for name in _LISTS if name in told), "")
    for one in parts(told, listed) if listed else [told]:
        yield from _object(one)


def _object(told: Tree) -> Iterator[Part]:
    match text(told, "object"):
        case "Event":
            yield from _event(told)
        case "Tracker":
            yield from _tracker(told)
        case "Shipment":
            yield from _shipment(told)
        case "Order":
            for one in parts(told, "shipments"):
                yield from _shipment(one, text(told, "reference"))
        case kind if kind in _SET_UP:
            yield Passed("set-up", kind)
        case kind if kind:
            yield Passed("no-fact", kind)
        case _ if "error" in told:
            yield Passed("no-fact", "an error of their interface")
        case _ if not told or all(value == [] for value in told.values()):
            yield Passed("empty")
        case _ if "webhooks" in told or "payloads" in told:
            yield Passed("set-up")
        case _:
            yield Passed("no-fact", "neither a tracker nor a shipment")


def _event(told: Tree) -> Iterator[Part]:
    result = part(told, "result")
    if result:
        yield from _object(result)
    elif text(told, "description").startswith("tracker."):
        yield Passed("thin", text(told, "description"))
    else:
        yield Passed("no-fact", text(told, "description"))


def _shipment(told: Tree, order: str = "") -> Iterator[Part]:
    tracker = part(told, "tracker")
    if told.get("is_return") is True:
        yield Passed("no-fact", "a label for a return")
    elif tracker:
        # Until the carrier knows it, a label was bought: the number and its order meet here.
        yield from _tracker(tracker, text(told, "reference") or order, before="pre_transit")
    else:
        yield Passed("not-yet", "a shipment without a label")


def _tracker(told: Tree, order: str = "", before: str = "") -> Iterator[Part]:
    number = text(told, "tracking_code")
    if not number:
        yield Passed("missing", "tracking_code")
        return
    words = [
        Word(status, moment_in(point, "datetime"))
        for point in parts(told, "tracking_details")
        if (status := _STATUSES.get(text(point, "status"), ""))
    ]
    last = _STATUSES.get(text(told, "status"), before)
    if last and not any(word.status == last for word in words):
        words.append(Word(last, moment_in(told, "updated_at", "created_at")))
    if not words:
        yield Passed("not-yet", text(told, "status"))
    parcel = Parcel(
        number,
        order=order,
        tracking=number,
        tracking_url=text(told, "public_url"),
        carrier=text(told, "carrier"),
        promised_at=promise_in(told, "est_delivery_date"),
    )
    yield from moves(parcel, words)
