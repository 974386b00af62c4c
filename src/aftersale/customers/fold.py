"""How does one more event change what we know of a customer?

`fold` changes the profile in place and says whether the event told anything new: a fact that is
told again, by whichever source, is not news and starts nothing.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeVar

from aftersale.customers.profile import (
    NEVER,
    Answer,
    Closed,
    Consent,
    Order,
    Parcel,
    Profile,
    Reaction,
    Refund,
    Return,
    Review,
    TicketFacts,
    Told,
)
from aftersale.events.event import Entry
from aftersale.events.vocabulary import (
    ConsentEvent,
    HistorySummarised,
    Line,
    MessageEvent,
    OrderCancelled,
    OrderCompleted,
    OrderDelivered,
    OrderShipped,
    ProductEvent,
    RefundIssued,
    ReturnInitiated,
    ReviewSubmitted,
    SurveyAnswered,
    Ticket,
    TrackingViewed,
)
from aftersale.kernel.instants import DAY, Instant

KEPT_ORDERS = 60
KEPT_LINES = 1200
KEPT_MESSAGES = 30
KEPT_PRODUCTS = 30
KEPT_REVIEWS = 20
KEPT_TICKETS = 20


def order_key(shop: str, order: str) -> str:
    """How an order is named inside: its number, with the shop in front where there is one."""
    return f"{shop}/{order}" if shop else order


def message_key(message: str) -> str:
    """A short name of a message in the profile: 60 bits of its hash, so keys stay small."""
    return blake2b(message.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()[:11]


def fold(profile: Profile, entry: Entry) -> bool:
    """Take the event in; True where it told something that was not known."""
    at, body = entry.at, entry.body
    if profile.first_seen_at == NEVER or at < profile.first_seen_at:
        profile.first_seen_at = at
    profile.last_seen_at = max(profile.last_seen_at, at)
    if body.zone:
        profile.zone = _latest(profile.zone, at, body.zone)
    if body.locale:
        profile.locale = _latest(profile.locale, at, body.locale)
    if body.country:
        profile.country = _latest(profile.country, at, body.country)
    handle = _FOLDS.get(entry.type)
    return True if handle is None else handle(profile, entry)


def _latest(old: Told | None, at: Instant, value: str) -> Told:
    if old is None or (at, value) > (old.at, old.value):
        return Told(at, value)
    return old


def _earliest(old: Instant, new: Instant) -> Instant:
    return new if old == NEVER else min(old, new)


def _order(profile: Profile, entry: Entry, number: str) -> Order | None:
    """The order's part, made where it is missing; None where it belongs to a closed past."""
    key = order_key(entry.shop, number)
    found = profile.orders.get(key)
    if found is None:
        if profile.closed is not None and entry.at <= profile.closed.until:
            return None
        found = profile.orders[key] = Order(shop=entry.shop)
    return found


def _completed(profile: Profile, entry: Entry) -> bool:
    body: OrderCompleted = entry.body  # type: ignore[assignment]  # the table pairs type and body
    order = _order(profile, entry, body.order)
    if order is None:
        return False
    news = order.at == NEVER
    content = (entry.at, body.total, body.currency, body.lines)
    if news or content > (order.told_at, order.total, order.currency, order.lines):
        order.told_at, order.total, order.currency, order.lines = content
        order.gift = body.gift
    order.at = _earliest(order.at, entry.at)
    if len(profile.orders) > KEPT_ORDERS or _line_count(profile) > KEPT_LINES:
        close_oldest(profile)
    return news


def _line_count(profile: Profile) -> int:
    if len(profile.orders) < 4:
        return 0
    return sum(len(order.lines) for order in profile.orders.values())


def _parcel(profile: Profile, entry: Entry, number: str, parcel: str) -> Parcel | None:
    order = _order(profile, entry, number)
    if order is None:
        return None
    found = order.parcels.get(parcel)
    if found is None:
        found = order.parcels[parcel] = Parcel()
    return found


def _shipped(profile: Profile, entry: Entry) -> bool:
    body: OrderShipped = entry.body  # type: ignore[assignment]
    parcel = _parcel(profile, entry, body.order, body.parcel)
    if parcel is None:
        return False
    news = parcel.shipped_at == NEVER
    parcel.shipped_at = _earliest(parcel.shipped_at, entry.at)
    promise = (entry.at, body.promised_at or NEVER)
    if body.promised_at and promise > (parcel.promised_told, parcel.promised_at):
        parcel.promised_told, parcel.promised_at = promise
    return news


def _delivered(profile: Profile, entry: Entry) -> bool:
    body: OrderDelivered = entry.body  # type: ignore[assignment]
    parcel = _parcel(profile, entry, body.order, body.parcel)
    if parcel is None:
        return False
    news = parcel.delivered_at == NEVER
    parcel.delivered_at = _earliest(parcel.delivered_at, entry.at)
    return news


