"""What do Shopify's webhooks say?

docs: shopify.dev/docs/api/webhooks. Which resource it is stands in the header `X-Shopify-Topic`;
without it, in the name around the resource, as the REST interface wraps it. Numbers of orders are
the ids, for fulfilments and refunds name no other; the number that people read is kept apart.
"""

from collections.abc import Callable, Iterator

from aftersale.events.vocabulary import ProductFacts
from aftersale.kernel.errors import Refusal
from aftersale.kernel.money import to_minor
from aftersale.translation.foreign import (
    Tree,
    first,
    flag,
    moment_in,
    part,
    parts,
    promise_in,
    text,
    whole,
)
from aftersale.translation.happening import Delivery, Happening, Part, Passed
from aftersale.translation.parcels import Parcel, Word, moves
from aftersale.translation.webhooks._shopify_people import (
    consents_of_order,
    customer,
    email_consent,
    person_of,
    privacy,
    sms_consent,
)

_SHIPMENT = {
    "label_printed": "pre_transit",
    "label_purchased": "pre_transit",
    "confirmed": "pre_transit",
    "carrier_picked_up": "in_transit",
    "in_transit": "in_transit",
    "out_for_delivery": "out_for_delivery",
    "attempted_delivery": "attempt_failed",
    "ready_for_pickup": "available_for_pickup",
    "delivered": "delivered",
    "delayed": "exception",
    "failure": "exception",
}


def translate(delivery: Delivery) -> Iterator[Part]:
    """The happenings of one resource, or of a list of them."""
    found = delivery.content()
    topic = _topic(delivery)
    resource = topic.partition("/")[0]
    told, wrapped = found, ""
    if isinstance(found, dict) and not resource:
        wrapped = next((name for name in found if name in _WRAPS), "")
        told = found.get(wrapped, found) if wrapped else found
    for one in told if isinstance(told, list) else [told]:
        kind = _WRAPS.get(wrapped, "") or resource or _shape(part(one))
        yield from _resource(part(one), kind, topic)


def _topic(delivery: Delivery) -> str:
    """`orders/create`; the newer product of Shopify names its headers without X-."""
    headers = delivery.headers
    topic = headers.get("x-shopify-topic") or headers.get("shopify-topic", "")
    if not topic and (handle := headers.get("shopify-handle", "")):
        topic = f"{handle}/{headers.get('shopify-action', '')}"
    return topic.strip().lower()


def _shape(told: Tree) -> str:
    if "variants" in told and "product_type" in told:
        return "products"
    if "kind" in told and "gateway" in told:
        return "order_transactions"
    if "line_items" in told and "financial_status" in told:
        return "orders"
    return ""


def _resource(told: Tree, kind: str, topic: str) -> Iterator[Part]:
    read = _READERS.get(topic) or _READERS.get(kind)
    if read is not None:
        yield from read(told, topic)
    elif kind in _NO_FACTS:
        yield Passed("no-fact", kind)
    elif topic.startswith(("app/", "app_", "bulk_", "scheduled_")):
        yield Passed("set-up", topic)
    else:
        yield Passed("unknown", topic or kind)


# --- orders -------------------------------------------------------------------------------


def _order(told: Tree, topic: str) -> Iterator[Part]:
    order = text(told, "id")
    if topic.endswith("/delete"):
        yield Happening("order.cancelled", None, {}, {"order": order, "reason": "deleted"})
        return
    if not order:
        yield Passed("missing", "id")
        return
    if flag(told, "test"):
        yield Passed("test", "an order of the test gateway")
        return
    person = person_of(told)
    yield _completed(told, order, person)
    yield from consents_of_order(told, person)
    cancelled_at = moment_in(told, "cancelled_at")
    if cancelled_at is not None:
        data = {"order": order, "reason": text(told, "cancel_reason")}
        yield Happening("order.cancelled", cancelled_at, {}, data)
    for fulfilment in parts(told, "fulfillments"):
        yield from _fulfilment({**fulfilment, "order_id": order}, "")
    for refund in parts(told, "refunds"):
        yield from _refund({**refund, "order_id": order}, "", text(told, "currency"))


