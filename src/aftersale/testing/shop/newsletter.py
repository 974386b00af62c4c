"""What did the shop's old newsletter do, and how did people take it?"""

from aftersale.kernel.instants import DAY, HOUR, MINUTE, SECOND, Instant, as_datetime
from aftersale.testing.shop.diary import Diary
from aftersale.testing.shop.moments import soon
from aftersale.testing.shop.people import Person
from aftersale.testing.shop.purchases import Life
from aftersale.testing.shop.stream import Stream

_EVERY = 14 * DAY
_LEAVES, _COMPLAINS, _BOUNCES = 0.01, 0.0006, 0.002


def campaigns(start: Instant, end: Instant) -> tuple[tuple[Instant, str], ...]:
    """When each newsletter left, every second week at six in the morning, and its name."""
    first = (start // DAY + 3) * DAY + 6 * HOUR
    return tuple((at, f"old-news-{as_datetime(at):%Y-%m-%d}") for at in range(first, end, _EVERY))


def tell_newsletter(
    stream: Stream,
    person: Person,
    life: Life,
    *,
    diary: Diary,
    letters: tuple[tuple[Instant, str], ...],
) -> None:
    """Consent, what was sent, and what came back."""
    if not person.consent or not life.orders:
        return
    given = _consent(stream, person, diary)
    fated = next((o.at for o in life.orders if person.fated(o.index, "unsubscribed")), None)
    for at, name in letters:
        if at <= given:
            continue
        gone = life.left_at is not None and at > life.left_at
        leaves = fated is not None and at > fated
        if _mail(
            stream,
            person,
            diary=diary,
            at=at + person.number % 3000 * SECOND,
            name=name,
            gone=gone,
            leaves=leaves,
        ):
            return


def _consent(stream: Stream, person: Person, diary: Diary) -> Instant:
    """A soft opt-in comes with the order; a double one when the mail is answered."""
    soft = person.consent == "soft-opt-in"
    delay = 2 * SECOND if soft else stream.between(3, 180) * MINUTE
    at = person.first_order_at + delay
    facts = {"channel": "email", "purpose": "marketing", "basis": person.consent}
    who = person.known(account=person.account_from == 0) if soft else {"email": person.email}
    source = "shop" if soft else "newsletter"
    diary.note(source, "consent.given", at, f"c-{person.number:05d}", who, facts)
    return at


def _mail(
    stream: Stream,
    person: Person,
    *,
    diary: Diary,
    at: Instant,
    name: str,
    gone: bool,
    leaves: bool,
) -> bool:
    """One newsletter; true where it was the last."""
    message = f"{name}-{person.number:05d}"
    who = {"email": person.email}
    facts = {"message": message, "channel": "email"}

    def note(what: str, when: Instant, **more: str) -> None:
        diary.note("newsletter", f"message.{what}", when, f"{message}-{what}", who, facts | more)

    note("sent", at)
    if stream.chance(_BOUNCES) and person.number > 1:
        note("bounced", at + 40 * SECOND, kind="hard")
        return True
    if person.prefetched:
        note("opened", at + stream.between(5, 600) * SECOND)
    opens = stream.chance(person.opens * (0.5 if gone else 1.0))
    if not opens and not leaves:
        return False
    read = soon(stream, at + 10 * MINUTE, person.place.zone)
    if not person.prefetched:
        note("opened", read)
    if stream.chance(0.14):
        note("clicked", read + stream.between(8, 60) * SECOND)
    if stream.chance(_COMPLAINS):
        note("complained", read + 20 * SECOND)
        return True
    if leaves or stream.chance(_LEAVES / person.opens * 0.4 if person.number else 0.0):
        note("unsubscribed", read + 30 * SECOND)
        withdrawn = {"channel": "email", "purpose": "marketing"}
        event_id = f"cw-{person.number:05d}"
        diary.note("newsletter", "consent.withdrawn", read + 31 * SECOND, event_id, who, withdrawn)
        return True
    return False