def _cancelled(profile: Profile, entry: Entry) -> bool:
    body: OrderCancelled = entry.body  # type: ignore[assignment]
    order = _order(profile, entry, body.order)
    if order is None:
        return False
    if not body.products:
        news = order.cancelled_at == NEVER
        order.cancelled_at = _earliest(order.cancelled_at, entry.at)
        return news
    news = any(product not in order.cancelled for product in body.products)
    for product in body.products:
        order.cancelled[product] = _earliest(order.cancelled.get(product, NEVER), entry.at)
    return news


def _returned(profile: Profile, entry: Entry) -> bool:
    body: ReturnInitiated = entry.body  # type: ignore[assignment]
    if profile.closed is not None and entry.at <= profile.closed.until:
        return False
    key = order_key(entry.shop, body.record)
    order = order_key(entry.shop, body.order) if body.order else ""
    new = Return(entry.at, order, body.lines)
    old = profile.returns.get(key)
    if old is None or (new.at, new.order, new.lines) < (old.at, old.order, old.lines):
        profile.returns[key] = new
    return old is None


def _refunded(profile: Profile, entry: Entry) -> bool:
    body: RefundIssued = entry.body  # type: ignore[assignment]
    if profile.closed is not None and entry.at <= profile.closed.until:
        return False
    key = order_key(entry.shop, body.refund)
    new = Refund(entry.at, body.currency, body.amount)
    old = profile.refunds.get(key)
    if old is None or (new.at, new.currency, new.amount) < (old.at, old.currency, old.amount):
        profile.refunds[key] = new
    return old is None


def _reviewed(profile: Profile, entry: Entry) -> bool:
    body: ReviewSubmitted = entry.body  # type: ignore[assignment]
    key = order_key(entry.shop, body.review)
    order = order_key(entry.shop, body.order) if body.order else ""
    new = Review(entry.at, body.rating, body.product, order)
    old = profile.reviews.get(key)
    if old is None or (new.at, new.rating) > (old.at, old.rating):
        profile.reviews[key] = new
    _keep_newest(profile.reviews, KEPT_REVIEWS, lambda review: review.at)
    return old is None


def _ticket(profile: Profile, entry: Entry) -> TicketFacts:
    body: Ticket = entry.body  # type: ignore[assignment]
    key = order_key(entry.shop, body.ticket)
    found = profile.tickets.setdefault(key, TicketFacts())
    found.category = max(found.category, body.category)
    found.order = max(found.order, order_key(entry.shop, body.order) if body.order else "")
    return found


def _ticket_created(profile: Profile, entry: Entry) -> bool:
    ticket = _ticket(profile, entry)
    news = ticket.opened_at == NEVER
    ticket.opened_at = _earliest(ticket.opened_at, entry.at)
    _keep_newest(profile.tickets, KEPT_TICKETS, lambda t: max(t.opened_at, t.resolved_at))
    return news


def _ticket_resolved(profile: Profile, entry: Entry) -> bool:
    ticket = _ticket(profile, entry)
    news = ticket.resolved_at == NEVER
    ticket.resolved_at = max(ticket.resolved_at, entry.at)
    _keep_newest(profile.tickets, KEPT_TICKETS, lambda t: max(t.opened_at, t.resolved_at))
    return news


def consent(profile: Profile, key: str, new: Consent) -> bool:
    """Take a word on consent in: the latest stands, of two at one instant the refusal."""
    old = profile.consents.get(key)
    rank = (new.at, not new.given, new.basis)
    if old is None or rank > (old.at, not old.given, old.basis):
        profile.consents[key] = new
    return old is None or old.given != new.given


def _consent_given(profile: Profile, entry: Entry) -> bool:
    body: ConsentEvent = entry.body  # type: ignore[assignment]
    return consent(profile, f"{body.channel}/{body.purpose}", Consent(entry.at, True, body.basis))


def _consent_withdrawn(profile: Profile, entry: Entry) -> bool:
    body: ConsentEvent = entry.body  # type: ignore[assignment]
    return consent(profile, f"{body.channel}/{body.purpose}", Consent(entry.at, False, body.basis))


def _reaction(field: str) -> Callable[[Profile, Entry], bool]:
    def handle(profile: Profile, entry: Entry) -> bool:
        body: MessageEvent = entry.body  # type: ignore[assignment]
        found = profile.messages.setdefault(message_key(body.message), Reaction())
        found.channel = max(found.channel, body.channel)
        news = getattr(found, field) == NEVER
        setattr(found, field, _earliest(getattr(found, field), entry.at))
        _keep_newest(profile.messages, KEPT_MESSAGES, reacted_at)
        return news

    return handle


