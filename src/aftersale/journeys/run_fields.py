"""Which values of an event, a line, a product, an order and a run can a condition name?"""

from collections.abc import Callable
from types import UnionType
from typing import Any, get_args, get_type_hints

from aftersale.customers.fold import order_key
from aftersale.customers.profile import NEVER, Order
from aftersale.events.vocabulary import BODIES, INNER
from aftersale.kernel.instants import DAY, Instant
from aftersale.kernel.money import exponent
from aftersale.segments.customer_fields import CUSTOMER_FIELDS
from aftersale.segments.fields import Field, Fields, Type, Value
from aftersale.segments.reading import Reading

EVENT, LINE, RUN = "event", "line", "run"


def _body_value(name: str) -> Callable[[Reading], Value | None]:
    def read(reading: Reading) -> Value | None:
        value = getattr(reading.entry.body, name, None) if reading.entry is not None else None
        return None if value == "" else value

    return read


def _body_amount(name: str) -> Callable[[Reading], Value | None]:
    def read(reading: Reading) -> Value | None:
        body = reading.entry.body if reading.entry is not None else None
        value = getattr(body, name, None)
        return None if value is None else value / 10 ** exponent(getattr(body, "currency", ""))

    return read


def _event_order(reading: Reading) -> str | None:
    """The order as runs name it, with its shop in front, so that the two can be compared."""
    entry = reading.entry
    number = getattr(entry.body, "order", "") if entry is not None else ""
    return order_key(entry.shop, number) if entry is not None and number else None


_MONEY = frozenset({"total", "discount", "shipping", "amount"})
_TYPES: dict[Any, Type] = {str: "text", int: "number", float: "number", bool: "boolean"}


def _event_fields() -> list[Field]:
    found: dict[str, Field] = {}
    for kind, body in BODIES.items():
        if kind in INNER:
            continue
        for name, hint in get_type_hints(body).items():
            plain = (
                next((a for a in get_args(hint) if a is not type(None)), hint)
                if isinstance(hint, UnionType)
                else hint
            )
            if plain not in _TYPES or f"event.{name}" in found:
                continue
            field_type: Type = "instant" if name.endswith("_at") else _TYPES[plain]
            read = _body_amount(name) if name in _MONEY else _body_value(name)
            if name == "order":
                read = _event_order
            found[f"event.{name}"] = Field(
                f"event.{name}",
                field_type,
                EVENT,
                f"`{name}` of the event, where its type has one.",
                read,
            )
    return list(found.values())


def _line(read: Callable[[Any], Value | None]) -> Callable[[Reading], Value | None]:
    return lambda reading: None if reading.line is None else read(reading.line)


def _product(read: Callable[[Any], Value | None]) -> Callable[[Reading], Value | None]:
    def value(reading: Reading) -> Value | None:
        product = reading.product
        return None if product is None else read(product)

    return value


def _run(read: Callable[[Any], Value | None]) -> Callable[[Reading], Value | None]:
    return lambda reading: None if reading.run is None else read(reading.run)


def _order(read: Callable[[Order], Value | None]) -> Callable[[Reading], Value | None]:
    def value(reading: Reading) -> Value | None:
        order = reading.order
        return None if order is None else read(order)

    return value


def _refill(read: Callable[[Any], Value | None]) -> Callable[[Reading], Value | None]:
    def value(reading: Reading) -> Value | None:
        refill = reading.refill
        return None if refill is None else read(refill)

    return value


def _kind(reading: Reading) -> str | None:
    product = reading.product
    if product is None:
        return None
    if product.kind:
        return product.kind
    return "consumable" if product.id in reading.calibration.supply else None


def _delivered(order: Order) -> Instant | None:
    return max((p.delivered_at for p in order.parcels.values()), default=NEVER) or None


def _promised(order: Order) -> Instant | None:
    return max((p.promised_at for p in order.parcels.values()), default=NEVER) or None


