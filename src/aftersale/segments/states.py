"""In which state is this customer just now, and which signals show it?

Five states, each asking for another treatment: a frustrated customer for a person, a confused one
for help, an inactive one for a reason to come back, a satisfied one for thanks, an engaged one for
news. The first that fits counts, in that order; where nothing tells, there is none.
"""

from collections.abc import Callable, Iterator

import msgspec

from aftersale.kernel.instants import DAY, Duration, Instant
from aftersale.segments.reading import Reading

UNRESOLVED: Duration = 2 * DAY
"""How long a ticket may be open before it frustrates."""
BAD, GOOD = 2, 4
"""Ratings and CSAT up to the one, and from the other on."""
DETRACTS, PROMOTES = 6, 9
"""NPS up to the one, and from the other on."""
RECENT: Duration = 30 * DAY
FRESH: Duration = 14 * DAY
SILENT: Duration = 60 * DAY
LASTING: Duration = 180 * DAY
"""How long an opinion says something of the present."""


class State(msgspec.Struct, frozen=True):
    """A state and the signals that show it, in plain words."""

    name: str
    evidence: tuple[str, ...]


def state(reading: Reading) -> State | None:
    """The first state that any signal shows; None where nothing tells."""
    for name, signals in STATES.items():
        evidence = tuple(signals(reading))
        if evidence:
            return State(name, evidence)
    return None


def _within(at: Instant, reading: Reading, span: Duration) -> bool:
    return 0 < at <= reading.now < at + span


def _days(at: Instant, reading: Reading) -> str:
    days = (reading.now - at) // DAY
    return "today" if days == 0 else f"{days} day{'' if days == 1 else 's'} ago"


def _opinions(reading: Reading, span: Duration) -> Iterator[tuple[Instant, float, str]]:
    """(when, 1 to 5, in words) of what was said within the span."""
    profile = reading.profile
    for review in profile.reviews.values():
        if _within(review.at, reading, span):
            yield review.at, review.rating, f"a rating of {review.rating}"
    for kind, answer in profile.answers.items():
        if _within(answer.at, reading, span) and kind in {"csat", "nps"}:
            level = answer.score if kind == "csat" else _promoter(answer.score)
            yield answer.at, level, f"an answer of {answer.score} to {kind.upper()}"


def _promoter(score: int) -> int:
    """NPS as a rating: what detracts is bad, what promotes is good."""
    if score <= DETRACTS:
        return BAD
    return GOOD if score >= PROMOTES else (BAD + GOOD) // 2


def _frustrated(reading: Reading) -> Iterator[str]:
    profile, now = reading.profile, reading.now
    tickets = [t for t in profile.tickets.values() if 0 < t.opened_at <= now]
    for ticket in tickets:
        still_open = ticket.opened_at > ticket.resolved_at and _within(
            ticket.opened_at, reading, RECENT
        )
        if still_open and now >= ticket.opened_at + UNRESOLVED:
            yield f"a ticket opened {_days(ticket.opened_at, reading)} is not resolved"
    recent = sum(_within(ticket.opened_at, reading, RECENT) for ticket in tickets)
    if recent > 1:
        yield f"{recent} tickets in {RECENT // DAY} days"
    for at, level, words in _opinions(reading, RECENT):
        if level <= BAD:
            yield f"{words}, {_days(at, reading)}"
    for order in profile.orders.values():
        for parcel in order.parcels.values():
            late = 0 < parcel.promised_at < now and not parcel.delivered_at
            if late and not order.cancelled_at and _within(parcel.promised_at, reading, RECENT):
                yield f"a parcel was promised {_days(parcel.promised_at, reading)} and has not come"


def _confused(reading: Reading) -> Iterator[str]:
    for ticket in reading.profile.tickets.values():
        if _within(ticket.opened_at, reading, FRESH):
            about = f" about {ticket.category}" if ticket.category else ""
            yield f"a ticket{about}, opened {_days(ticket.opened_at, reading)}"


def _inactive(reading: Reading) -> Iterator[str]:
    seen = reading.profile.last_seen_at
    if seen and reading.now >= seen + SILENT:
        yield f"last seen {_days(seen, reading)}"


def _satisfied(reading: Reading) -> Iterator[str]:
    said = sorted(_opinions(reading, LASTING))
    if said and said[-1][1] >= GOOD:
        at, _, words = said[-1]
        yield f"{words}, {_days(at, reading)}, the latest word"


def _engaged(reading: Reading) -> Iterator[str]:
    profile = reading.profile
    reacted = max((max(m.opened_at, m.clicked_at) for m in profile.messages.values()), default=0)
    for at, what in (
        (reading.bought.last_at, "bought"),
        (profile.basket_at, "filled a basket"),
        (profile.looked_at, "looked at products"),
        (reacted, "opened or clicked a message"),
    ):
        if _within(at, reading, FRESH):
            yield f"{what} {_days(at, reading)}"


STATES: dict[str, Callable[[Reading], Iterator[str]]] = {
    "frustrated": _frustrated,
    "confused": _confused,
    "inactive": _inactive,
    "satisfied": _satisfied,
    "engaged": _engaged,
}
"""State → the signals that show it, in words; the first with any counts."""
