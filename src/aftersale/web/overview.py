"""How is the shop doing today, and what needs a person?"""

from collections import defaultdict

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from aftersale.delivery.ports import UNKNOWN
from aftersale.kernel.instants import DAY, HOUR, Instant
from aftersale.programme.ports import Transaction
from aftersale.runtime.doctor import oldest_unread
from aftersale.runtime.sending import REHEARSE, STOPPED, mode_of
from aftersale.runtime.verifying import latest_check
from aftersale.turn.ports import DecisionRow
from aftersale.turn.words import reason_words
from aftersale.web.census import Census
from aftersale.web.charts import Bar, bars
from aftersale.web.pages import Pages, as_json, pages_of
from aftersale.web.words import STAGE_TITLES, is_healthy, many, span


class Need(msgspec.Struct, frozen=True):
    """Something that a person should do or look at."""

    urgent: bool
    what: str
    hint: str
    address: str = ""


class JourneyRow(msgspec.Struct, frozen=True):
    """One journey in numbers."""

    name: str
    title: str
    version: int
    paused: bool
    begun: int
    sent: int
    held_back: int
    left_out: int
    """Messages not sent because the customer is in the holdout."""
    waiting: int


class Stage(msgspec.Struct, frozen=True):
    """One part of the lifecycle bar."""

    name: str
    count: int
    share: float
    offset: float


class Overview(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    now: Instant
    mode: str
    census: Census
    census_age: int
    stages: list[Stage]
    messages: int
    messages_before: int
    held_back: int
    held_back_before: int
    needs: list[Need]
    journeys: list[JourneyRow]
    reasons: list[Bar]
    caught: int


def overview(request: Request) -> Response:
    """The first page."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        view = overview_of(pages, tx)
        return pages.framed(request, tx, "overview.html", section="overview", view=view)


def overview_json(request: Request) -> Response:
    """The same for programs."""
    pages = pages_of(request)
    with pages.app.store.read() as tx:
        return as_json(overview_of(pages, tx))


def overview_of(pages: Pages, tx: Transaction) -> Overview:
    """What the page shows."""
    now = pages.app.now(tx)
    census = pages.census(tx, now)
    week = tx.decisions.counts(since=now - 7 * DAY, until=now + 1)
    before = tx.decisions.counts(since=now - 14 * DAY, until=now - 7 * DAY)
    sent = sum(tx.outbox.sent_since(now - 7 * DAY).values())
    return Overview(
        now=now,
        mode=mode_of(tx),
        census=census,
        census_age=pages.app.system_now() - census.counted_at,
        stages=_stages(census),
        messages=sent,
        messages_before=sum(tx.outbox.sent_since(now - 14 * DAY).values()) - sent,
        held_back=_number(week, "hold"),
        held_back_before=_number(before, "hold"),
        needs=needs_of(pages, tx, now),
        journeys=journey_rows(pages, tx, census, now),
        reasons=reason_bars(week),
        caught=tx.mailbox.total(),
    )


def _number(rows: list[DecisionRow], kind: str) -> int:
    return sum(row.count for row in rows if row.kind == kind)


def _stages(census: Census) -> list[Stage]:
    total = sum(census.stages.values()) or 1
    stages, offset = [], 0.0
    for name in STAGE_TITLES:
        count = census.stages.get(name, 0)
        stages.append(Stage(name, count, count / total, offset))
        offset += count / total
    return stages


def reason_bars(rows: list[DecisionRow]) -> list[Bar]:
    """Messages held back by reason, as bars."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        if row.kind == "hold":
            counts[row.reason] += row.count
    return bars(
        [
            (reason_words(reason), count, is_healthy(reason), reason)
            for reason, count in counts.items()
        ]
    )


def journey_rows(
    pages: Pages, tx: Transaction, census: Census, now: Instant, *, days: int = 30
) -> list[JourneyRow]:
    """The journeys in force with their numbers of the last days."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for row in tx.decisions.counts(since=now - days * DAY, until=now + 1):
        if not (row.kind == "start" and row.reason == "moved"):
            counts[row.journey, row.kind] += row.count
    return [
        JourneyRow(
            name,
            journey.title or name,
            journey.version,
            journey.paused,
            counts[name, "start"],
            counts[name, "send"],
            counts[name, "hold"],
            counts[name, "would-send"],
            sum(census.waiting.get(name, {}).values()),
        )
        for name, journey in pages.world(tx).programme.journeys.items()
    ]


def needs_of(pages: Pages, tx: Transaction, now: Instant) -> list[Need]:
    """What a person should look at, the urgent first."""
    found = []
    mode = mode_of(tx)
    if mode == REHEARSE:
        what = "Nothing is sent: this installation rehearses"
        hint = "Read what would go out in the mailbox. To go live: aftersale live"
        found.append(Need(urgent=False, what=what, hint=hint, address="/mailbox"))
    if mode == STOPPED:
        hint = "aftersale live   sends again; what became useless meanwhile is dropped"
        found.append(Need(urgent=True, what="Sending is stopped", hint=hint))
    for journey in sorted(tx.meta.get("tripped") or {}):
        what = f"{journey} was stopped: it sent far more than its backtest"
        hint = "Look at what it sent; aftersale live   lets it go on"
        found.append(Need(urgent=True, what=what, hint=hint, address=f"/journeys/{journey}"))
    checked = latest_check(tx)
    if checked is not None and checked.broken:
        what = f"What must always hold does not: {', '.join(checked.broken)}"
        hint = "aftersale verify   lists where. Stop sending until you know why: aftersale stop"
        found.append(Need(urgent=True, what=what, hint=hint, address="/health"))
    unknown = tx.outbox.in_state(UNKNOWN, limit=1_000)
    if unknown:
        what = f"Of {many(len(unknown), 'message')} nobody can say whether they went out"
        hint = "A crash came between sending and noting it; they are not sent again by themselves"
        found.append(Need(urgent=True, what=what, hint=hint, address="/health"))
    conflicts = tx.ledger.conflicts(limit=100)
    if conflicts:
        count = f"{len(conflicts)}{'+' if len(conflicts) == 100 else ''}"
        what = f"{count} events were told twice, with different contents"
        hint = "The first telling stands. See which source repeats its ids"
        found.append(Need(urgent=False, what=what, hint=hint, address="/health"))
    oldest = oldest_unread(tx)
    if oldest is not None:
        what = f"Events wait to be read, the oldest for {span(max(now - oldest, 0))}"
        late = now - oldest > HOUR
        hint = "aftersale worker   reads them" if late else "The worker reads them next"
        found.append(Need(urgent=late, what=what, hint=hint, address="/health"))
    return sorted(found, key=lambda need: not need.urgent)
