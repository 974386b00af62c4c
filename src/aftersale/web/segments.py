"""Which groups did the merchant name, how large are they, and who uses them?"""

from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from aftersale.journeys.definition import Branch, Journey, Send, Wait, Watch
from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant
from aftersale.programme.ports import Transaction
from aftersale.segments.customer_fields import CUSTOMER_FIELDS
from aftersale.segments.segment import SPACE, Segment
from aftersale.turn.programme import World
from aftersale.web.census import Census, Counting
from aftersale.web.figures import people
from aftersale.web.pages import Pages, Shown
from aftersale.web.people import Person, condition_of, find_people
from aftersale.web.period import number_of
from aftersale.web.plots import line_svg
from aftersale.web.sizes import sizes_over_time
from aftersale.web.words import grouped

SAMPLE = 12
TRIED = 3_000
"""Customers that a condition is tried on while it is written."""


class SegmentRow(msgspec.Struct, frozen=True):
    """One segment of the list."""

    name: str
    word: str
    """Its name without the space in front."""
    doc: str
    where: str
    count: int
    share: float
    """Of all customers."""
    people: str
    used_by: str


class Shared(msgspec.Struct, frozen=True):
    """How many are in this segment and in another."""

    segment: str
    count: int
    share: float
    """Of this segment."""


class Size(msgspec.Struct, frozen=True):
    """How large a segment was on one day."""

    day: str
    count: int


class Segments(msgspec.Struct, frozen=True):
    """Everything on the page; the same as JSON."""

    counting: Counting
    segments: list[SegmentRow]


class SegmentView(msgspec.Struct, frozen=True):
    """Everything on the page of one segment; the same as JSON."""

    row: SegmentRow
    counting: Counting
    terms: list[tuple[str, str]]
    """Fields that it reads, and what each is."""
    overlaps: list[Shared]
    sizes: list[Size]
    svg: str
    sample: list[Person]


class Trial(msgspec.Struct, frozen=True):
    """A condition that is being written, tried on customers."""

    name: str
    where: str
    problem: str
    hint: str
    tried: int
    met: int
    everybody: bool
    """Whether all customers were tried, so that the count is exact."""
    low: int
    high: int
    """Bounds of the count of all, nineteen times of twenty."""
    sample: list[Person]
    text: str
    """As it stands in the file."""
    fields: list[tuple[str, str]]