def _expected_margin(reading: Reading) -> float | None:
    product, refill = reading.product, reading.refill
    if product is None or refill is None:
        return None
    price: float = product.price / 10 ** exponent(product.currency)
    return price * product.margin * refill.confidence


RUN_FIELDS = Fields(
    (
        *CUSTOMER_FIELDS.values(),
        Field(
            "event.type",
            "text",
            EVENT,
            "Type of the event.",
            lambda r: r.entry.type if r.entry else None,
        ),
        Field(
            "event.at",
            "instant",
            EVENT,
            "When the event happened.",
            lambda r: r.entry.at if r.entry else None,
        ),
        *_event_fields(),
        Field(
            "line.product",
            "text",
            LINE,
            "Product of the line of the event's order that is looked at.",
            _line(lambda x: x.product),
        ),
        Field("line.quantity", "number", LINE, "Units of that line.", _line(lambda x: x.quantity)),
        Field("product.id", "text", RUN, "Product of the line or run.", _product(lambda p: p.id)),
        Field("product.name", "text", RUN, "Its name.", _product(lambda p: p.name or None)),
        Field(
            "product.kind",
            "text",
            RUN,
            "consumable, durable, service or subscription; consumable where nobody said and it is "
            "bought again and again.",
            _kind,
        ),
        Field(
            "product.category",
            "text",
            RUN,
            "Its category path.",
            _product(lambda p: p.category or None),
        ),
        Field(
            "product.time_to_value",
            "duration",
            RUN,
            "How long until the buyer can judge it.",
            _product(lambda p: round(p.time_to_value_days * DAY) or None),
        ),
        Field(
            "product.supply",
            "duration",
            RUN,
            "How long one unit lasts.",
            _product(lambda p: round(p.supply_days * DAY) or None),
        ),
        Field(
            "order.total",
            "number",
            RUN,
            "Total of the run's order.",
            _order(lambda o: o.total / 10 ** exponent(o.currency)),
        ),
        Field(
            "order.placed_at",
            "instant",
            RUN,
            "When the run's order was placed.",
            _order(lambda o: o.at or None),
        ),
        Field(
            "order.promised_at",
            "instant",
            RUN,
            "Promised delivery of the run's order.",
            _order(_promised),
        ),
        Field(
            "order.delivered_at",
            "instant",
            RUN,
            "When the last parcel of the run's order arrived.",
            _order(_delivered),
        ),
        Field(
            "order.gift", "boolean", RUN, "Whether the order is a gift.", _order(lambda o: o.gift)
        ),
        Field("run.order", "text", RUN, "Order of the run.", _run(lambda r: r.order or None)),
        Field("run.product", "text", RUN, "Product of the run.", _run(lambda r: r.product or None)),
        Field("run.parcel", "text", RUN, "Parcel of the run.", _run(lambda r: r.parcel or None)),
        Field(
            "run.started_at", "instant", RUN, "When the run began.", _run(lambda r: r.started_at)
        ),
        Field(
            "run.came",
            "boolean",
            RUN,
            "Whether the last wait for an event ended because it came.",
            _run(lambda r: r.came),
        ),
        Field(
            "refill.due",
            "instant",
            RUN,
            "When the run's product runs out.",
            _refill(lambda f: f.due),
        ),
        Field(
            "refill.lead",
            "duration",
            RUN,
            "How long before it to remind: min(10 days, a sixth of the supply).",
            _refill(lambda f: f.lead),
        ),
        Field(
            "refill.confidence",
            "number",
            RUN,
            "How sure the run-out is, 0 to 1.",
            _refill(lambda f: f.confidence),
        ),
        Field(
            "refill.expected_margin",
            "number",
            RUN,
            "Price x margin x confidence of one unit.",
            _expected_margin,
        ),
    )
)

AT_START = frozenset({"customer", EVENT, LINE, RUN})
IN_RUN = frozenset({"customer", RUN})
ON_EVENT = frozenset({"customer", EVENT, LINE, RUN})
