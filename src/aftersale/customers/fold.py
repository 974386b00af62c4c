"""How does one more event change what we know of a customer?

`fold` changes the profile in place and says whether the event told anything new: a fact that is
told again, by whichever source, is not news and starts nothing.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeVar

from aftersale.customers.parcels import told_parcel, unite_loose, unite_parcel
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
    Score,
    TicketFacts,
    Told,
    earliest,
    unite_earliest,
)
from aftersale.customers.purchases import purchases
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
    ParcelUpdated,
    RefundIssued,
    ReturnInitiated,
    ReviewSubmitted,
    ScoreChanged,
    SurveyAnswered,
    Ticket,
)
from aftersale.kernel.instants import DAY, Instant

KEPT_ORDERS = 30
KEPT_LINES = 600
FEW_LINES = 4
"""Lines of an order that is too small to make a state large by itself."""
KEPT_MESSAGES = 20
KEPT_REVIEWS = 20
KEPT_TICKETS = 20
KEPT_PARCELS = 20
KEPT_SCORES = 40
KEPT_GAPS = 20
KEPT_LAST_BOUGHT = 50

HARD_BOUNCE = "hard-bounce"
"""Why an address may not be used for anything."""


def order_key(shop: str, order: str) -> str:
    """How an order is named inside: its number, with the shop in front where there is one."""
    return f"{shop}/{order}" if shop else order


def score_key(score: str, product: str = "") -> str:
    """How a score is named in the profile."""
    return f"{score}/{product}" if product else score


def message_key(message: str) -> str:
    """A short name of a message in the profile: 60 bits of its hash, so keys stay small."""
    return blake2b(message.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()[:11]


def fold(profile: Profile, entry: Entry) -> bool:
    """Take the event in; True where it told something that was not known."""
    at, body = entry.at, entry.body
    if entry.type == "score.changed":
        return _score_changed(profile, entry)  # nobody was seen doing something
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
    content = (
        max(entry.at, body.changed_at or NEVER),
        body.total,
        body.currency,
        body.lines,
        body.gift,
    )
    if news or content > _content(order):
        order.told_at, order.total, order.currency, order.lines, order.gift = content
    order.at = earliest(order.at, entry.at)
    many = len(body.lines) > FEW_LINES and _line_count(profile) > KEPT_LINES
    if many or len(profile.orders) > KEPT_ORDERS:
        close_oldest(profile)
    return news


def _content(order: Order) -> tuple[Instant, int, str, tuple[Line, ...], bool]:
    """What the latest telling says, so that of two at one instant always the same stands."""
    return order.told_at, order.total, order.currency, order.lines, order.gift


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
        if parcel in profile.parcels:
            unite_parcel(found, profile.parcels[parcel])
    return found


def _shipped(profile: Profile, entry: Entry) -> bool:
    body: OrderShipped = entry.body  # type: ignore[assignment]
    parcel = _parcel(profile, entry, body.order, body.parcel)
    if parcel is None:
        return False
    news = parcel.shipped_at == NEVER
    parcel.shipped_at = earliest(parcel.shipped_at, entry.at)
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
    parcel.delivered_at = earliest(parcel.delivered_at, entry.at)
    return news


def _parcel_updated(profile: Profile, entry: Entry) -> bool:
    body: ParcelUpdated = entry.body  # type: ignore[assignment]
    told = told_parcel(body, entry.at)
    if body.order:
        parcel = _parcel(profile, entry, body.order, body.parcel)
        return parcel is not None and unite_parcel(parcel, told)
    news = unite_loose(profile, {body.parcel: told})
    _keep_newest(profile.parcels, KEPT_PARCELS, lambda parcel: parcel.status_at)
    return news


def _cancelled(profile: Profile, entry: Entry) -> bool:
    body: OrderCancelled = entry.body  # type: ignore[assignment]
    order = _order(profile, entry, body.order)
    if order is None:
        return False
    if not body.products:
        news = order.cancelled_at == NEVER
        order.cancelled_at = earliest(order.cancelled_at, entry.at)
        return news
    news = any(product not in order.cancelled for product in body.products)
    for product in body.products:
        order.cancelled[product] = earliest(order.cancelled.get(product, NEVER), entry.at)
    return news


def _returned(profile: Profile, entry: Entry) -> bool:
    body: ReturnInitiated = entry.body  # type: ignore[assignment]
    if profile.closed is not None and entry.at <= profile.closed.until:
        return False
    key = order_key(entry.shop, body.record)
    order = order_key(entry.shop, body.order) if body.order else ""
    new = Return(entry.at, order, body.lines)
    old = profile.returns.get(key)
    if old is None or new < old:
        profile.returns[key] = new
    return old is None


def _refunded(profile: Profile, entry: Entry) -> bool:
    body: RefundIssued = entry.body  # type: ignore[assignment]
    if profile.closed is not None and entry.at <= profile.closed.until:
        return False
    key = order_key(entry.shop, body.refund)
    new = Refund(entry.at, body.currency, body.amount)
    old = profile.refunds.get(key)
    if old is None or new < old:
        profile.refunds[key] = new
    return old is None


def _reviewed(profile: Profile, entry: Entry) -> bool:
    body: ReviewSubmitted = entry.body  # type: ignore[assignment]
    key = order_key(entry.shop, body.review)
    order = order_key(entry.shop, body.order) if body.order else ""
    new = Review(entry.at, body.rating, body.product, order)
    old = profile.reviews.get(key)
    if old is None or new > old:
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


def _ticket_at(ticket: TicketFacts) -> Instant:
    return max(ticket.opened_at, ticket.resolved_at)


def _ticket_created(profile: Profile, entry: Entry) -> bool:
    ticket = _ticket(profile, entry)
    news = ticket.opened_at == NEVER
    ticket.opened_at = earliest(ticket.opened_at, entry.at)
    _keep_newest(profile.tickets, KEPT_TICKETS, _ticket_at)
    return news


def _ticket_resolved(profile: Profile, entry: Entry) -> bool:
    ticket = _ticket(profile, entry)
    news = ticket.resolved_at == NEVER
    ticket.resolved_at = max(ticket.resolved_at, entry.at)
    _keep_newest(profile.tickets, KEPT_TICKETS, _ticket_at)
    return news


def consent(profile: Profile, key: str, new: Consent) -> bool:
    """Take a word on consent in: the latest stands, of two at one instant the refusal."""
    old = profile.consents.get(key)
    if old is not None and (new.at, not new.given, new.basis) <= (
        old.at,
        not old.given,
        old.basis,
    ):
        return False
    profile.consents[key] = new
    return old is None or old.given != new.given


def _consent_given(profile: Profile, entry: Entry) -> bool:
    body: ConsentEvent = entry.body  # type: ignore[assignment]
    word = Consent(entry.at, given=True, basis=body.basis)
    return consent(profile, f"{body.channel}/{body.purpose}", word)


def _consent_withdrawn(profile: Profile, entry: Entry) -> bool:
    body: ConsentEvent = entry.body  # type: ignore[assignment]
    word = Consent(entry.at, given=False, basis=body.basis)
    return consent(profile, f"{body.channel}/{body.purpose}", word)


def _reaction(field: str) -> Callable[[Profile, Entry], bool]:
    def handle(profile: Profile, entry: Entry) -> bool:
        body: MessageEvent = entry.body  # type: ignore[assignment]
        found = profile.messages.setdefault(message_key(body.message), Reaction())
        found.channel = max(found.channel, body.channel)
        news: bool = getattr(found, field) == NEVER
        setattr(found, field, earliest(getattr(found, field), entry.at))
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
        _block(profile, body.channel, entry.at, HARD_BOUNCE)
    return _bounce(profile, entry)


def _complained(profile: Profile, entry: Entry) -> bool:
    body: MessageEvent = entry.body  # type: ignore[assignment]
    return _block(profile, body.channel, entry.at, "complaint")


def _block(profile: Profile, channel: str, at: Instant, why: str) -> bool:
    """The earliest reason stands, but a complaint gives way to a bounce, which forbids more."""
    old = profile.blocked.get(channel)
    if old is None or (why != HARD_BOUNCE, at) < (old.value != HARD_BOUNCE, old.at):
        profile.blocked[channel] = Told(at, why)
    return old is None


def _unsubscribed(profile: Profile, entry: Entry) -> bool:
    """No marketing any more, whatever the sender calls what was unsubscribed from."""
    body: MessageEvent = entry.body  # type: ignore[assignment]
    news = False
    for purpose in {"marketing", body.kind or "marketing"}:
        word = Consent(entry.at, given=False, basis="unsubscribed")
        news |= consent(profile, f"{body.channel}/{purpose}", word)
    return news


def _looked(profile: Profile, entry: Entry) -> bool:
    profile.looked_at = max(profile.looked_at, entry.at)
    return True


def _filled_basket(profile: Profile, entry: Entry) -> bool:
    profile.basket_at = max(profile.basket_at, entry.at)
    return True


def _tracked(profile: Profile, entry: Entry) -> bool:
    profile.tracked_at = max(profile.tracked_at, entry.at)
    return True


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
        _forget(profile, body.until)
        for key in [k for k, refund in profile.refunds.items() if refund.at <= body.until]:
            del profile.refunds[key]
    return False


_T = TypeVar("_T")


def _keep_newest(table: dict[str, _T], most: int, at: Callable[[_T], Instant]) -> None:
    while len(table) > most:
        del table[min(zip(map(at, table.values()), table, strict=True))[1]]


def close_oldest(profile: Profile) -> None:
    """Close the oldest fifth of the orders into the summary."""
    known = sorted(order.at for order in profile.orders.values() if order.at != NEVER)
    if known:
        _close(profile, known[max(len(known) // 5, 1) - 1])
    else:
        profile.orders.clear()


def _close(profile: Profile, until: Instant) -> None:
    """Close every order up to the instant; what counted before counts after."""
    old = profile.closed or Closed(until)
    gaps, last, revenue = list(old.gaps), dict(old.last_bought), dict(old.revenue)
    before = old.newest
    going = [bought for bought in purchases(profile).kept if bought.at <= until]
    for bought in going:
        if NEVER < before <= bought.at:
            gaps.append((bought.at - before) // DAY)
        before = max(before, bought.at)
        revenue[bought.currency] = revenue.get(bought.currency, 0) + bought.total
        for line in bought.lines:
            last[line.product] = max(last.get(line.product, NEVER), bought.at)
    for key in [k for k, refund in profile.refunds.items() if refund.at <= until]:
        refund = profile.refunds.pop(key)
        revenue[refund.currency] = revenue.get(refund.currency, 0) - refund.amount
    _forget(profile, until)
    _keep_newest(last, KEPT_LAST_BOUGHT, lambda at: at)
    firsts = [at for at in (old.first_order_at, *(b.at for b in going[:1])) if at != NEVER]
    profile.closed = Closed(
        until=until,
        orders=old.orders + len(going),
        revenue=revenue,
        first_order_at=min(firsts, default=NEVER),
        gaps=tuple(gaps[-KEPT_GAPS:]),
        last_bought=last,
        last_order_at=before,
    )


def _forget(profile: Profile, until: Instant) -> None:
    """Drop the orders up to the instant, and the returns that concern none that remains."""
    for key in [k for k, order in profile.orders.items() if NEVER < order.at <= until]:
        del profile.orders[key]
    for key, back in list(profile.returns.items()):
        if back.at <= until and back.order not in profile.orders:
            del profile.returns[key]


def _score_changed(profile: Profile, entry: Entry) -> bool:
    body: ScoreChanged = entry.body  # type: ignore[assignment]
    return _score(
        profile, score_key(body.score, body.product), Score(entry.at, body.value, body.band)
    )


def _score(profile: Profile, key: str, new: Score) -> bool:
    """Let the later of two tellings stand; the least recent scores go where there are too many."""
    scores = profile.scores
    old = scores.get(key)
    if old is not None and old.rank >= new.rank:
        return False
    scores[key] = new
    if len(scores) > KEPT_SCORES:
        del scores[min(scores, key=lambda name: (scores[name].at, name))]
    return True


_FOLDS: dict[str, Callable[[Profile, Entry], bool]] = {
    "order.completed": _completed,
    "order.shipped": _shipped,
    "order.delivered": _delivered,
    "parcel.updated": _parcel_updated,
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
    "product.viewed": _looked,
    "product.added_to_cart": _filled_basket,
    "tracking.viewed": _tracked,
    "survey.answered": _answered,
    "history.summarised": _summarised,
}


def unite(survivor: Profile, absorbed: Profile) -> None:
    """Combine two profiles of one person by the same rules; the stricter consent wins."""
    for key, order in absorbed.orders.items():
        _unite_orders(survivor.orders.setdefault(key, order), order)
    for key, back in absorbed.returns.items():
        survivor.returns[key] = min(back, survivor.returns.get(key, back))
    for key, refund in absorbed.refunds.items():
        survivor.refunds[key] = min(refund, survivor.refunds.get(key, refund))
    for key, review in absorbed.reviews.items():
        survivor.reviews[key] = max(review, survivor.reviews.get(key, review))
    for key, ticket in absorbed.tickets.items():
        _unite_tickets(survivor.tickets.setdefault(key, ticket), ticket)
    for key, word in absorbed.consents.items():
        survivor.consents[key] = max(word, survivor.consents.get(key, word), key=_strictness)
    for channel, told in absorbed.blocked.items():
        _block(survivor, channel, told.at, told.value)
    for key, answer in absorbed.answers.items():
        old = survivor.answers.get(key, answer)
        survivor.answers[key] = max(answer, old, key=lambda a: (a.at, -a.score))
    for key, score in absorbed.scores.items():
        _score(survivor, key, score)
    unite_loose(survivor, absorbed.parcels)
    _unite_sightings(survivor, absorbed)
    _unite_closed(survivor, absorbed.closed)
    _keep_bounds(survivor)


def _strictness(word: Consent) -> tuple[bool, Instant, str]:
    return not word.given, word.at, word.basis


def _unite_sightings(survivor: Profile, absorbed: Profile) -> None:
    for key, reaction in absorbed.messages.items():
        mine = survivor.messages.setdefault(key, reaction)
        mine.channel = max(mine.channel, reaction.channel)
        for name in ("sent_at", "delivered_at", "opened_at", "clicked_at", "bounced_at"):
            unite_earliest(mine, reaction, name)
    for name in ("looked_at", "basket_at", "tracked_at"):
        setattr(survivor, name, max(getattr(survivor, name), getattr(absorbed, name)))
    for name in ("zone", "locale", "country"):
        told: Told | None = getattr(absorbed, name)
        if told is not None:
            setattr(survivor, name, _latest(getattr(survivor, name), told.at, told.value))
    unite_earliest(survivor, absorbed, "first_seen_at")
    survivor.last_seen_at = max(survivor.last_seen_at, absorbed.last_seen_at)


def _unite_closed(profile: Profile, theirs: Closed | None) -> None:
    """Add the other summary, then close what is older than the newer of the two."""
    if theirs is None:
        return
    mine = profile.closed or Closed(NEVER)
    older, newer = sorted((mine, theirs), key=lambda closed: closed.until)
    firsts = [at for at in (mine.first_order_at, theirs.first_order_at) if at != NEVER]
    profile.closed = Closed(
        until=newer.until,
        orders=mine.orders + theirs.orders,
        revenue={
            currency: mine.revenue.get(currency, 0) + theirs.revenue.get(currency, 0)
            for currency in (*mine.revenue, *theirs.revenue)
        },
        first_order_at=min(firsts, default=NEVER),
        gaps=(older.gaps + newer.gaps)[-KEPT_GAPS:],
        last_bought={
            product: max(mine.last_bought.get(product, at), theirs.last_bought.get(product, at))
            for product, at in (*mine.last_bought.items(), *theirs.last_bought.items())
        },
        last_order_at=max(mine.newest, theirs.newest),
    )
    _close(profile, newer.until)


def _keep_bounds(profile: Profile) -> None:
    _keep_newest(profile.reviews, KEPT_REVIEWS, lambda review: review.at)
    _keep_newest(profile.tickets, KEPT_TICKETS, _ticket_at)
    _keep_newest(profile.messages, KEPT_MESSAGES, reacted_at)
    _keep_newest(profile.parcels, KEPT_PARCELS, lambda parcel: parcel.status_at)
    while len(profile.orders) > KEPT_ORDERS or _line_count(profile) > KEPT_LINES:
        close_oldest(profile)


def _unite_tickets(mine: TicketFacts, theirs: TicketFacts) -> None:
    unite_earliest(mine, theirs, "opened_at")
    mine.resolved_at = max(mine.resolved_at, theirs.resolved_at)
    mine.category = max(mine.category, theirs.category)
    mine.order = max(mine.order, theirs.order)


def _unite_orders(mine: Order, theirs: Order) -> None:
    if _content(theirs) > _content(mine):
        mine.told_at, mine.total, mine.currency, mine.lines, mine.gift = _content(theirs)
    unite_earliest(mine, theirs, "at")
    unite_earliest(mine, theirs, "cancelled_at")
    for product, at in theirs.cancelled.items():
        mine.cancelled[product] = min(at, mine.cancelled.get(product, at))
    for key, parcel in theirs.parcels.items():
        unite_parcel(mine.parcels.setdefault(key, parcel), parcel)