def _completed(told: Tree, order: str, person: dict[str, str]) -> Happening:
    created, changed = moment_in(told, "processed_at", "created_at"), moment_in(told, "updated_at")
    shipping = text(told, "total_shipping_price_set", "shop_money", "amount")
    data = {
        "order": order,
        "currency": text(told, "currency"),
        "total": text(told, "total_price"),
        "lines": [_line(line) for line in parts(told, "line_items")],
        "discount": text(told, "total_discounts"),
        "shipping": shipping or _sum(told, "shipping_lines", "price"),
        "codes": [text(code, "code") for code in parts(told, "discount_codes")],
        "channel": text(told, "source_name"),
        "payment": text(told, "gateway") or _gateway(told),
        "source": text(told, "landing_site_ref"),
        "changed_at": changed if created and changed and changed > created else None,
        "number": text(told, "name"),
        "status_url": text(told, "order_status_url"),
    }
    return Happening("order.completed", created, person, data)


def _gateway(told: Tree) -> str:
    names = told.get("payment_gateway_names")
    return next((n for n in names if isinstance(n, str)), "") if isinstance(names, list) else ""


def _line(line: Tree) -> dict[str, object]:
    quantity = whole(line, "quantity")
    return {
        "product": _product_of(line),
        "quantity": quantity or 1,
        "amount": _paid(text(line, "price"), quantity, _discounts(line)),
    }


def _discounts(line: Tree) -> list[str]:
    found = [text(one, "amount") for one in parts(line, "discount_allocations")]
    return [amount for amount in found if amount] or [text(line, "total_discount")]


def _paid(price: str, quantity: int, discounts: list[str]) -> str:
    """What the line cost, as text of major units: price times quantity, less its discounts.

    Computed in ten-thousandths, which every currency's places divide.
    """
    try:
        gross = to_minor(price or "0", _FOUR_PLACES) * quantity
        less = sum(to_minor(amount or "0", _FOUR_PLACES) for amount in discounts)
    except Refusal:
        return "0"
    return f"{(gross - less) / 10_000:.4f}" if abs(gross) < 2**53 else "0"


_FOUR_PLACES = "CLF"


def _sum(told: Tree, listed: str, name: str) -> str:
    return _paid("0", 0, [f"-{text(one, name)}" for one in parts(told, listed) if text(one, name)])


def _product_of(line: Tree) -> str:
    """The number by which a product is known: its SKU first, for catalogues and files use it."""
    return first(line, "sku", "variant_id", "product_id") or text(line, "title")


def _fulfilment(told: Tree, topic: str) -> Iterator[Part]:
    order, own = text(told, "order_id"), text(told, "id")
    status = text(told, "status")
    if not order:
        yield Passed("missing", "order_id")
        return
    if status in {"cancelled", "error", "failure"}:
        yield Passed("no-fact", f"a fulfilment that is {status}")
        return
    numbers = told.get("tracking_numbers")
    trackings = (
        [n for n in numbers if isinstance(n, str) and n] if isinstance(numbers, list) else []
    )
    urls = told.get("tracking_urls")
    url = next((u for u in urls if isinstance(u, str)), "") if isinstance(urls, list) else ""
    words = []
    if status == "success":
        words.append(Word("in_transit", moment_in(told, "created_at")))
    elif trackings:
        words.append(Word("pre_transit", moment_in(told, "created_at")))
    moved = _SHIPMENT.get(text(told, "shipment_status"), "")
    if moved and moved != "in_transit":
        words.append(Word(moved, moment_in(told, "updated_at", "created_at")))
    if not words:
        yield Passed("not-yet", f"a fulfilment that is {status}")
    for number in trackings or [text(told, "tracking_number")]:
        parcel = Parcel(
            number or own,
            order=order,
            tracking=number,
            tracking_url=url or text(told, "tracking_url"),
            carrier=text(told, "tracking_company"),
            promised_at=promise_in(told, "estimated_delivery_at"),
        )
        yield from moves(parcel, words)


def _fulfilment_event(told: Tree, topic: str) -> Iterator[Part]:
    order, status = text(told, "order_id"), _SHIPMENT.get(text(told, "status"), "")
    if not order or not status:
        yield Passed("missing" if not order else "unknown", text(told, "status"))
        return
    parcel = Parcel(
        text(told, "fulfillment_id"),
        order=order,
        promised_at=promise_in(told, "estimated_delivery_at"),
    )
    yield from moves(parcel, [Word(status, moment_in(told, "happened_at", "created_at"))])


