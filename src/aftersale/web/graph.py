"""Where does each step of a journey stand on the page, and how do the wires run?

A journey is a tree whose branches join again, so no general layout is needed: a chain stands on
one axis, the ways of a branch stand side by side under it. Boxes are HTML of a fixed size; only
wires are drawn. Lengths are CSS pixels.
"""

import msgspec

from aftersale.journeys.definition import END, Branch, Exit, Journey, Send, Step, Task, Wait, Watch
from aftersale.kernel.instants import format_duration
from aftersale.web.words import event_title

WIDTH, HEIGHT = 224, 104
GAP_ACROSS, GAP_DOWN = 18, 42
EDGE = 12
_BEND = 9

Point = tuple[float, float]


class Box(msgspec.Struct):
    """One step on the page."""

    id: str
    """Of the step; `(start)` and `(end)` for the two that the journey itself gives."""
    kind: str
    """start, wait, send, task, branch, exit, goal or end."""
    title: str
    detail: str
    x: float = 0
    y: float = 0
    numbers: list[tuple[str, str, str]] = []
    """Number, what it counts, how it is counted."""


class Label(msgspec.Struct, frozen=True):
    """Words on a wire."""

    text: str
    x: float
    y: float


class Drawn(msgspec.Struct):
    """A journey, laid out; boxes in reading order."""

    width: float
    height: float
    boxes: list[Box]
    wires: list[str]
    """SVG path data."""
    labels: list[Label]


class _Wire(msgspec.Struct):
    points: list[Point]
    label: str = ""


class _Block(msgspec.Struct):
    """A part of the drawing around its axis x = 0, from y = 0 down."""

    left: float = 0
    right: float = 0
    bottom: float = 0
    boxes: list[Box] = []
    wires: list[_Wire] = []
    ends: list[_Wire] = []
    """Wires that wait for the next box."""


def draw_journey(journey: Journey) -> Drawn:
    """The drawing of one version of a journey."""
    start = Box("(start)", "start", *start_words(journey))
    block = _Block(left=WIDTH / 2, right=WIDTH / 2)
    _add_box(block, start)
    _add_chain(block, journey, journey.first, END)
    goal = journey.goal
    last = (
        Box("(end)", "end", "End", "the run is over")
        if goal is None
        else Box(
            "(end)",
            "goal",
            _watch_words(goal.watch),
            f"the goal, within {format_duration(goal.within)}; ends the run at once",
        )
    )
    if block.ends or goal is not None:
        _add_box(block, last)
    return _drawn(block)


def start_words(journey: Journey) -> tuple[str, str]:
    """What begins the journey, as title and detail."""
    start = journey.start
    if start.at:
        return f"On {start.at}", start.condition.text if start.condition else "a date"
    if start.on is None:
        return "Never", ""
    condition = start.on.condition
    detail = condition.text if condition else "every time"
    return _watch_words(start.on), detail


def step_words(step: Step) -> tuple[str, str, str]:
    """Kind, title and detail of a step."""
    match step:
        case Send():
            name = step.template.replace("-", " ").capitalize()
            extra = " · helpful content" if step.helpful else ""
            return "send", name, f"{step.channel} · {step.purpose}{extra}"
        case Wait(until=Watch() as watch):
            longest = f"at most {format_duration(step.timeout)}" if step.timeout else ""
            return "wait", f"Wait for: {_watch_words(watch).lower()}", longest
        case Wait(date=date) if date:
            before = step.before_field or (format_duration(step.before) if step.before else "")
            return "wait", f"Wait until {date}", f"less {before}" if before else "may move"
        case Wait():
            title = f"Wait {format_duration(step.delay)}" if step.delay else "Wait"
            at = f"until {step.minute // 60:02}:{step.minute % 60:02} on their clock"
            return "wait", title, at if step.minute >= 0 else ""
        case Task():
            owner = step.owner or "a person"
            return "task", step.name, f"for {owner} · within {format_duration(step.due)}"
        case Branch():
            return "branch", "Which way?", f"the first of {len(step.arms)} that is true"
        case Exit():
            return "exit", "Leave", step.reason.replace("-", " ")


def _watch_words(watch: Watch) -> str:
    return " or ".join(event_title(kind) for kind in watch.types)


def _add_chain(block: _Block, journey: Journey, first: int, stop: int) -> None:
    """Hang the steps from `first` up to `stop` under what the block holds."""
    at = first
    while at not in {stop, END}:
        step = journey.steps[at]
        kind, title, detail = step_words(step)
        _add_box(block, Box(step.id, kind, title, detail))
        match step:
            case Branch():
                _add_ways(block, journey, step)
            case Exit():
                block.ends = []
                return
            case _:
                pass
        at = step.next


