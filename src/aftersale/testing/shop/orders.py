"""Which events do the shop and the carrier tell about an order?"""

from typing import Any

from aftersale.kernel.instants import HOUR, MINUTE, Instant, format_instant
from aftersale.testing.shop.catalogue import CURRENCY
from aftersale.testing.shop.diary import Diary
from aftersale.testing.shop.people import Person
from aftersale.testing.shop.purchases import Order
from aftersale.testing.shop.stream import Stream

_TOLD_TWICE = 0.05
_REASONS = ("damaged", "too small", "does not please", "wrong item", "changed my mind")


def tell_order(stream: Stream, person: Person, order: Order, diary: Diary) -> None:
    """Completed, cancelled, shipped, delivered, returned, refunded."""
    who = person.known(account=order.index >= person.account_from)
    buyer = who | {"anonymous_id": person.cookie} if person.cookie and not order.index else who
    diary.note(
        "shop", "order.completed", order.at, f"o-{order.number}", buyer, _facts(person, order)
    )
    done = order.fulfilment
    if done.cancelled_at is not None:
        facts = {"order": order.number, "reason": stream.pick(("customer", "stock", "payment"))}
        diary.note("shop", "order.cancelled", done.cancelled_at, f"x-{order.number}", who, facts)
        _refund(
            diary,
            order,
            who,
            number=f"rx-{order.number}",
            at=done.cancelled_at + 5 * MINUTE,
            amount=order.total,
        )
    if done.picked_up_at is not None:
        facts = {"order": order.number}
        diary.note("shop", "order.delivered", done.picked_up_at, f"d-{order.number}", who, facts)
    _tell_parcels(stream, order, who, diary)
    if done.returned is not None:
        product, quantity, amount = done.returned
        returned = {
            "record": f"ret-{order.number}",
            "order": order.number,
            "lines": [{"product": product, "quantity": quantity, "amount": amount}],
            "reason": stream.pick(_REASONS),
        }
        diary.note("shop", "return.initiated", done.returned_at, f"r-{order.number}", who, returned)
        _refund(diary, order, who, number=f"rr-{order.number}", at=done.refunded_at, amount=amount)


def _facts(person: Person, order: Order) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "order": order.number,
        "currency": CURRENCY,
        "total": order.total,
        "lines": [
            {"product": line.product.id, "quantity": line.quantity, "amount": line.amount}
            for line in order.lines
        ],
        "discount": order.discount,
        "shipping": order.shipping,
        "codes": list(order.codes),
        "channel": order.channel,
        "device": order.device,
        "payment": order.payment,
        "fulfilment": order.fulfilment.mode,
        "gift": order.gift,
    }
    if order.fulfilment.mode == "delivery":
        facts["address"] = {
            "name": person.name,
            "street": person.street,
            "postcode": person.place.postcode,
            "city": person.place.city,
            "country": person.place.country,
        }
    return facts


def _tell_parcels(stream: Stream, order: Order, who: dict[str, str], diary: Diary) -> None:
    for parcel in order.fulfilment.parcels:
        facts = {"order": order.number, "parcel": parcel.id, "carrier": parcel.carrier}
        told = facts | {"promised_at": format_instant(parcel.promised_at)}
        diary.note("shop", "order.shipped", parcel.shipped_at, f"s-{parcel.id}", who, told)
        if stream.chance(_TOLD_TWICE):
            at = parcel.shipped_at + stream.between(1, 5) * HOUR
            diary.note("carrier", "order.shipped", at, f"s-{parcel.id}", {}, facts)
        if parcel.delivered_at is not None:
            facts = {"order": order.number, "parcel": parcel.id}
            diary.note(
                "carrier", "order.delivered", parcel.delivered_at, f"d-{parcel.id}", {}, facts
            )


def _refund(
    diary: Diary, order: Order, who: dict[str, str], *, number: str, at: Instant, amount: int
) -> None:
    facts = {"refund": number, "order": order.number, "currency": CURRENCY, "amount": amount}
    diary.note("shop", "refund.issued", at, number, who, facts)
