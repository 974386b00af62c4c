"""Which values of a customer can a condition name?

Each is defined once, as a function of a reading; the table that segments and pages filter is the
export of these functions, a column each.
"""

from collections.abc import Callable

from aftersale.customers.profile import NEVER
from aftersale.kernel.instants import DAY, Instant
from aftersale.kernel.money import exponent
from aftersale.models import lifecycle, rfm
from aftersale.models.scores import SCORES, Score
from aftersale.segments.fields import Field, Fields, Type, Value
from aftersale.segments.reading import Reading
from aftersale.segments.states import state

OPEN_TICKET_LASTS = 14 * DAY
"""After which a ticket that nobody resolved no longer counts as open."""


def _field(name: str, kind: Type, doc: str, read: Callable[[Reading], Value | None]) -> Field:
    return Field(name, kind, "customer", doc, read)


def _revenue(reading: Reading) -> float | None:
    bought = reading.bought
    currency = bought.currency
    return bought.revenue.get(currency, 0) / 10 ** exponent(currency) if bought.count else None


def _average(reading: Reading) -> float | None:
    revenue = _revenue(reading)
    return None if revenue is None else revenue / reading.bought.count


def _some(at: Instant) -> Instant | None:
    return None if at == NEVER else at


def _consent(key: str) -> Callable[[Reading], bool | None]:
    def read(reading: Reading) -> bool | None:
        word = reading.profile.consents.get(key)
        return None if word is None else word.given

    return read


def open_tickets(reading: Reading) -> int:
    """Tickets that were opened in the last 14 days and are not resolved."""
    return sum(
        1
        for ticket in reading.profile.tickets.values()
        if ticket.opened_at > ticket.resolved_at
        and ticket.opened_at <= reading.now < ticket.opened_at + OPEN_TICKET_LASTS
    )


