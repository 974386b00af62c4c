"""What is a journey, once it has been read and checked?

The merchant's steps form a tree; here they are a flat graph: each step knows the index of the
next, and a branch the first step of each of its arms.
"""

import re
from collections.abc import Iterator

import msgspec
from msgspec.structs import force_setattr

from aftersale.kernel.instants import DAY, Duration
from aftersale.segments.condition import Condition
from aftersale.segments.reading import Reading

END = -1
"""Index after the last step."""


_JOINS = {
    ("line.product", "run.product"): "product",
    ("event.product", "run.product"): "product",
    ("event.order", "run.order"): "order",
}
_OTHER_WORDS = re.compile(r"\b(or|not|case)\b|[()]", re.IGNORECASE)


class Watch(msgspec.Struct, frozen=True):
    """An event that is waited for or feared."""

    types: tuple[str, ...]
    condition: Condition | None = None
    by: str = ""
    """product or order, where the condition asks for the run's own: found without reading it."""
    only: bool = False
    """Whether that is all it asks for."""
    lines: bool = False
    """Whether the condition names a field of the event's lines."""

    def __post_init__(self) -> None:
        """Find out what the condition hangs on."""
        if self.condition is None:
            return
        parts = re.split(r"\band\b", self.condition.text, flags=re.IGNORECASE)
        joins = [found for part in parts if (found := _join(part))]
        if joins and not _OTHER_WORDS.search(self.condition.text):
            force_setattr(self, "by", joins[0])
            force_setattr(self, "only", len(parts) == 1)
        force_setattr(self, "lines", reads_lines(self.condition))


def reads_lines(condition: Condition) -> bool:
    """Whether the condition names a field of the event's lines."""
    return any(name.startswith("line.") for name in condition.names)


def _join(part: str) -> str:
    left, equals, right = (word.strip() for word in part.partition("="))
    return _JOINS.get((left, right), "") or _JOINS.get((right, left), "") if equals else ""


class Start(msgspec.Struct, frozen=True):
    """What begins a run: an event, or a date of the customer."""

    on: Watch | None = None
    fresh: Duration = 3 * DAY
    """Events older than this, when they arrive, start nothing."""
    at: str = ""
    """Name of a field of type instant."""
    condition: Condition | None = None
    """Of a date: judged when it comes."""


class Goal(msgspec.Struct, frozen=True):
    """The event that the journey is for; it ends the run."""

    watch: Watch
    within: Duration = 30 * DAY


class Benefit(msgspec.Struct, frozen=True):
    """What a message gives to the customer, and what shows that it does for this one."""

    kind: str
    """information, experience or recommendation."""
    text: str
    evidence: Condition | None = None
    """A condition, or a field alone that must have a value above nothing."""


class Wait(msgspec.Struct, frozen=True, tag=True):
    """Stand still: for a time, until an event, until a date that may move, until a wall time."""

    id: str
    next: int
    line: int = 0
    delay: Duration = 0
    until: Watch | None = None
    timeout: Duration = 0
    date: str = ""
    """Name of a field of type instant."""
    before: Duration = 0
    before_field: str = ""
    """Name of a field of type duration that says how long before the date."""
    minute: int = -1
    """Minute of the day on the customer's clock, -1 where no wall time is asked."""


class Send(msgspec.Struct, frozen=True, tag=True):
    """Say something, if every gate allows it."""

    id: str
    next: int
    template: str
    line: int = 0
    purpose: str = "marketing"
    channel: str = "email"
    value: float = 0.0
    """Expected worth in major units of the shop's currency, where no field says it."""
    value_field: str = ""
    benefit: Benefit | None = None
    unless: Watch | None = None
    condition: Condition | None = None
    useful: Duration = 7 * DAY
    helpful: bool = False
    """Helpful content keeps a share of the customer's attention."""


class Task(msgspec.Struct, frozen=True, tag=True):
    """Ask a person to do something."""

    id: str
    next: int
    name: str
    line: int = 0
    owner: str = ""
    due: Duration = 2 * DAY


class Branch(msgspec.Struct, frozen=True, tag=True):
    """Go the first way whose condition is met, else on."""

    id: str
    next: int
    arms: tuple[tuple[Condition | None, int], ...]
    line: int = 0


class Exit(msgspec.Struct, frozen=True, tag=True):
    """Leave the journey."""

    id: str
    next: int
    reason: str = "exit-step"
    line: int = 0


Step = Wait | Send | Task | Branch | Exit


class Journey(msgspec.Struct, frozen=True):
    """One version of a journey."""

    name: str
    version: int
    about: str
    """order, parcel, product or customer."""
    start: Start
    steps: tuple[Step, ...]
    lineage: str = ""
    """Stays when the journey is renamed: keys of messages and arms are made of it."""
    title: str = ""
    key: str = ""
    """Field of the starting event that names what a run is about, where `about` is not enough."""
    goal: Goal | None = None
    exits: tuple[Watch, ...] = ()
    reentry: Duration | None = 0
    """How long after a run began another may begin for the same key; None: never."""
    holdout: float | None = None
    """Share of customers that this journey leaves out; None: the policy's."""
    in_flight: str = "keep"
    """keep: runs finish on the version they began with; migrate: they move to this one."""
    paused: bool = False
    first: int = 0
    text_digest: str = ""

    def watches(self) -> list[Watch]:
        """The events that can matter to a run of this journey, besides its start."""
        watches = [self.goal.watch] if self.goal else []
        watches += self.exits
        for step in self.steps:
            match step:
                case Wait(until=Watch() as watch) | Send(unless=Watch() as watch):
                    watches.append(watch)
                case _:
                    pass
        return watches

    def listens(self) -> set[str]:
        """Types of event that begin a run or can matter to one."""
        watches = [*self.watches(), *([self.start.on] if self.start.on else [])]
        return {kind for watch in watches for kind in watch.types}

    def names(self) -> set[str]:
        """The fields that the conditions and dates of this journey name."""
        return set(_names(self))

    def index(self, step_id: str) -> int:
        """The place of the step of that name, END where there is none."""
        return next((n for n, step in enumerate(self.steps) if step.id == step_id), END)


def _names(part: object) -> Iterator[str]:
    match part:
        case Condition():
            yield from part.names
        case Start(at=field) | Wait(date=field) if field:
            yield field
            yield from _inner(part)
        case msgspec.Struct() | tuple():
            yield from _inner(part)
        case _:
            pass


def _inner(part: msgspec.Struct | tuple[object, ...]) -> Iterator[str]:
    inside = part if isinstance(part, tuple) else map(part.__getattribute__, part.__struct_fields__)
    for one in inside:
        yield from _names(one)


def matches(watch: Watch, kind: str, reading: Reading) -> bool:
    """Whether the event in the reading is the watched one; a condition on lines: any line."""
    if kind not in watch.types:
        return False
    condition = watch.condition
    if condition is None:
        return True
    if watch.by:
        run = reading.run
        mine = (
            run.product in reading.products
            if watch.by == "product"
            else run.order == reading.number
        )
        if not mine or watch.only:
            return mine
    lines = getattr(reading.entry.body, "lines", ()) if watch.lines and reading.entry else ()
    if not lines:
        return condition.met(reading)
    try:
        for line in lines:
            reading.line = line
            if condition.met(reading):
                return True
        return False
    finally:
        reading.line = None


def next_remaining(old: Journey, step: int, new: Journey) -> int:
    """Where in the new version somebody goes on who stands at this step of the old one.

    The same step, else the next of the old order that the new version still has, else the end.
    """
    for later in old.steps[step:]:
        place = new.index(later.id)
        if place != END:
            return place
    return END