def _add_box(block: _Block, box: Box) -> None:
    top = block.bottom + GAP_DOWN if block.boxes or block.ends else block.bottom
    for wire in block.ends:
        x, _ = wire.points[-1]
        if abs(x) > 1:
            wire.points += [(x, top - GAP_DOWN / 2), (0, top - GAP_DOWN / 2)]
        wire.points.append((0, top))
        block.wires.append(wire)
    box.x, box.y = -WIDTH / 2, top
    block.boxes = [*block.boxes, box]
    block.bottom = top + HEIGHT
    block.left = max(block.left, WIDTH / 2)
    block.right = max(block.right, WIDTH / 2)
    block.ends = [_Wire([(0, block.bottom)])]


def _add_ways(block: _Block, journey: Journey, branch: Branch) -> None:
    """Set the ways of a branch side by side; where none may be true, an empty one is added."""
    ways = [(condition.text if condition else "else", first) for condition, first in branch.arms]
    if all(condition is not None for condition, _ in branch.arms):
        ways.append(("else", branch.next))
    parts: list[_Block] = []
    for _, first in ways:
        part = _Block(left=60, right=60)
        part.ends = [_Wire([(0, -GAP_DOWN)])]
        part.bottom = -GAP_DOWN
        part.wires, part.boxes = [], []
        _add_chain(part, journey, first, branch.next)
        parts.append(part)
    width = sum(part.left + part.right for part in parts) + GAP_ACROSS * (len(parts) - 1)
    top, x = block.bottom + GAP_DOWN, -width / 2
    lowest = max(0.0, *(part.bottom for part in parts))
    ends: list[_Wire] = []
    for (label, _), part in zip(ways, parts, strict=True):
        axis = x + part.left
        x = axis + part.right + GAP_ACROSS
        for box in part.boxes:
            box.x, box.y = box.x + axis, box.y + top
        for wire in (*part.wires, *part.ends):
            moved = [(px + axis, py + top) for px, py in wire.points]
            if wire.points[0][1] < 0:  # it comes from the branch itself
                moved = [(0, block.bottom), (0, top - GAP_DOWN / 2), (axis, top - GAP_DOWN / 2)] + [
                    p for p in moved[1:] if p[1] > top - GAP_DOWN / 2
                ]
                wire.label = label
            wire.points = moved
        block.wires += part.wires
        for wire in part.ends:
            wire.points.append((wire.points[-1][0], top + lowest))
            ends.append(wire)
        block.boxes = [*block.boxes, *part.boxes]
    block.left = max(block.left, width / 2)
    block.right = max(block.right, width / 2)
    block.bottom = top + lowest
    block.ends = ends


def _drawn(block: _Block) -> Drawn:
    across, down = block.left + EDGE, EDGE
    labels = []
    for box in block.boxes:
        box.x, box.y = box.x + across, box.y + down
    for wire in block.wires:
        wire.points = [(x + across, y + down) for x, y in wire.points]
        if wire.label:
            x, y = wire.points[2]
            labels.append(Label(wire.label, x, y + 2))
    return Drawn(
        block.left + block.right + 2 * EDGE,
        block.bottom + 2 * EDGE,
        block.boxes,
        [_path(wire.points) for wire in block.wires],
        labels,
    )


def _path(points: list[Point]) -> str:
    """A line through the points with rounded corners."""
    clean = [points[0]]
    for n, point in enumerate(points[1:], 1):
        after = points[n + 1] if n + 1 < len(points) else None
        before = clean[-1]
        straight = after is not None and (
            before[0] == point[0] == after[0] or before[1] == point[1] == after[1]
        )
        if point != before and not straight:
            clean.append(point)
    parts = [f"M{clean[0][0]:g} {clean[0][1]:g}"]
    for n in range(1, len(clean) - 1):
        (x0, y0), (x1, y1), (x2, y2) = clean[n - 1 : n + 2]
        bend = min(_BEND, (abs(x1 - x0) + abs(y1 - y0)) / 2, (abs(x2 - x1) + abs(y2 - y1)) / 2)
        parts.append(
            f"L{x1 - _sign(x1 - x0) * bend:g} {y1 - _sign(y1 - y0) * bend:g}"
            f"Q{x1:g} {y1:g} {x1 + _sign(x2 - x1) * bend:g} {y1 + _sign(y2 - y1) * bend:g}"
        )
    parts.append(f"L{clean[-1][0]:g} {clean[-1][1]:g}")
    return "".join(parts)


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)
