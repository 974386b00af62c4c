"""Who would get what next, and what changes when an installation goes live?

The projection advances copies of the customers' states up to a horizon without any new event:
it is the code that will decide, so what it shows is what happens if nobody does anything.
"""

from collections.abc import Sequence

import msgspec

from aftersale.delivery.ports import QUEUED
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, WEEK, Duration, Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.sending import LIVE, MODES, TEST
from aftersale.runtime.worlds import Worlds
from aftersale.turn.advance import Outcome, advance
from aftersale.turn.programme import World
from aftersale.turn.state import decode

HORIZONS = (DAY, WEEK)
PAGE = 5_000


class Count(msgspec.Struct):
    """Messages of one journey, and to how many people."""

    messages: int = 0
    people: int = 0


class Projection(msgspec.Struct):
    """What goes out within a time if nothing else happens."""

    within: Duration
    messages: int = 0
    people: int = 0
    journeys: dict[str, Count] = {}


def project(
    tx: Transaction,
    world: World,
    now: Instant,
    horizons: Sequence[Duration] = HORIZONS,
    *,
    everybody: bool = False,
) -> list[Projection]:
    """One projection for each horizon, ascending; messages that wait already are in all.

    `everybody`: wake every customer now, as the turn after a deploy does.
    """
    found = [Projection(within) for within in sorted(horizons)]
    reached: list[set[int]] = [set() for _ in found]
    until = now + found[-1].within
    for send in tx.outbox.in_state(QUEUED, limit=1_000_000):
        for projection, people in zip(found, reached, strict=True):
            _add(projection, people, send.journey, send.customer, new=True)
    after = 0
    while rows := tx.states.page(after, PAGE):
        after = rows[-1].customer
        for row in rows:
            due = row.wakes_at
            if everybody:
                due = min(now, due) if due is not None else now
            if due is None or due > until:
                continue
            outcome = advance(
                row.customer, decode(row.blob), (), world, now=until, own=True, woken_at=due
            )
            for projection, people in zip(found, reached, strict=True):
                _count(projection, people, row.customer, outcome, now + projection.within)
    return found


def _count(
    projection: Projection, people: set[int], customer: int, outcome: Outcome, until: Instant
) -> None:
    decided = {decision.seq: decision.now for decision in outcome.decisions}
    mine: set[str] = set()
    for seq, intent, _ in outcome.intents:
        if decided[seq] <= until:
            new = intent.journey not in mine
            mine.add(intent.journey)
            _add(projection, people, intent.journey, customer, new=new)


def _add(
    projection: Projection, people: set[int], journey: str, customer: int, *, new: bool
) -> None:
    projection.messages += 1
    people.add(customer)
    projection.people = len(people)
    count = projection.journeys.setdefault(journey, Count())
    count.messages += 1
    count.people += new


def set_mode(tx: Transaction, worlds: Worlds, mode: str, now: Instant) -> None:
    """Put the installation into a mode; going live begins the throttled first day."""
    if mode not in MODES:
        raise Refusal(f"{mode!r} is no mode", hint=f"one of {', '.join(MODES)}", code=2)
    if mode == TEST:
        shop = worlds.compiled(tx, worlds.newest(tx)).shop
        if not shop.test_addresses:
            raise Refusal(
                "no address is listed for a test",
                where="aftersale.toml",
                hint='write addresses = ["you@example.com"] under [test], then aftersale deploy',
            )
        tx.meta.set("test_addresses", [address.lower() for address in shop.test_addresses])
    if mode == LIVE:
        tx.meta.set("live_since", now)
        tx.meta.set("expected_hour", (tx.meta.get("backtest") or {}).get("busiest_hour") or {})
        tx.meta.set("tripped", {})
    tx.meta.set("mode", mode)
