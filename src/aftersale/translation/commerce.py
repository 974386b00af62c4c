"""What do the events of the e-commerce and e-mail specifications (version 2) mean in our words?

Names are those that Segment, RudderStack and others publish; the older ones of version 1 are
understood too, and so is the same name in other letters (`order_completed`). Amounts come in major
units, mostly as floats: they go through text to whole minor units of their currency.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from aftersale.events.event import word_of
from aftersale.kernel.errors import Refusal
from aftersale.translation.telling import Sender, minor, number_told, object_told

Facts = dict[str, Any]
Reading = Callable[[Mapping[str, Any], Mapping[str, Any], str, Sender], Facts]
"""(properties, context, the item's id, sender) → fields of the type's body."""

_LARGEST = 10**6
_SOLD_IN = {"browser": "web", "mobile": "app"}
"""What a context calls its channel → our word of the sales channel."""


def meaning(name: str) -> tuple[str, Reading] | None:
    """Our type of a named event and how its properties are read; None where nobody specified it."""
    return _MEANINGS.get(" ".join(name.casefold().replace("_", " ").replace("-", " ").split()))


def order_completed(
    told: Mapping[str, Any], context: Mapping[str, Any], name: str, sender: Sender
) -> Facts:
    """Total: `total`, else revenue with tax and shipping, else `value`, else the sum of lines."""
    currency = _currency(told, sender)
    facts: Facts = {"order": _order(told), "currency": currency}
    lines, codes = _lines(told, currency)
    for field in ("discount", "shipping"):
        if told.get(field) is not None:
            facts[field] = minor(told[field], currency, f"properties.{field}")
    facts["total"] = _total(told, currency, sum(line["amount"] for line in lines))
    facts["lines"] = lines
    facts["codes"] = codes
    facts["channel"] = _SOLD_IN.get(str(context.get("channel")), "")
    facts["source"] = _text(_inner(context, "campaign").get("source"))
    facts["device"] = _text(_inner(context, "device").get("type"))
    facts["payment"] = _text(told.get("payment_method"))
    facts["fulfilment"] = _text(told.get("shipping_method"))
    return facts


def order_refunded(
    told: Mapping[str, Any], context: Mapping[str, Any], name: str, sender: Sender
) -> Facts:
    """Without a number of its own a refund is named by the message that told of it."""
    currency = _currency(told, sender)
    refund = word_of(told.get("refund_id"), "properties.refund_id")
    facts: Facts = {"refund": refund or name, "order": _order(told), "currency": currency}
    lines, _ = _lines(told, currency)
    facts["amount"] = _total(told, currency, sum(line["amount"] for line in lines))
    return facts


def order_cancelled(
    told: Mapping[str, Any], context: Mapping[str, Any], name: str, sender: Sender
) -> Facts:
    """The whole order: the products that are listed are those of the cart."""
    return {"order": _order(told), "reason": _text(told.get("reason"))}


def checkout_started(
    told: Mapping[str, Any], context: Mapping[str, Any], name: str, sender: Sender
) -> Facts:
    """Named by its own number, else by that of the order or the cart, else by the message."""
    words = (
        word_of(told.get(field), f"properties.{field}")
        for field in ("checkout_id", "order_id", "cart_id")
    )
    currency = _currency(told, sender)
    lines, codes = _lines(told, currency)
    return {
        "checkout": next(filter(None, words), name),
        "currency": currency,
        "total": _total(told, currency, sum(line["amount"] for line in lines)),
        "lines": lines,
        "codes": codes,
    }


def product_seen(
    told: Mapping[str, Any], context: Mapping[str, Any], name: str, sender: Sender
) -> Facts:
    """A product was looked at, or put into the basket."""
    product = _product(told, "properties")
    if not product:
        raise Refusal("the event names no product", where="properties.product_id")
    return {"product": product, "quantity": _quantity(told)}


def product_reviewed(
    told: Mapping[str, Any], context: Mapping[str, Any], name: str, sender: Sender
) -> Facts:
    """The rating is text in the specification; one that is no number is left out."""
    review = word_of(told.get("review_id"), "properties.review_id")
    facts: Facts = {"review": review or name, "product": _product(told, "properties")}
    if told.get("order_id") is not None:
        facts["order"] = _order(told)
    rating = number_told(told.get("rating"))
    if rating is not None and abs(rating) <= _LARGEST:
        facts["rating"] = round(rating)
    return facts


def message_seen(
    told: Mapping[str, Any], context: Mapping[str, Any], name: str, sender: Sender
) -> Facts:
    """Something became known about an e-mail."""
    message = word_of(told.get("email_id"), "properties.email_id")
    facts: Facts = {"message": message or name, "channel": "email"}
    if (kind := _text(told.get("bounce_type"))) in {"hard", "soft"}:
        facts["kind"] = kind
    return facts


_MEANINGS: dict[str, tuple[str, Reading]] = {
    "order completed": ("order.completed", order_completed),
    "completed order": ("order.completed", order_completed),
    "order refunded": ("refund.issued", order_refunded),
    "refunded order": ("refund.issued", order_refunded),
    "order cancelled": ("order.cancelled", order_cancelled),
    "order canceled": ("order.cancelled", order_cancelled),
    "cancelled order": ("order.cancelled", order_cancelled),
    "checkout started": ("checkout.started", checkout_started),
    "started checkout": ("checkout.started", checkout_started),
    "product viewed": ("product.viewed", product_seen),
    "viewed product": ("product.viewed", product_seen),
    "product added": ("product.added_to_cart", product_seen),
    "added product": ("product.added_to_cart", product_seen),
    "product reviewed": ("review.submitted", product_reviewed),
    "reviewed product": ("review.submitted", product_reviewed),
    "email delivered": ("message.delivered", message_seen),
    "email opened": ("message.opened", message_seen),
    "email link clicked": ("message.clicked", message_seen),
    "email bounced": ("message.bounced", message_seen),
    "email marked as spam": ("message.complained", message_seen),
    "unsubscribed": ("message.unsubscribed", message_seen),
}

NAMES = tuple(_MEANINGS)
"""Every name that is understood, in small letters."""


def _order(told: Mapping[str, Any]) -> str:
    order = word_of(told.get("order_id", told.get("orderId")), "properties.order_id")
    if not order:
        raise Refusal("the event names no order", where="properties.order_id")
    return order


def _currency(told: Mapping[str, Any], sender: Sender) -> str:
    return _text(told.get("currency")).strip().upper() or sender.currency


def _total(told: Mapping[str, Any], currency: str, lines: int) -> int:
    """What was paid, in minor units; `lines` is what the lines come to."""

    def amount(field: str) -> int:
        value = told.get(field)
        return 0 if value is None else minor(value, currency, f"properties.{field}")

    if told.get("total") is not None:
        return amount("total")
    for field in ("revenue", "subtotal"):
        if told.get(field) is not None:
            return amount(field) + amount("shipping") + amount("tax")
    return amount("value") if told.get("value") is not None else lines


def _lines(told: Mapping[str, Any], currency: str) -> tuple[list[Facts], list[str]]:
    """The lines of an order, and the codes that were used with it."""
    codes = [_text(told.get("coupon"))]
    products = told.get("products")
    if products is None:
        products = []
    if not isinstance(products, list):
        raise Refusal("products must be a list", where="properties.products")
    lines = []
    for n, line in enumerate(products):
        where = f"properties.products[{n}]"
        item = object_told(line, where)
        product = _product(item, where)
        if not product:
            continue  # it is kept with the properties; nothing can be said of no product
        lines.append(
            {
                "product": product,
                "quantity": _quantity(item),
                "amount": _line_amount(item, currency, f"{where}.price"),
            }
        )
        codes.append(_text(item.get("coupon")))
    return lines, list(dict.fromkeys(code for code in codes if code))


def _line_amount(item: Mapping[str, Any], currency: str, where: str) -> int:
    price = item.get("price")
    if price is None:
        return 0
    each, count = number_told(price), number_told(item.get("quantity"))
    if each is None:
        raise Refusal("the price is no amount of money", where=where)
    return minor(each * (Decimal(1) if count is None else count), currency, where)


def _product(told: Mapping[str, Any], where: str) -> str:
    """The id of a product: its own, else its stock number."""
    for field in ("product_id", "productId", "sku", "id"):
        if word := word_of(told.get(field), f"{where}.{field}"):
            return word
    return ""


def _quantity(told: Mapping[str, Any]) -> int:
    """A whole number of at least one; of 0.4 kilogrammes one piece."""
    count = number_told(told.get("quantity"))
    return 1 if count is None else min(max(round(count), 1), _LARGEST)


def _inner(told: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = told.get(field)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