def reacted_at(reaction: Reaction) -> Instant:
    """The latest thing known of a message."""
    return max(
        reaction.sent_at,
        reaction.delivered_at,
        reaction.opened_at,
        reaction.clicked_at,
        reaction.bounced_at,
    )


_bounce = _reaction("bounced_at")


def _bounced(profile: Profile, entry: Entry) -> bool:
    body: MessageEvent = entry.body  # type: ignore[assignment]
    if body.kind != "soft":
        _block(profile, body.channel, entry.at, "hard-bounce")
    return _bounce(profile, entry)


def _complained(profile: Profile, entry: Entry) -> bool:
    body: MessageEvent = entry.body  # type: ignore[assignment]
    return _block(profile, body.channel, entry.at, "complaint")


def _block(profile: Profile, channel: str, at: Instant, why: str) -> bool:
    old = profile.blocked.get(channel)
    if old is None or (at, why) < (old.at, old.value):
        profile.blocked[channel] = Told(at, why)
    return old is None


def _unsubscribed(profile: Profile, entry: Entry) -> bool:
    body: MessageEvent = entry.body  # type: ignore[assignment]
    purpose = body.kind or "marketing"
    return consent(profile, f"{body.channel}/{purpose}", Consent(entry.at, False, "unsubscribed"))


def _last_at(table: str) -> Callable[[Profile, Entry], bool]:
    def handle(profile: Profile, entry: Entry) -> bool:
        body: ProductEvent | TrackingViewed = entry.body  # type: ignore[assignment]
        if isinstance(body, ProductEvent):
            key = body.product
        else:
            key = order_key(entry.shop, body.order)
        seen: dict[str, Instant] = getattr(profile, table)
        if entry.at > seen.get(key, NEVER):
            seen[key] = entry.at
            _keep_newest(seen, KEPT_PRODUCTS, lambda at: at)
        return True

    return handle


def _answered(profile: Profile, entry: Entry) -> bool:
    body: SurveyAnswered = entry.body  # type: ignore[assignment]
    if body.score is None:
        return True
    old = profile.answers.get(body.kind)
    if old is None or (entry.at, -body.score) > (old.at, -old.score):
        profile.answers[body.kind] = Answer(entry.at, body.score)
    return True


def _summarised(profile: Profile, entry: Entry) -> bool:
    body: HistorySummarised = entry.body  # type: ignore[assignment]
    if profile.closed is None or body.until > profile.closed.until:
        profile.closed = Closed(
            body.until, body.orders, dict(body.revenue), body.first_order_at or NEVER
        )
        for key in [k for k, o in profile.orders.items() if NEVER < o.at <= body.until]:
            del profile.orders[key]
    return False


_T = TypeVar("_T")


def _keep_newest(table: dict[str, _T], most: int, at: Callable[[_T], Instant]) -> None:
    while len(table) > most:
        del table[min(table, key=lambda key: (at(table[key]), key))]


