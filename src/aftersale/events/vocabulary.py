"""Which events do we understand, and what of them may a decision see?

Every body below lists the facts that decisions need and nothing that names a person. Whatever
else a sender put into an event (names, addresses, free text, fields nobody described) is kept
apart with the personal data, so it can be shown, and erased. Types nobody listed are kept the
same way, as `Other`.

Amounts are integers of minor units of `currency`; instants integers of microseconds UTC.
"""

from typing import Annotated

import msgspec

from aftersale.kernel.instants import Instant

Amount = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""Minor units; bounded so that sums of many still fit 64 bits."""

Count = Annotated[int, msgspec.Meta(ge=-(10**6), le=10**6)]

PARCEL_STATUSES = (
    "pre_transit",
    "in_transit",
    "out_for_delivery",
    "available_for_pickup",
    "attempt_failed",
    "exception",
    "delivered",
    "returned",
    "lost",
)
"""The one list of where a parcel is, whichever carrier says it; the last three are ends."""
ENDED = frozenset(PARCEL_STATUSES[-3:])

ParcelStatus = Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(PARCEL_STATUSES)})$")]


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What every event may tell about its customer besides what happened."""

    zone: str = ""
    """IANA zone that the customer stated or the sender knows, for instance Europe/Berlin."""
    locale: str = ""
    country: str = ""
    """ISO 3166-1 alpha-2."""


