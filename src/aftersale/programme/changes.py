"""What differs between two versions of the folder, in words a merchant reads before deploying?"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from aftersale.gates.policy import Cap, Quiet
from aftersale.journeys.definition import (
    END,
    Benefit,
    Branch,
    Exit,
    Goal,
    Journey,
    Send,
    Start,
    Step,
    Task,
    Wait,
    Watch,
    next_remaining,
)
from aftersale.kernel.instants import format_duration
from aftersale.programme.load import PRODUCTS, TEMPLATES, read_contents, refusal
from aftersale.segments.condition import Condition
from aftersale.segments.segment import Segment

_TIMES = frozenset(
    {
        "before", "calibrate_every", "delay", "due", "fresh", "late_after", "per", "reentry",
        "restart_after", "slot_spread", "ticket_lasts", "timeout", "useful", "within",
    }
)  # fmt: skip
_CLOCKS = frozenset({"minute", "slot_minute"})
_NOT_SHOWN = frozenset({"arms", "first", "id", "line", "next", "steps", "text_digest", "version"})


class Change(msgspec.Struct, frozen=True, gc=False):
    """One thing that differs."""

    area: str
    """journey, policy, segment, template, shop or products."""
    name: str
    kind: str
    """added, removed or changed."""
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n  ".join((f"{self.area} {self.name} {self.kind}".replace("  ", " "), *self.words))


def diff(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """What the second folder has more, less or other than the first.

    `Refusal` where the second has mistakes: what it leaves unread would look removed.
    """
    before, after = read_contents(old), read_contents(new)
    if mistakes := [problem for problem in after.problems if not problem.warning]:
        raise refusal(mistakes)
    changes = list(
        _compared("journey", before.journeys, after.journeys, _journey_words, _journey_said)
    )
    for area, one, other in (
        ("policy", before.policy, after.policy),
        ("shop", before.shop, after.shop),
    ):
        if words := tuple(_fields(one, other)):
            changes.append(Change(area, "", "changed", words))
    changes += _compared(
        "segment", _texts(before.segments), _texts(after.segments), _both, lambda text: [text]
    )
    changes += _compared("template", _templates(old), _templates(new), _lines, lambda _: [])
    listed = list(
        _compared(
            "product",
            before.catalogue.products,
            after.catalogue.products,
            lambda one, other: ["changed"] if one != other else [],
            lambda _: [],
        )
    )
    if listed:
        words = tuple(f"{change.name} {change.kind}" for change in listed[:5])
        more = (f"and {len(listed) - 5} more",) if len(listed) > 5 else ()
        changes.append(Change("products", PRODUCTS, "changed", words + more))
    return changes


def _texts(segments: Iterable[Segment]) -> dict[str, str]:
    return {segment.name: segment.condition.text for segment in segments}


def _templates(files: Mapping[str, str]) -> dict[str, str]:
    return {path: text for path, text in files.items() if path.startswith(TEMPLATES)}


def _both(one: str, other: str) -> list[str]:
    return [f"{one} → {other}"] if one != other else []


def say_step(step: Step) -> str:
    """One step in a few words."""
    match step:
        case Wait():
            return _say_wait(step)
        case Send():
            return f"send {step.template}"
        case Task():
            return f"task {step.name}" + (f" ({step.owner})" if step.owner else "")
        case Branch():
            return f"branch of {len(step.arms)} way{'' if len(step.arms) == 1 else 's'}"
        case Exit():
            return f"exit {step.reason}"


def _say_wait(step: Wait) -> str:
    if step.date:
        before = step.before_field or (format_duration(step.before) if step.before else "")
        return f"wait until {before + ' before ' if before else ''}{step.date}"
    if step.until is not None:
        return f"wait for {_said(step.until)}, {format_duration(step.timeout)} at most"
    if step.minute < 0:
        return f"wait {format_duration(step.delay)}"
    first = f"{format_duration(step.delay)}, then " if step.delay else ""
    return f"wait {first}until {_clock(step.minute)}"


def _compared(
    area: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    differ: Callable[[Any, Any], Iterable[str]],
    tell: Callable[[Any], Iterable[str]],
) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield Change(area, name, "added", tuple(tell(new[name])))
        elif name not in new:
            yield Change(area, name, "removed")
        elif words := tuple(differ(old[name], new[name])):
            yield Change(area, name, "changed", words)


def _journey_said(journey: Journey) -> Iterator[str]:
    yield f"about: {journey.about}; starts {_said(journey.start)}"
    yield from (say_step(step) for step in journey.steps)


def _journey_words(old: Journey, new: Journey) -> Iterator[str]:
    yield from _fields(old, new)
    kept = [step.id for step in old.steps if new.index(step.id) != END]
    for place, step in enumerate(old.steps):
        if step.id not in kept:
            following = next_remaining(old, place, new)
            goes = f"go on at {new.steps[following].id}" if following != END else "are done"
            yield f"step {step.id} removed; those who stand there {goes} where runs migrate"
    for step in new.steps:
        if step.id not in kept:
            yield f"step {step.id} added: {say_step(step)}"
    for step_id in kept:
        before, after = old.steps[old.index(step_id)], new.steps[new.index(step_id)]
        if type(before) is not type(after):
            yield f"step {step_id}: {say_step(before)} → {say_step(after)}"
            continue
        yield from (f"step {step_id}: {word}" for word in _fields(before, after))
        if isinstance(before, Branch) and isinstance(after, Branch):
            ways = [
                ", ".join(_said(condition) if condition else "else" for condition, _ in step.arms)
                for step in (before, after)
            ]
            if ways[0] != ways[1]:
                yield f"step {step_id}: {ways[0]} → {ways[1]}"
    if kept != [step.id for step in new.steps if step.id in kept]:
        yield "the order of the steps changed"


def _fields(old: Any, new: Any) -> Iterator[str]:
    """Which fields of two structs of a kind differ, each with both values."""
    for name in old.__struct_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if before != after and name not in _NOT_SHOWN:
            yield f"{name.replace('_', ' ')}: {_said(before, name)} → {_said(after, name)}"


def _said(value: Any, name: str = "") -> str:
    match value:
        case None:
            return "never" if name == "reentry" else "none"
        case True | False:
            return "yes" if value else "no"
        case int() if name in _TIMES:
            return "always" if name == "reentry" and not value else format_duration(value)
        case int() if name in _CLOCKS:
            return _clock(value) if value >= 0 else "none"
        case float():
            return f"{value:g}"
        case str():
            return value or "none"
        case tuple():
            return ", ".join(_said(item) for item in value) or "none"
        case _:
            return _said_part(value)


def _said_part(value: Any) -> str:
    match value:
        case Condition():
            return str(value.text)
        case Watch(types, condition):
            return " or ".join(types) + (f" if {condition.text}" if condition else "")
        case Start():
            return _say_start(value)
        case Goal(watch, within):
            return f"{_said(watch)} within {format_duration(within)}"
        case Benefit(kind, text, evidence):
            return f"{kind}: {text}" + (f" ({evidence.text})" if evidence else "")
        case Cap():
            where = "" if value.channel == "*" else f" by {value.channel}"
            return f"{value.most} {value.purpose} in {format_duration(value.per)}{where}"
        case Quiet():
            purposes = " and ".join(value.purposes) or "nothing"
            return f"{_clock(value.start)} to {_clock(value.end)} for {purposes}"
        case _:
            return str(value)


def _say_start(start: Start) -> str:
    if start.on is not None:
        return f"on {_said(start.on)} (of the last {format_duration(start.fresh)})"
    return f"at {start.at}" + (f" if {start.condition.text}" if start.condition else "")


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _lines(old: str, new: str) -> Iterator[str]:
    if old != new:
        before, after = old.splitlines(), new.splitlines()
        gone = len([line for line in before if line not in after])
        come = len([line for line in after if line not in before])
        yield f"{come} lines come, {gone} go" if come or gone else "lines moved"