def _recency(reading: Reading) -> int | None:
    cuts = reading.calibration.cuts
    if not reading.bought.count or not cuts.recency_days:
        return None
    return rfm.recency_score((reading.now - reading.bought.last_at) // DAY, cuts)


def _frequency(reading: Reading) -> int | None:
    cuts = reading.calibration.cuts
    if not reading.bought.count or not cuts.orders:
        return None
    return rfm.frequency_score(reading.bought.count, cuts)


def _monetary(reading: Reading) -> int | None:
    cuts = reading.calibration.cuts
    if not reading.bought.count or not cuts.revenue:
        return None
    return rfm.monetary_score(reading.bought.revenue.get(reading.calibration.currency, 0), cuts)


def _state(reading: Reading) -> str | None:
    found = state(reading)
    return found.name if found is not None else None


def _average_fifth(reading: Reading) -> int | None:
    cuts, bought = reading.calibration.cuts, reading.bought
    if not bought.count or not cuts.average:
        return None
    spent = bought.revenue.get(reading.calibration.currency, 0)
    return rfm.average_score(spent / bought.count, cuts)


def _orders_a_year(reading: Reading) -> float | None:
    bought = reading.bought
    if not bought.count:
        return None
    return bought.count * 365 * DAY / max(reading.now - bought.first_at, DAY)


def _rfm_name(reading: Reading) -> str | None:
    return rfm.named(_recency(reading) or 0, _frequency(reading) or 0) or None


def _last_rating(reading: Reading) -> int | None:
    reviews = reading.profile.reviews.values()
    return max(reviews, key=lambda r: (r.at, r.rating)).rating if reviews else None


def _last_reaction(reading: Reading) -> Instant | None:
    return _some(
        max(
            (max(m.opened_at, m.clicked_at) for m in reading.profile.messages.values()),
            default=NEVER,
        )
    )


def _answer(kind: str) -> Callable[[Reading], int | None]:
    def read(reading: Reading) -> int | None:
        answer = reading.profile.answers.get(kind)
        return None if answer is None else answer.score

    return read


def _said(score: Score) -> Callable[[Reading], Value | None]:
    def read(reading: Reading) -> Value | None:
        told = reading.profile.scores.get(score.name)
        if told is None or told.value is None:
            return None
        return round(told.value) if score.type == "instant" else told.value

    return read


def _band(score: Score) -> Callable[[Reading], Value | None]:
    def read(reading: Reading) -> Value | None:
        told = reading.profile.scores.get(score.name)
        return (told.band or None) if told is not None else None

    return read


def _score_fields() -> list[Field]:
    found = []
    for score in SCORES.values():
        if not score.by_product:
            found.append(_field(f"score.{score.name}", score.type, score.doc, _said(score)))
        if score.worded:
            told = f"{score.word.capitalize()} of score.{score.name}"
            told += f": {', '.join(score.bands)}." if score.bands else "."
            found.append(_field(f"score.{score.name}_{score.word}", "text", told, _band(score)))
    return found


def score_of(field: str) -> str:
    """The score that a field tells; empty where it tells none."""
    space, _, name = field.partition(".")
    words = {f"{score.name}_{score.word}": score.name for score in SCORES.values()}
    name = words.get(name, name)
    return name if space == "score" and name in SCORES else ""


CUSTOMER_FIELDS = Fields(
    (
        Field(
            "now",
            "instant",
            "customer",
            "The instant at which the condition is read.",
            lambda r: r.now,
        ),
        _field(
            "customer.country",
            "text",
            "Two-letter country of the address.",
            lambda r: r.profile.country.value if r.profile.country else None,
        ),
        _field(
            "customer.locale",
            "text",
            "Language, for instance de or de-AT.",
            lambda r: r.profile.locale.value if r.profile.locale else None,
        ),
        _field(
            "customer.zone",
            "text",
            "Time zone that serves for this customer.",
            lambda r: r.whereabouts.zone,
        ),
        _field(
            "customer.first_seen_at",
            "instant",
            "First event of the customer.",
            lambda r: _some(r.profile.first_seen_at),
        ),
        _field(
            "customer.last_seen_at",
            "instant",
            "Latest event of the customer.",
            lambda r: _some(r.profile.last_seen_at),
        ),
        _field(
            "customer.state",
            "text",
            "frustrated, confused, inactive, satisfied or engaged: the first that a signal shows.",
            _state,
        ),
        _field(
            "orders.count",
            "number",
            "Orders that count: placed, not cancelled, not wholly returned.",
            lambda r: r.bought.count,
        ),
        _field(
            "orders.revenue",
            "number",
            "What was paid less refunds, in the customer's main currency.",
            _revenue,
        ),
        _field("orders.average", "number", "Revenue per order.", _average),
        _field(
            "orders.a_year",
            "number",
            "Orders that count per year since the first.",
            _orders_a_year,
        ),
        _field(
            "orders.first_at",
            "instant",
            "First order that counts.",
            lambda r: _some(r.bought.first_at),
        ),
        _field(
            "orders.last_at",
            "instant",
            "Latest order that counts.",
            lambda r: _some(r.bought.last_at),
        ),
        _field(
            "returns.count",
            "number",
            "Returns of the customer.",
            lambda r: len(r.profile.returns),
        ),
        _field(
            "lifecycle.stage",
            "text",
            "prospect, new, active, at_risk or lapsed, by the customer's segment.",
            lambda r: lifecycle.stage(r.bought, r.rhythm, r.now),
        ),
        _field("lifecycle.tier", "text", "new, loyal or vip.", lambda r: r.segment[0]),
        _field(
            "lifecycle.category",
            "text",
            "Top category in which most was spent.",
            lambda r: r.segment[1] or None,
        ),
        _field(
            "lifecycle.threshold_days",
            "number",
            "P90 of the days between orders in the customer's segment.",
            lambda r: r.rhythm.p90,
        ),
        _field(
            "lifecycle.lapse_date",
            "instant",
            "First instant strictly past the threshold.",
            lambda r: lifecycle.lapse_date(r.bought, r.rhythm),
        ),
        _field(
            "lifecycle.next_order_date",
            "instant",
            "When the next order is due by the customer's own rhythm.",
            lambda r: lifecycle.next_order_date(r.bought, r.rhythm),
        ),
        _field(
            "lifecycle.winback_date",
            "instant",
            "First date of the own rhythm that is strictly past the threshold.",
            lambda r: lifecycle.winback_date(r.bought, r.rhythm),
        ),
        _field("rfm.recency", "number", "1 to 5, 5 bought most recently.", _recency),
        _field("rfm.frequency", "number", "1 to 5, 5 bought most often.", _frequency),
        _field("rfm.monetary", "number", "1 to 5, 5 spent most.", _monetary),
        _field("rfm.average", "number", "1 to 5, 5 spent most on an order.", _average_fifth),
        _field("rfm.segment", "text", "Name of the recency x frequency group.", _rfm_name),
        _field(
            "consent.email",
            "boolean",
            "Whether marketing by e-mail was allowed; missing where nobody asked.",
            _consent("email/marketing"),
        ),
        _field(
            "consent.sms",
            "boolean",
            "Whether marketing by SMS was allowed.",
            _consent("sms/marketing"),
        ),
        _field("tickets.open", "number", "Support tickets open now.", open_tickets),
        _field("reviews.last_rating", "number", "Latest rating, 1 to 5.", _last_rating),
        _field(
            "reviews.count",
            "number",
            "Ratings given (the newest 20).",
            lambda r: len(r.profile.reviews),
        ),
        _field("survey.nps", "number", "Latest answer to NPS, 0 to 10.", _answer("nps")),
        _field("survey.csat", "number", "Latest answer to CSAT, 1 to 5.", _answer("csat")),
        _field(
            "looks.last_at",
            "instant",
            "When a product was last looked at.",
            lambda r: _some(r.profile.looked_at),
        ),
        _field(
            "messages.last_reaction_at",
            "instant",
            "When a message was last opened or clicked.",
            _last_reaction,
        ),
        *_score_fields(),
    )
)