class Line(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """One line of an order or a return."""

    product: str
    quantity: Count = 1
    amount: Amount = 0
    """What was paid for the whole line, after discounts."""


class OrderCompleted(Body, frozen=True, kw_only=True):
    """An order was placed and paid or accepted."""

    order: str
    currency: str = ""
    total: Amount = 0
    lines: tuple[Line, ...] = ()
    discount: Amount = 0
    shipping: Amount = 0
    codes: tuple[str, ...] = ()
    channel: str = ""
    """Sales channel: web, app, store, phone, market place."""
    source: str = ""
    device: str = ""
    payment: str = ""
    fulfilment: str = ""
    gift: bool = False
    changed_at: Instant | None = None
    """When the sender last changed what it tells of the order, where that is later than `at`."""


class CheckoutStarted(Body, frozen=True, kw_only=True):
    """A customer went to pay; whether an order came of it is told by the order."""

    checkout: str
    currency: str = ""
    total: Amount = 0
    lines: tuple[Line, ...] = ()
    codes: tuple[str, ...] = ()


class OrderShipped(Body, frozen=True, kw_only=True):
    """A parcel of an order left."""

    order: str
    parcel: str = ""
    carrier: str = ""
    promised_at: Instant | None = None


class OrderDelivered(Body, frozen=True, kw_only=True):
    """A parcel of an order arrived."""

    order: str
    parcel: str = ""


class ParcelUpdated(Body, frozen=True, kw_only=True):
    """A carrier says where a parcel is; it may not know of which order it is."""

    parcel: str
    """The carrier's tracking number, or the shop's number of the parcel."""
    status: ParcelStatus
    order: str = ""
    carrier: str = ""
    promised_at: Instant | None = None


class OrderCancelled(Body, frozen=True, kw_only=True):
    """An order, or the named products of it, will not be delivered."""

    order: str
    products: tuple[str, ...] = ()
    """Empty means the whole order."""
    reason: str = ""


class ReturnInitiated(Body, frozen=True, kw_only=True):
    """Goods go back. Without `order` the lines are matched to earlier purchases."""

    record: str
    order: str = ""
    lines: tuple[Line, ...] = ()
    reason: str = ""


class RefundIssued(Body, frozen=True, kw_only=True):
    """Money went back."""

    refund: str
    order: str = ""
    currency: str = ""
    amount: Amount = 0


class Payment(Body, frozen=True, kw_only=True):
    """Money came, did not come, or is claimed back through the bank."""

    payment: str
    order: str = ""
    currency: str = ""
    amount: Amount = 0
    method: str = ""
    reason: str = ""
    status: str = ""
    """Of a dispute: where it stands, in the sender's word."""


class Subscription(Body, frozen=True, kw_only=True):
    """Where a subscription stands."""

    subscription: str
    status: str = ""
    """trialing, active, past_due, paused, cancelled or ended."""
    product: str = ""
    renews_at: Instant | None = None


class ReviewSubmitted(Body, frozen=True, kw_only=True):
    """A customer rated a product or an order, 1 to 5."""

    review: str
    order: str = ""
    product: str = ""
    rating: Count = 0


class MessageEvent(Body, frozen=True, kw_only=True):
    """Something became known about a message."""

    message: str
    """Our key of the send, or the sender's id of a message that is not ours."""
    channel: str = "email"
    kind: str = ""
    """Of a bounce: hard or soft. Of an unsubscription: the purpose it is for, or nothing. Of one
    that failed: why. Of one that a customer wrote: stop, start or help, where it says only that."""


class ProductEvent(Body, frozen=True, kw_only=True):
    """A customer looked at a product or put it into the basket."""

    product: str
    quantity: Count = 1


class Ticket(Body, frozen=True, kw_only=True):
    """A support ticket was opened or resolved."""

    ticket: str
    order: str = ""
    category: str = ""


class TrackingViewed(Body, frozen=True, kw_only=True):
    """A customer looked where a parcel is."""

    order: str


class SurveyAnswered(Body, frozen=True, kw_only=True):
    """An answer to NPS (0-10), CSAT (1-5) or another short question."""

    survey: str
    kind: str = ""
    score: Count | None = None
    order: str = ""


class ConsentEvent(Body, frozen=True, kw_only=True):
    """A customer allowed or refused a channel for a purpose."""

    channel: str = "email"
    purpose: str = "marketing"
    basis: str = ""
    """How it was given: double-opt-in, opt-in, soft-opt-in, imported."""


class PrivacyRequested(Body, frozen=True, kw_only=True):
    """A customer, or the shop for all its customers, asks what is held or wants it gone."""

    request: str
    kind: str = "access"
    """access, erase, or erase-shop: everybody of that shop."""


class CustomerUpdated(Body, frozen=True, kw_only=True):
    """Only what is known of the customer changed; addresses and names are kept apart."""


class CustomerMerged(Body, frozen=True, kw_only=True):
    """Two customers turned out to be one person; the older id survives."""

    absorbed: int
    evidence: str = ""
    """What showed it: the event's source and id, and the kinds of id that met in it."""


class HistorySummarised(Body, frozen=True, kw_only=True):
    """What retention leaves of events older than `until`: the fold starts here."""

    until: Instant
    orders: int = 0
    revenue: dict[str, int] = {}
    first_order_at: Instant | None = None


class CalibrationFitted(Body, frozen=True, kw_only=True):
    """Thresholds were fitted on the merchant's history; concerns every customer."""

    version: str
    tables: msgspec.Raw = msgspec.Raw(b"\x80")
    """The fitted values, as the models stage encodes them."""


class ScoreChanged(Body, frozen=True, kw_only=True):
    """A model says something else of the customer than it did, by enough to matter."""

    score: str
    """One of `models.scores.SCORES`."""
    product: str = ""
    """Of a score of a customer and a product."""
    value: float | None = None
    """In the score's own unit; None where nothing can be said any more."""
    band: str = ""
    version: str = ""
    """Of the model that says it."""


class ProductFacts(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a source told about a product; empty means it did not say."""

    product: str
    name: str = ""
    category: str = ""
    kind: str = ""
    price: int = 0
    supply_days: float = 0.0
    brand: str = ""


class CatalogueUpdated(Body, frozen=True, kw_only=True):
    """An import or a shop told about products; later tellings of a field win."""

    products: tuple[ProductFacts, ...] = ()


class Other(Body, frozen=True, kw_only=True):
    """An event of a type that is not in the vocabulary; its content is kept apart."""


BODIES: dict[str, type[Body]] = {
    "order.completed": OrderCompleted,
    "order.shipped": OrderShipped,
    "order.delivered": OrderDelivered,
    "parcel.updated": ParcelUpdated,
    "order.cancelled": OrderCancelled,
    "return.initiated": ReturnInitiated,
    "refund.issued": RefundIssued,
    "payment.received": Payment,
    "payment.failed": Payment,
    "payment.disputed": Payment,
    "subscription.updated": Subscription,
    "review.submitted": ReviewSubmitted,
    "message.sent": MessageEvent,
    "message.delivered": MessageEvent,
    "message.opened": MessageEvent,
    "message.clicked": MessageEvent,
    "message.bounced": MessageEvent,
    "message.complained": MessageEvent,
    "message.unsubscribed": MessageEvent,
    "message.failed": MessageEvent,
    "message.received": MessageEvent,
    "product.viewed": ProductEvent,
    "product.added_to_cart": ProductEvent,
    "checkout.started": CheckoutStarted,
    "support.ticket_created": Ticket,
    "support.ticket_resolved": Ticket,
    "tracking.viewed": TrackingViewed,
    "survey.answered": SurveyAnswered,
    "consent.given": ConsentEvent,
    "consent.withdrawn": ConsentEvent,
    "privacy.requested": PrivacyRequested,
    "customer.updated": CustomerUpdated,
    "customer.merged": CustomerMerged,
    "history.summarised": HistorySummarised,
    "calibration.fitted": CalibrationFitted,
    "catalogue.updated": CatalogueUpdated,
    "score.changed": ScoreChanged,
}

INNER = frozenset(
    {"customer.merged", "history.summarised", "calibration.fitted", "catalogue.updated"}
)
"""Types that only this system writes and that no journey gets to see."""
OURS = INNER | {"score.changed"}
"""Types that only this system writes; from outside they are refused."""

_CHANNELS = ("email", "sms", "push")


def standard_type(name: str) -> tuple[str, str]:
    """The vocabulary's name of a type, and the channel that an alias like `email.opened` says."""
    channel, _, rest = name.partition(".")
    if channel in _CHANNELS and f"message.{rest}" in BODIES:
        return f"message.{rest}", channel
    return name, ""


_DECODERS = {name: msgspec.msgpack.Decoder(body) for name, body in BODIES.items()}
_OTHER = msgspec.msgpack.Decoder(Other)
_ENCODER = msgspec.msgpack.Encoder()


def encode_body(body: Body) -> bytes:
    """The stored form of a body: a msgpack map by field name, defaults left out."""
    return _ENCODER.encode(body)


def decode_body(kind: str, data: bytes) -> Body:
    """The body of an event of that type; fields that this version does not know are passed over."""
    return _DECODERS.get(kind, _OTHER).decode(data)
