"""What do WooCommerce's webhooks say?

docs: woocommerce.github.io/woocommerce-rest-api-docs, section webhooks. The body is the resource as
its REST interface shows it; which one it is stands in a header, or is seen by its shape. Times with
`_gmt` are UTC without an offset.
"""

from collections.abc import Iterator

from aftersale.events.vocabulary import ProductFacts
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant
from aftersale.kernel.money import to_minor
from aftersale.translation.foreign import (
    Tree,
    at,
    first,
    moment_in,
    part,
    parts,
    text,
    whole,
)
from aftersale.translation.happening import Delivery, Happening, Part, Passed

_ACCEPTED = {"processing", "completed", "on-hold", "refunded"}
_GONE = {"cancelled", "failed", "trash"}
_SHAPES = (
    ("order", ("line_items", "order_key")),
    ("webhook", ("delivery_url",)),
    ("coupon", ("discount_type",)),
    ("review", ("reviewer",)),
    ("note", ("customer_note", "note")),
    ("customer", ("is_paying_customer",)),
    ("customer", ("username", "billing")),
    ("product", ("regular_price",)),
    ("download", ("download_id",)),
)
"""What it is, by the names of fields that only it has."""
_BATCH = ("create", "update", "delete")


def translate(delivery: Delivery) -> Iterator[Part]:
    """The happenings of one resource, of a list, or of a batch."""
    found = delivery.content()
    topic = delivery.headers.get("x-wc-webhook-topic", "")
    resource, _, event = topic.partition(".")
    if isinstance(found, dict) and "webhook_id" in found and len(found) == 1:
        yield Passed("set-up", "a ping")
    elif isinstance(found, dict) and any(isinstance(found.get(n), list) for n in _BATCH):
        for name in _BATCH:
            for one in parts(found, name):
                yield from _resource(one, "", "deleted" if name == "delete" else "")
    elif isinstance(found, list):
        for one in found:
            yield from _resource(part(one), resource, event)
    else:
        yield from _resource(part(found), resource, event)


def _resource(told: Tree, resource: str, event: str) -> Iterator[Part]:
    kind = next((kind for kind, names in _SHAPES if all(n in told for n in names)), resource)
    if told.get("deleted") is True:
        yield Passed("deleted", "previous" if part(told, "previous") else "")
    elif kind == "order" and event == "deleted":
        yield _cancelled(told, "deleted", None)
    elif event == "deleted":
        yield Passed("deleted", kind)
    elif kind == "order":
        yield from _order(told)
    elif kind == "customer":
        yield from _customer(told)
    elif kind == "product":
        yield _product(told)
    elif kind == "review":
        yield _review(told)
    elif kind == "webhook":
        yield Passed("set-up", "the settings of a webhook")
    elif kind in {"coupon", "note", "download", "action"}:
        yield Passed("no-fact", kind)
    else:
        yield Passed("unknown" if told else "empty", resource)


def _order(told: Tree) -> Iterator[Part]:
    status = text(told, "status").removeprefix("wc-")
    changed = moment_in(told, "date_modified_gmt", "date_created_gmt")
    paid = moment_in(told, "date_paid_gmt")
    if status in _GONE:
        if paid is not None:
            yield _completed(told, changed)
        yield _cancelled(told, status, changed)
    elif status not in _ACCEPTED:
        yield Passed("not-yet", f"an order that is {status}")
    else:
        yield _completed(told, changed)
        handed_over = moment_in(told, "date_completed_gmt")
        if handed_over is not None:
            yield Happening("order.shipped", handed_over, {}, {"order": text(told, "id")})
    for refund in parts(told, "refunds"):
        data = {
            "refund": text(refund, "id"),
            "order": text(told, "id"),
            "currency": text(told, "currency"),
            "amount": text(refund, "total").lstrip("-"),
            "note": text(refund, "reason"),
        }
        yield Happening("refund.issued", moment_in(refund, "date_created_gmt") or changed, {}, data)


def _completed(told: Tree, changed: Instant | None) -> Happening:
    billing = part(told, "billing")
    data = {
        "order": text(told, "id"),
        "currency": text(told, "currency"),
        "total": text(told, "total"),
        "lines": [
            {
                "product": _line_product(line),
                "quantity": whole(line, "quantity") or 1,
                "amount": text(line, "total") or "0",
            }
            for line in parts(told, "line_items")
        ],
        "discount": text(told, "discount_total"),
        "shipping": text(told, "shipping_total"),
        "codes": [text(coupon, "code") for coupon in parts(told, "coupon_lines")],
        "channel": "web" if text(told, "created_via") == "checkout" else text(told, "created_via"),
        "payment": text(told, "payment_method"),
        "changed_at": changed,
        "number": text(told, "number"),
    }
    own = text(told, "customer_id")
    person = {
        "id": own if own != "0" else "",
        **_person(billing),
        "email": text(billing, "email"),
    }
    return Happening("order.completed", moment_in(told, "date_created_gmt"), person, data)


def _cancelled(told: Tree, reason: str, when: Instant | None) -> Part:
    if not text(told, "id"):
        return Passed("missing", "id")
    data = {"order": text(told, "id"), "reason": reason}
    return Happening("order.cancelled", when, {}, data)


def _customer(told: Tree) -> Iterator[Part]:
    if text(told, "role") not in {"", "customer", "subscriber"}:
        yield Passed("not-for-us", "somebody who works in the shop")
        return
    person = {
        **_person(part(told, "billing")),
        "id": text(told, "id"),
        "email": text(told, "email") or text(told, "billing", "email"),
        "first_name": text(told, "first_name"),
        "last_name": text(told, "last_name"),
    }
    when = moment_in(told, "date_modified_gmt", "date_created_gmt")
    yield Happening("customer.updated", when, person)


def _person(billing: Tree) -> dict[str, str]:
    return {
        "first_name": text(billing, "first_name"),
        "last_name": text(billing, "last_name"),
        "phone": text(billing, "phone"),
        "country": text(billing, "country"),
    }


def _product(told: Tree) -> Part:
    product = first(told, "sku", "id")
    if not product:
        return Passed("missing", "id")
    categories = [text(one, "name") for one in parts(told, "categories")]
    return ProductFacts(
        product,
        first(told, "name"),
        categories[0] if categories else "",
        price=_price(told),
    )


def _price(told: Tree) -> int:
    """Minor units; the shop does not say its currency here, so two places are taken."""
    try:
        return max(to_minor(first(told, "regular_price", "price") or "0", ""), 0)
    except Refusal:
        return 0


def _line_product(line: Tree) -> str:
    """The number by which a product is known: as the catalogue names it, its SKU first."""
    variation = text(line, "variation_id")
    own = variation if variation not in {"", "0"} else text(line, "product_id")
    return text(line, "sku") or own or text(line, "name")


def _review(told: Tree) -> Part:
    if text(told, "status") not in {"approved", ""}:
        return Passed("not-yet", f"a review that is {text(told, 'status')}")
    data = {
        "review": text(told, "id"),
        "product": text(told, "product_id"),
        "rating": whole(told, "rating"),
        "text": text(told, "review"),
    }
    person = {"email": text(told, "reviewer_email"), "name": text(told, "reviewer")}
    when = moment_in(told, "date_created_gmt")
    return (
        Happening("review.submitted", when, person, data)
        if at(told, "id")
        else Passed("missing", "id")
    )
