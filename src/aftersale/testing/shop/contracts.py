"""Who has a box sent every month, and when do they want no more of it?"""

from aftersale.catalogue.product import Product
from aftersale.kernel.instants import DAY, HOUR, Instant, format_instant
from aftersale.testing.shop.catalogue import SUBSCRIPTIONS
from aftersale.testing.shop.diary import Diary
from aftersale.testing.shop.moments import soon
from aftersale.testing.shop.people import Person
from aftersale.testing.shop.purchases import Life
from aftersale.testing.shop.stream import Stream

_TAKE_ONE = {"refill": 0.3, "loyal": 0.3, "bargain": 0.08}
"""Share of each type of customer that takes out a contract, some time after the first order."""
_MONTH = 30 * DAY
_TRIAL = 14 * DAY
_ON_TRIAL, _FAILS, _PAUSES = 0.3, 0.07, 0.03
_ENDS = 0.025
"""Chance of an end in a month, of a customer who buys still, of average mood and after the first
three months: most contracts end early, or when nothing else is bought any more."""


def tell_contract(
    stream: Stream, person: Person, life: Life, *, diary: Diary, end: Instant
) -> None:
    """A contract from its first word to its last, where this person takes one out."""
    if person.number < 2 or not life.orders or person.account_from > 1:
        return
    if not stream.chance(_TAKE_ONE.get(person.type.name, 0.0)):
        return
    product = stream.pick(SUBSCRIPTIONS)
    at = soon(stream, life.orders[0].at + stream.between(5, 120) * DAY, person.place.zone)
    teller = _Teller(person, product, diary)
    if stream.chance(_ON_TRIAL):
        teller.say("trialing", at, at + _TRIAL)
        at += _TRIAL
        if stream.chance(0.35):
            teller.say("cancelled", at - 3 * HOUR, None)
            return
    renewals = 0
    while at < end:
        teller.say("active", at, at + _MONTH)
        over = _month(stream, person, life, teller=teller, at=at, renewals=renewals)
        if over:
            return
        at += _MONTH
        renewals += 1


def _month(
    stream: Stream, person: Person, life: Life, *, teller: "_Teller", at: Instant, renewals: int
) -> bool:
    """What happens until the next renewal; true where it is the end."""
    renews = at + _MONTH
    if stream.chance(_FAILS):
        teller.say("past_due", at + DAY, renews)
        if stream.chance(0.5):
            teller.say("ended", at + 15 * DAY, None)
            return True
        teller.say("active", at + 4 * DAY, renews)
    elif stream.chance(_PAUSES):
        teller.say("paused", at + 10 * DAY, renews)
        if stream.chance(0.4):
            teller.say("cancelled", at + 25 * DAY, None)
            return True
    gone = life.left_at is not None and at > life.left_at
    chance = _ENDS * (4.0 if renewals < 3 else 1.0) * (4.0 if gone else 1.0) * (1.7 - person.mood)
    if stream.chance(chance):
        teller.say("cancelled", at + stream.between(2, 28) * DAY, None)
        return True
    return False


class _Teller:
    """Writes what the billing tells of one contract, numbered one after the other."""

    def __init__(self, person: Person, product: Product, diary: Diary) -> None:
        self._who = person.known(account=True)
        self._name = f"S-{person.number:05d}"
        self._product = product.id
        self._diary = diary
        self._count = 0

    def say(self, status: str, at: Instant, renews_at: Instant | None) -> None:
        self._count += 1
        facts = {"subscription": self._name, "status": status, "product": self._product}
        if renews_at is not None:
            facts["renews_at"] = format_instant(renews_at)
        event_id = f"{self._name}-{self._count}"
        self._diary.note("shop", "subscription.updated", at, event_id, self._who, facts)