def close_oldest(profile: Profile) -> None:
    """Close the oldest fifth of the orders into the summary."""
    known = sorted((order.at, key) for key, order in profile.orders.items() if order.at != NEVER)
    if not known:
        profile.orders.clear()
        return
    going = known[: max(len(known) // 5, 1)]
    old = profile.closed or Closed(NEVER)
    until = going[-1][0]
    gaps, last, revenue = list(old.gaps), dict(old.last_bought), dict(old.revenue)
    before, count = old.until, old.orders
    gone = returned_products(profile, until)
    for at, key in known:
        if at > until:
            break
        order = profile.orders.pop(key)
        if order.cancelled_at != NEVER:
            continue
        if before != NEVER:
            gaps.append((at - before) // DAY)
        before, count = at, count + 1
        revenue[order.currency] = revenue.get(order.currency, 0) + order.total
        for line in order.lines:
            if line.product not in gone:
                last[line.product] = max(last.get(line.product, NEVER), at)
    for key in [k for k, refund in profile.refunds.items() if refund.at <= until]:
        refund = profile.refunds.pop(key)
        revenue[refund.currency] = revenue.get(refund.currency, 0) - refund.amount
    for key in [k for k, back in profile.returns.items() if back.at <= until]:
        del profile.returns[key]
    _keep_newest(last, 50, lambda at: at)
    profile.closed = Closed(
        until, count, revenue, old.first_order_at or known[0][0], tuple(gaps[-20:]), last
    )


def returned_products(profile: Profile, until: Instant) -> set[str]:
    """Products that some return up to the instant names."""
    return {
        line.product for back in profile.returns.values() if back.at <= until for line in back.lines
    }


_FOLDS: dict[str, Callable[[Profile, Entry], bool]] = {
    "order.completed": _completed,
    "order.shipped": _shipped,
    "order.delivered": _delivered,
    "order.cancelled": _cancelled,
    "return.initiated": _returned,
    "refund.issued": _refunded,
    "review.submitted": _reviewed,
    "support.ticket_created": _ticket_created,
    "support.ticket_resolved": _ticket_resolved,
    "consent.given": _consent_given,
    "consent.withdrawn": _consent_withdrawn,
    "message.sent": _reaction("sent_at"),
    "message.delivered": _reaction("delivered_at"),
    "message.opened": _reaction("opened_at"),
    "message.clicked": _reaction("clicked_at"),
    "message.bounced": _bounced,
    "message.complained": _complained,
    "message.unsubscribed": _unsubscribed,
    "product.viewed": _last_at("viewed"),
    "product.added_to_cart": _last_at("carted"),
    "tracking.viewed": _last_at("tracked"),
    "survey.answered": _answered,
    "history.summarised": _summarised,
}


def unite(survivor: Profile, absorbed: Profile) -> None:
    """Combine two profiles of one person by the same rules; the stricter consent wins."""
    for order_name, order in absorbed.orders.items():
        mine = survivor.orders.get(order_name)
        if mine is None:
            survivor.orders[order_name] = order
        else:
            _unite_orders(mine, order)
    for name in ("returns", "refunds", "reviews"):
        table = getattr(survivor, name)
        for key, value in getattr(absorbed, name).items():
            table.setdefault(key, value)
    for key, ticket in absorbed.tickets.items():
        mine_ticket = survivor.tickets.setdefault(key, ticket)
        mine_ticket.opened_at = min(
            filter(None, (mine_ticket.opened_at, ticket.opened_at)), default=NEVER
        )
        mine_ticket.resolved_at = max(mine_ticket.resolved_at, ticket.resolved_at)
    for key, word in absorbed.consents.items():
        old = survivor.consents.get(key)
        if (
            old is None
            or (not word.given and old.given)
            or (word.given == old.given and word.at > old.at)
        ):
            survivor.consents[key] = word
    for key, reaction in absorbed.messages.items():
        survivor.messages.setdefault(key, reaction)
    for channel, told in absorbed.blocked.items():
        _block(survivor, channel, told.at, told.value)
    for name in ("viewed", "carted", "tracked"):
        seen = getattr(survivor, name)
        for key, at in getattr(absorbed, name).items():
            seen[key] = max(seen.get(key, NEVER), at)
    for key, answer in absorbed.answers.items():
        if key not in survivor.answers or answer.at > survivor.answers[key].at:
            survivor.answers[key] = answer
    for name in ("zone", "locale", "country"):
        theirs: Told | None = getattr(absorbed, name)
        if theirs is not None:
            setattr(survivor, name, _latest(getattr(survivor, name), theirs.at, theirs.value))
    survivor.first_seen_at = min(
        filter(None, (survivor.first_seen_at, absorbed.first_seen_at)), default=NEVER
    )
    survivor.last_seen_at = max(survivor.last_seen_at, absorbed.last_seen_at)
    if absorbed.closed is not None and survivor.closed is None:
        survivor.closed = absorbed.closed


def _unite_orders(mine: Order, theirs: Order) -> None:
    if (theirs.told_at, theirs.total, theirs.currency, theirs.lines) > (
        mine.told_at,
        mine.total,
        mine.currency,
        mine.lines,
    ):
        mine.told_at, mine.total = theirs.told_at, theirs.total
        mine.currency, mine.lines, mine.gift = theirs.currency, theirs.lines, theirs.gift
    if theirs.at != NEVER:
        mine.at = _earliest(mine.at, theirs.at)
    if theirs.cancelled_at != NEVER:
        mine.cancelled_at = _earliest(mine.cancelled_at, theirs.cancelled_at)
    mine.cancelled = {**theirs.cancelled, **mine.cancelled}
    parcels = dict(mine.parcels)
    for key, parcel in theirs.parcels.items():
        old = parcels.setdefault(key, parcel)
        for name in ("shipped_at", "delivered_at"):
            told = [at for at in (getattr(old, name), getattr(parcel, name)) if at != NEVER]
            setattr(old, name, min(told, default=NEVER))
        if (parcel.promised_told, parcel.promised_at) > (old.promised_told, old.promised_at):
            old.promised_told, old.promised_at = parcel.promised_told, parcel.promised_at
    mine.parcels = parcels


def line_of(order: Order, product: str) -> Line | None:
    """The line of the order that holds the product."""
    return next((line for line in order.lines if line.product == product), None)
