"""Who is this customer now?

The profile is built only from parts that do not mind order or repetition: earliest and latest
instants, latest by event time with a fixed tie-break, and sets keyed by the resource (an order,
a parcel, a return). So any permutation and repetition of a history folds to the same profile,
and a late event corrects it by being folded.

It is bounded: older orders are closed into a summary, `closed_until`, from which the fold goes
on. What concerns orders up to that instant is no longer counted.
"""

import msgspec

from aftersale.events.vocabulary import Line
from aftersale.kernel.instants import Instant

NEVER: Instant = 0
"""No instant: nothing we handle happened in 1970."""


class Parcel(msgspec.Struct, array_like=True, gc=False):
    """One parcel of an order."""

    shipped_at: Instant = NEVER
    delivered_at: Instant = NEVER
    promised_at: Instant = NEVER
    promised_told: Instant = NEVER
    status: str = ""
    """The latest that a carrier said, but an end outlasts everything on the way to it."""
    status_at: Instant = NEVER


class Order(msgspec.Struct, array_like=True):
    """One order, known from its own event or only from what happened to it."""

    at: Instant = NEVER
    """When it was placed, by the earliest telling; NEVER while nobody told."""
    told_at: Instant = NEVER
    """Of the telling whose content stands: the latest."""
    currency: str = ""
    total: int = 0
    lines: tuple[Line, ...] = ()
    shop: str = ""
    cancelled_at: Instant = NEVER
    cancelled: dict[str, Instant] = {}
    """Product → when its line was cancelled, where not all were."""
    parcels: dict[str, Parcel] = {}
    gift: bool = False


class Return(msgspec.Struct, array_like=True, order=True, gc=False):
    """Goods that go back."""

    at: Instant
    order: str
    lines: tuple[Line, ...]


class Refund(msgspec.Struct, array_like=True, order=True, gc=False):
    """Money that went back."""

    at: Instant
    currency: str
    amount: int


class Review(msgspec.Struct, array_like=True, order=True, gc=False):
    """A rating."""

    at: Instant
    rating: int
    product: str
    order: str


class TicketFacts(msgspec.Struct, array_like=True, gc=False):
    """A support case; it can be resolved before we hear that it was opened."""

    opened_at: Instant = NEVER
    resolved_at: Instant = NEVER
    category: str = ""
    order: str = ""


class Consent(msgspec.Struct, array_like=True, gc=False):
    """The latest word on a channel and purpose; of two at one instant the refusal stands."""

    at: Instant
    given: bool
    basis: str


class Reaction(msgspec.Struct, array_like=True, gc=False):
    """What became of one message, each the earliest instant."""

    sent_at: Instant = NEVER
    delivered_at: Instant = NEVER
    opened_at: Instant = NEVER
    clicked_at: Instant = NEVER
    bounced_at: Instant = NEVER
    channel: str = ""


class Told(msgspec.Struct, array_like=True, gc=False):
    """A text fact and when it was said; the latest stands, of two at one instant the greater."""

    at: Instant
    value: str


class Answer(msgspec.Struct, array_like=True, gc=False):
    """The latest answer to one kind of question."""

    at: Instant
    score: int


class Score(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a model said last; `value` is None where it says nothing any more."""

    at: Instant
    value: float | None
    band: str

    @property
    def rank(self) -> tuple[Instant, bool, float, str]:
        """Of two the higher stands: the later, and at one instant always the same."""
        return self.at, self.value is not None, self.value or 0.0, self.band


class Closed(msgspec.Struct, array_like=True):
    """What remains of orders that are too old to be kept one by one."""

    until: Instant
    orders: int = 0
    revenue: dict[str, int] = {}
    first_order_at: Instant = NEVER
    gaps: tuple[int, ...] = ()
    """Whole days between closed orders, the newest last; at most 20."""
    last_bought: dict[str, Instant] = {}
    """Product → latest closed purchase, the newest 50."""
    last_order_at: Instant = NEVER
    """Of the latest closed order that counts; NEVER where only `until` is known."""

    @property
    def newest(self) -> Instant:
        """When the latest closed order was placed, as well as we know; NEVER without any."""
        return (self.last_order_at or self.until) if self.orders else NEVER


class Profile(msgspec.Struct, array_like=True):
    """Everything decisions may know of a customer. Mutable: one `advance` owns it."""

    first_seen_at: Instant = NEVER
    last_seen_at: Instant = NEVER
    zone: Told | None = None
    locale: Told | None = None
    country: Told | None = None
    orders: dict[str, Order] = {}
    returns: dict[str, Return] = {}
    refunds: dict[str, Refund] = {}
    reviews: dict[str, Review] = {}
    tickets: dict[str, TicketFacts] = {}
    consents: dict[str, Consent] = {}
    """`channel/purpose` → the latest word."""
    blocked: dict[str, Told] = {}
    """Channel → when and why its address may not be used (hard-bounce, complaint)."""
    messages: dict[str, Reaction] = {}
    looked_at: Instant = NEVER
    """Latest look at a product; which ones, and how often, is read from the history."""
    basket_at: Instant = NEVER
    tracked_at: Instant = NEVER
    answers: dict[str, Answer] = {}
    closed: Closed | None = None
    scores: dict[str, Score] = {}
    """Score, or score and product with a slash between them → what was said last."""
    parcels: dict[str, Parcel] = {}
    """Tracking number → what was said of a parcel without its order. It counts for every order
    that has a parcel of that number, whichever is told first."""


def earliest(old: Instant, new: Instant) -> Instant:
    """The earlier of two instants of which the first may not be known."""
    return new if old == NEVER else min(old, new)


def unite_earliest(mine: object, theirs: object, name: str) -> None:
    """Let the earlier of two instants stand in the first, where the other knows one."""
    at: Instant = getattr(theirs, name)
    if at != NEVER:
        setattr(mine, name, earliest(getattr(mine, name), at))
