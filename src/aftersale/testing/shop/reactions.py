"""How do customers show whether they are content?"""

from aftersale.kernel.instants import DAY, HOUR, MINUTE, Instant
from aftersale.testing.shop.diary import Diary
from aftersale.testing.shop.moments import at_work, leisure, soon
from aftersale.testing.shop.people import Person
from aftersale.testing.shop.purchases import Order
from aftersale.testing.shop.stream import Stream
from aftersale.testing.shop.words import remark, review, ticket

_HOME = "Europe/Berlin"
_BOUNDS = (0.22, 0.38, 0.52, 0.72)


def tell_reactions(stream: Stream, person: Person, order: Order, diary: Diary) -> None:
    """Looks at the tracking page, tickets, a review, an answer to the survey."""
    account = order.index >= person.account_from
    who = person.known(account=account)
    _tracking(stream, person, order, diary=diary, who=who)
    _tickets(stream, person, order, diary)
    arrived = order.fulfilment.last_arrival
    if arrived is not None:
        _review(stream, person, order, diary=diary, who=who, arrived=arrived)
        _survey(stream, person, order, diary=diary, who=who, arrived=arrived)


def _tracking(
    stream: Stream, person: Person, order: Order, *, diary: Diary, who: dict[str, str]
) -> None:
    """Once or twice out of curiosity, and once a day out of worry."""
    seen: list[Instant] = []
    for parcel in order.fulfilment.parcels:
        until = parcel.delivered_at or parcel.promised_at + 5 * DAY
        for _ in range(stream.weighted((0, 1, 2, 3), (45, 30, 17, 8))):
            at = parcel.shipped_at + int(stream.real() * (until - parcel.shipped_at))
            seen.append(min(soon(stream, at, person.place.zone), until))
        worry = parcel.promised_at + 2 * HOUR
        while worry < until:
            if stream.chance(0.65):
                seen.append(min(soon(stream, worry, person.place.zone), until))
            worry += DAY
    for count, at in enumerate(sorted(seen), 1):
        facts = {"order": order.number}
        diary.note("web", "tracking.viewed", at, f"t-{order.number}-{count}", who, facts)


def _tickets(stream: Stream, person: Person, order: Order, diary: Diary) -> None:
    asked = _question(stream, person, order)
    if asked is None:
        return
    category, after = asked
    at = soon(stream, after, person.place.zone)
    number = f"T-{order.number}"
    who = {"email": person.email, "name": person.name}
    facts = {"ticket": number, "order": order.number, "category": category}
    text = ticket(stream, person.language, category, order.number)
    opening = facts | {"text": text, "subject": f"{category}: {order.number}"}
    diary.note("helpdesk", "support.ticket_created", at, f"{number}-created", who, opening)
    solved = at_work(stream, at + int(14 * HOUR * stream.exponential()) + 20 * MINUTE, _HOME)
    diary.note("helpdesk", "support.ticket_resolved", solved, f"{number}-resolved", who, facts)
    if stream.chance(0.2):
        score = min(_rating(stream, order.content) + stream.between(0, 2), 5)
        answer = {
            "survey": f"csat-{number}",
            "kind": "csat",
            "score": score,
            "order": order.number,
        }
        later = soon(stream, solved + 3 * HOUR, person.place.zone)
        diary.note("helpdesk", "survey.answered", later, f"{number}-csat", who, answer)


def _question(stream: Stream, person: Person, order: Order) -> tuple[str, Instant] | None:
    """What is asked, and when at the earliest."""
    for parcel in order.fulfilment.parcels:
        share = 0.8 if parcel.delivered_at is None else 0.28 if parcel.late else 0.0
        if stream.chance(share) or (parcel.late and person.fated(order.index, "asked")):
            return "delivery", parcel.promised_at + stream.between(3, 40) * HOUR
    if order.fulfilment.returned is not None and stream.chance(0.3):
        return "return", order.fulfilment.returned_at - 6 * HOUR
    arrived = order.fulfilment.last_arrival
    if arrived is not None and stream.chance(0.018):
        return "product", arrived + stream.between(6, 500) * HOUR
    return None


def _review(
    stream: Stream,
    person: Person,
    order: Order,
    *,
    diary: Diary,
    who: dict[str, str],
    arrived: Instant,
) -> None:
    rating = _rating(stream, order.content)
    share = (0.16, 0.1, 0.05, 0.06, 0.11)[rating - 1]
    if not stream.chance(share) and not person.fated(order.index, "reviewed"):
        return
    product = stream.pick(order.lines).product
    days = 2 + int((product.time_to_value_days + 4) * (0.5 + stream.real()))
    facts = {
        "review": f"rev-{order.number}",
        "order": order.number,
        "product": product.id,
        "rating": rating,
        "text": review(stream, person.language, rating, product),
        "author": person.name,
    }
    at = leisure(stream, arrived + days * DAY, person.place.zone)
    diary.note("shop", "review.submitted", at, f"v-{order.number}", who, facts)


def _survey(
    stream: Stream,
    person: Person,
    order: Order,
    *,
    diary: Diary,
    who: dict[str, str],
    arrived: Instant,
) -> None:
    """Would you recommend us, 0 to 10: about one in sixteen answers."""
    if not stream.chance(0.06) and not person.fated(order.index, "surveyed"):
        return
    score = min(max(int(order.content * 11 + stream.real() * 2 - 0.6), 0), 10)
    facts = {
        "survey": f"nps-{order.number}",
        "kind": "nps",
        "score": score,
        "order": order.number,
        "comment": remark(stream, person.language, 1 + score * 4 // 10),
    }
    at = leisure(stream, arrived + 13 * DAY, person.place.zone)
    diary.note("shop", "survey.answered", at, f"n-{order.number}", who, facts)


def _rating(stream: Stream, content: float) -> int:
    """One to five stars for what was experienced, with a little whim."""
    felt = content + 0.16 * (stream.real() - 0.5)
    return 1 + sum(felt > bound for bound in _BOUNDS)