def segments(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """All segments."""
    counting, world, named = _known(pages, tx)
    rows = [_row(one, world, counting.census) for one in named]
    return Shown("segments.html", "segments", Segments(counting, rows), ("segments",))


def segment(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """One segment."""
    counting, world, named = _known(pages, tx)
    asked = f"{SPACE}.{request.path_params['name']}"
    found = next((one for one in named if one.name == asked), None)
    if found is None:
        raise HTTPException(404, f"The programme names no segment {request.path_params['name']}.")
    row = _row(found, world, counting.census)
    sizes = [
        Size(day, counts[asked]) for day, counts in sizes_over_time(tx).items() if asked in counts
    ]
    drawn = [(number_of(size.day), size.count) for size in sizes]
    sample = find_people(tx, world, pages.app.now(tx), found.condition, shown=SAMPLE)
    view = SegmentView(
        row,
        counting,
        _terms(found),
        _overlaps(asked, counting.census),
        sizes,
        line_svg(f"Size of {row.word}", drawn, grouped) if len(drawn) > 1 else "",
        sample.people,
    )
    return Shown("segment.html", "segments", view, ("overlaps", "sizes", "sample"))


def try_segment(pages: Pages, tx: Transaction, request: Request) -> Shown:
    """A condition that is being written: its mistakes, or whom it would hold."""
    name = request.query_params.get("name", "").strip()[:60]
    where = request.query_params.get("where", "").strip()
    world = pages.world(tx)
    named = pages.app.worlds.compiled(tx, world.programme.version).segments
    now = pages.app.now(tx)
    trial = _tried(tx, world, named, now, name, where)
    return Shown("segment_try.html", "segments", trial, ("sample",))


def _known(pages: Pages, tx: Transaction) -> tuple[Counting, World, tuple[Segment, ...]]:
    world = pages.world(tx)
    named = pages.app.worlds.compiled(tx, world.programme.version).segments
    return pages.census(tx, pages.app.now(tx)), world, named


def _row(one: Segment, world: World, census: Census) -> SegmentRow:
    count = census.segments.get(one.name, 0)
    return SegmentRow(
        one.name,
        one.name.partition(".")[2],
        one.doc,
        one.condition.text,
        count,
        count / census.customers if census.customers else 0.0,
        people(one.name),
        ", ".join(
            name for name, journey in world.programme.journeys.items() if _reads(journey, one.name)
        ),
    )


def _reads(journey: Journey, name: str) -> bool:
    """Whether any condition of the journey looks at the segment."""
    return any(name in condition.names for condition in _conditions(journey))


def _conditions(journey: Journey) -> list[Any]:
    watches: list[Watch | None] = [*journey.exits, journey.start.on]
    found = [journey.start.condition]
    if journey.goal is not None:
        watches.append(journey.goal.watch)
    for step in journey.steps:
        match step:
            case Branch():
                found += [condition for condition, _ in step.arms]
            case Send():
                watches.append(step.unless)
                found.append(step.condition)
            case Wait():
                watches.append(step.until)
            case _:
                pass
    found += [watch.condition for watch in watches if watch is not None]
    return [condition for condition in found if condition is not None]


def _terms(one: Segment) -> list[tuple[str, str]]:
    return [
        (name, CUSTOMER_FIELDS[name].doc)
        for name in sorted(one.condition.names)
        if name in CUSTOMER_FIELDS
    ]


def _overlaps(name: str, census: Census) -> list[Shared]:
    mine = census.segments.get(name, 0) or 1
    found = []
    for pair in census.overlaps:
        if name in {pair.one, pair.other}:
            other = pair.other if pair.one == name else pair.one
            found.append(Shared(other, pair.count, pair.count / mine))
    return found


def _tried(
    tx: Transaction,
    world: World,
    named: tuple[Segment, ...],
    now: Instant,
    name: str,
    where: str,
) -> Trial:
    problem = hint = text = ""
    sample: list[Person] = []
    tried = met = low = high = 0
    everybody = False
    if where:
        try:
            condition = condition_of(where, named)
        except Refusal as refusal:
            problem = ", ".join(part for part in (refusal.what, refusal.where, refusal.why) if part)
            hint = refusal.hint
        else:
            found = find_people(tx, world, now, condition, shown=TRIED, looked_at=TRIED)
            tried, met = found.looked_at, len(found.people)
            sample = found.people[:SAMPLE]
            everybody = not found.before
            low, high = bounds(met, tried, tx.states.count())
            text = f"{name or 'my_segment'}:\n  where: {_quoted(where)}\n  doc: What it is for.\n"
    fields = [(field.name, field.doc) for field in CUSTOMER_FIELDS.values()]
    fields += [(one.name, one.doc) for one in named]
    return Trial(name, where, problem, hint, tried, met, everybody, low, high, sample, text, fields)


def bounds(met: int, tried: int, everybody: int) -> tuple[int, int]:
    """How many of all meet it, by those tried: Wilson's interval (1927), nineteen of twenty."""
    if not tried:
        return 0, everybody
    z = 1.96
    share = met / tried
    middle = share + z * z / (2 * tried)
    spread = z * (share * (1 - share) / tried + z * z / (4 * tried * tried)) ** 0.5
    low, high = ((middle + sign * spread) / (1 + z * z / tried) for sign in (-1, 1))
    return round(max(low, 0) * everybody), round(min(high, 1) * everybody)


def _quoted(where: str) -> str:
    """The condition as YAML: in double quotes, so that nothing in it means anything else."""
    return msgspec.json.encode(where).decode()