def _refund(told: Tree, topic: str, currency: str = "") -> Iterator[Part]:
    order, own = text(told, "order_id"), text(told, "id")
    if not own:
        yield Passed("not-yet", "the reckoning of a refund that was not made")
        return
    when = moment_in(told, "processed_at", "created_at")
    paid = [
        one
        for one in parts(told, "transactions")
        if text(one, "kind") == "refund" and text(one, "status") in {"success", ""}
    ]
    currency = next((text(one, "currency") for one in paid if text(one, "currency")), currency)
    amount = _paid("0", 0, [f"-{text(one, 'amount')}" for one in paid if text(one, "amount")])
    data = {"refund": own, "order": order, "currency": currency, "amount": amount}
    yield Happening("refund.issued", when, {}, {**data, "note": text(told, "note")})
    back, undone = [], []
    for item in parts(told, "refund_line_items"):
        product = _product_of(part(item, "line_item"))
        how = text(item, "restock_type") or ("return" if flag(told, "restock") else "no_restock")
        if not product:
            continue
        if how == "cancel":
            undone.append((product, item))
        elif how != "no_restock":
            subtotal = text(item, "subtotal") or "0"
            count = whole(item, "quantity") or 1
            back.append({"product": product, "quantity": count, "amount": subtotal})
    if back:
        record = {"record": f"refund-{own}", "order": order, "lines": back}
        yield Happening("return.initiated", when, {}, record)
    whole_lines = [
        product
        for product, item in undone
        if whole(item, "quantity") >= whole(item, "line_item", "quantity")
    ]
    if whole_lines:
        yield Happening("order.cancelled", when, {}, {"order": order, "products": whole_lines})


def _transaction(told: Tree, topic: str) -> Iterator[Part]:
    kind, status = text(told, "kind"), text(told, "status")
    if kind in {"refund", "void", "change"}:
        yield Passed("told-elsewhere", "refunds/create")
        return
    if kind == "authorization" and status != "failure":
        yield Passed("not-yet", "an authorization")
        return
    if status not in {"success", "failure"}:
        yield Passed("not-yet", status)
        return
    data = {
        "payment": text(told, "id"),
        "order": text(told, "order_id"),
        "currency": text(told, "currency"),
        "amount": text(told, "amount"),
        "method": text(told, "gateway"),
        "reason": text(told, "error_code"),
    }
    name = "payment.received" if status == "success" else "payment.failed"
    yield Happening(name, moment_in(told, "processed_at", "created_at"), {}, data)


def _dispute(told: Tree, topic: str) -> Iterator[Part]:
    data = {
        "payment": f"dispute-{text(told, 'id')}",
        "order": text(told, "order_id"),
        "currency": text(told, "currency"),
        "amount": text(told, "amount"),
        "reason": text(told, "reason"),
        "status": text(told, "status"),
        "type": text(told, "type"),
    }
    yield Happening("payment.disputed", moment_in(told, "initiated_at"), {}, data)


# --- before an order ----------------------------------------------------------------------


def _checkout(told: Tree, topic: str) -> Iterator[Part]:
    if moment_in(told, "completed_at") is not None:
        yield Passed("told-elsewhere", "orders/create")
        return
    data = {
        "checkout": first(told, "token", "id"),
        "currency": text(told, "currency"),
        "total": text(told, "total_price"),
        "lines": [_line(line) for line in parts(told, "line_items")],
        "codes": [text(code, "code") for code in parts(told, "discount_codes")],
        "recover_url": text(told, "abandoned_checkout_url"),
    }
    person = {**person_of(told), "anonymous_id": _cart(text(told, "cart_token"))}
    yield Happening("checkout.started", moment_in(told, "updated_at", "created_at"), person, data)


def _basket(told: Tree, topic: str) -> Iterator[Part]:
    lines = list(parts(told, "line_items"))
    if not lines:
        yield Passed("empty", "a basket without lines")
    for line in lines:
        data = {"product": _product_of(line), "quantity": whole(line, "quantity") or 1}
        person = {"anonymous_id": _cart(first(told, "token", "id"))}
        yield Happening("product.added_to_cart", moment_in(told, "updated_at"), person, data)


