"""Which customers meet a condition, the newest first, a page at a time?

A page looks at so many customers and no more: where few meet the condition it may come back with
less than a full page and says how far it looked.
"""

import msgspec

from aftersale.kernel.ids import CustomerId
from aftersale.kernel.instants import Instant
from aftersale.models import lifecycle
from aftersale.programme.ports import Transaction
from aftersale.runtime.explaining import reading_of
from aftersale.segments.condition import Condition, compile_condition
from aftersale.segments.customer_fields import CUSTOMER_FIELDS
from aftersale.segments.fields import Field, Fields
from aftersale.segments.reading import Reading
from aftersale.segments.segment import Segment
from aftersale.turn.programme import World
from aftersale.turn.state import decode
from aftersale.web.words import amount, person_name

SHOWN = 50
LOOKED_AT = 3_000
"""Customers that one page looks at."""
_STEP = 250


class Person(msgspec.Struct, frozen=True):
    """One line of a list of customers."""

    id: CustomerId
    name: str
    email: str
    stage: str
    tier: str
    orders: int
    value: str
    last_seen_at: Instant
    next_order_at: Instant | None


class Found(msgspec.Struct, frozen=True):
    """A page of customers."""

    people: list[Person]
    looked_at: int
    before: CustomerId
    """Where the next page goes on, 0 where this was the last."""


def condition_of(text: str, segments: tuple[Segment, ...]) -> Condition:
    """The condition that a person wrote; `Refusal` with the place of a mistake."""
    named = [
        Field(one.name, "boolean", "customer", one.doc, one.condition.holds) for one in segments
    ]
    fields = Fields((*CUSTOMER_FIELDS.values(), *named))
    return compile_condition(text, fields, scopes=frozenset({"customer"}))


def find_people(
    tx: Transaction,
    world: World,
    now: Instant,
    condition: Condition | None,
    *,
    before: CustomerId = 0,
    shown: int = SHOWN,
    looked_at: int = LOOKED_AT,
) -> Found:
    """Customers with an id below `before` (0: all) who meet the condition (None: all)."""
    last = tx.identities.last()
    at = min(before - 1, last) if before else last
    chosen: list[tuple[CustomerId, Reading]] = []
    looked = 0
    while at > 0 and looked < looked_at and len(chosen) < shown:
        numbers = list(range(at, max(at - _STEP, 0), -1))
        rows = tx.states.load(numbers)
        for number in numbers:
            looked += number in rows
            at = number - 1
            if number not in rows:
                continue
            reading = reading_of(decode(rows[number].blob), world, now)
            if condition is None or condition.met(reading):
                chosen.append((number, reading))
                if len(chosen) == shown:
                    break
    personal = tx.personal.of_many([number for number, _ in chosen])
    people = [_person(number, reading, personal.get(number, {}), now) for number, reading in chosen]
    return Found(people, looked, at + 1 if at > 0 else 0)


def _person(number: CustomerId, reading: Reading, told: dict[str, object], now: Instant) -> Person:
    bought = reading.bought
    return Person(
        number,
        person_name(number, told),
        str(told.get("email") or ""),
        lifecycle.stage(bought, reading.rhythm, now),
        reading.segment[0],
        bought.count,
        amount(bought.revenue.get(bought.currency, 0), bought.currency),
        reading.profile.last_seen_at,
        lifecycle.next_order_date(bought, reading.rhythm),
    )