def _cart(token: str) -> str:
    return f"cart:{token.partition('?')[0]}" if token else ""


def _draft(told: Tree, topic: str) -> Iterator[Part]:
    if text(told, "status") == "completed":
        yield Passed("told-elsewhere", "orders/create")
    else:
        yield Passed("not-yet", "a draft")


# --- products -----------------------------------------------------------------------------


def _product(told: Tree, topic: str) -> Iterator[Part]:
    if topic.endswith("/delete"):
        yield Passed("deleted", "a product")
        return
    name, category = text(told, "title"), text(told, "product_type")
    variants = list(parts(told, "variants"))
    for variant in variants or [told]:
        title = text(variant, "title")
        shown = name if title in {"", "Default Title", name} else f"{name} - {title}"
        yield from _variant(variant, topic, shown, category)


def _variant(told: Tree, topic: str, name: str = "", category: str = "") -> Iterator[Part]:
    product = first(told, "sku", "id", "product_id")
    if not product:
        yield Passed("missing", "id")
        return
    try:
        price = max(to_minor(text(told, "price") or "0", ""), 0)
    except Refusal:
        price = 0
    yield ProductFacts(product, name or text(told, "title"), category, price=price)


_Reader = Callable[[Tree, str], Iterator[Part]]

_READERS: dict[str, _Reader] = {
    "orders": _order,
    "fulfillments": _fulfilment,
    "fulfillment_events": _fulfilment_event,
    "refunds": _refund,
    "order_transactions": _transaction,
    "disputes": _dispute,
    "checkouts": _checkout,
    "carts": _basket,
    "draft_orders": _draft,
    "products": _product,
    "variants": _variant,
    "customers": customer,
    "customers/data_request": privacy,
    "customers/redact": privacy,
    "shop/redact": privacy,
    "customers_marketing_consent": sms_consent,
    "customers_email_marketing_consent": email_consent,
}
"""First part of the topic, or the whole of it, → its reader."""

_WRAPS = {
    "order": "orders",
    "orders": "orders",
    "fulfillment": "fulfillments",
    "fulfillment_event": "fulfillment_events",
    "refund": "refunds",
    "transaction": "order_transactions",
    "transactions": "order_transactions",
    "dispute": "disputes",
    "disputes": "disputes",
    "checkout": "checkouts",
    "checkouts": "checkouts",
    "cart": "carts",
    "carts": "carts",
    "draft_order": "draft_orders",
    "draft_orders": "draft_orders",
    "product": "products",
    "products": "products",
    "variant": "variants",
    "customer": "customers",
    "customers": "customers",
    "tender_transactions": "tender_transactions",
    "tender_transaction": "tender_transactions",
    "currencies": "currencies",
    "discount_code": "discounts",
    "discount_codes": "discounts",
    "price_rule": "discounts",
    "price_rules": "discounts",
    "engagements": "marketing",
    "marketing_event": "marketing",
    "marketing_events": "marketing",
    "events": "events",
    "fulfillment_service": "fulfillment_service",
    "gift_card": "gift_cards",
    "gift_cards": "gift_cards",
    "inventory_item": "inventory_items",
    "inventory_level": "inventory_levels",
    "inventory_levels": "inventory_levels",
    "location": "locations",
    "risk": "order_risk",
    "shipping_zones": "shipping_zones",
    "shop": "shop",
}
"""The name around a resource of the REST interface → what it is."""

_NO_FACTS = frozenset(
    {
        *("tender_transactions", "currencies", "discounts", "marketing", "events", "gift_cards"),
        *("fulfillment_service", "inventory_items", "inventory_levels", "locations", "order_risk"),
        *("shipping_zones", "shop", "collections", "collection_listings", "themes", "domains"),
        *("locales", "markets", "profiles", "segments", "product_listings", "tax_services"),
        *("customer_groups", "fulfillment_orders", "product_feeds", "selling_plan_groups"),
        *("product_publications", "collection_publications", "order_edits", "metaobjects"),
        *("customer_tags", "customer_payment_methods", "publications", "tax_summaries"),
    }
)
