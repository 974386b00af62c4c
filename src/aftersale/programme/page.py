"""What does a value in a file mean, and what is wrong with it?

A page collects every problem with its line; a value that cannot be read counts as not given, so
that reading goes on to the next.
"""

import re
from collections.abc import Iterable
from math import isfinite

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import DAY, Duration, parse_duration
from aftersale.programme.grammar import EVENT_TYPES, Keys
from aftersale.programme.marked import Marked, Problem
from aftersale.segments.fields import nearest

Entry = dict[str, Marked]

LONGEST_DURATION = 20 * 366 * DAY
WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


class Page:
    """One file being read."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def wrong(self, line: int, what: str, hint: str = "", *, warning: bool = False) -> None:
        """Keep a problem."""
        self.problems.append(Problem(self.file, line, what, hint, warning))

    @property
    def sound(self) -> bool:
        """Whether nothing but warnings was found."""
        return all(problem.warning for problem in self.problems)

    def entry(self, marked: Marked, keys: Keys, what: str) -> Entry:
        """The values of a mapping by key; unknown, missing and empty ones are problems."""
        if not isinstance(marked.value, dict):
            names = ", ".join(key.name for key in keys)
            self.wrong(marked.line, f"{what} is a mapping", f"its keys are {names}")
            return {}
        kinds = {key.name: key.kind for key in keys}
        found = {}
        for name, value in marked.value.items():
            line = marked.keys[name]
            if name not in kinds:
                self.wrong(line, f"{what} has no key {name}", near(name, kinds))
            elif value.value is None and kinds[name] != "nothing":
                self.wrong(line, f"{name} is empty", "give it a value, or leave it out")
            else:
                found[name] = value
        for key in keys:
            if key.needed and key.name not in marked.value:
                self.wrong(marked.line, f"{what} needs {key.name}", key.doc)
        return found

    def text(self, entry: Entry, name: str, default: str = "") -> str:
        """Plain text; numbers count as text."""
        marked = entry.get(name)
        if marked is None:
            return default
        if isinstance(marked.value, bool) or not isinstance(marked.value, str | int | float):
            self.wrong(marked.line, f"{name} is text", "put it in quotes")
            return default
        return str(marked.value).strip()

    def word(self, entry: Entry, name: str, default: str = "") -> str:
        """A name of small letters, digits and dashes."""
        marked = entry.get(name)
        if marked is None:
            return default
        word = self.text(entry, name)
        if not WORD.fullmatch(word) or len(word) > 60:
            suggested = "-".join(re.findall(r"[a-z0-9]+", word.lower()))[:60].strip("-")
            self.wrong(
                marked.line,
                f"{name}: {shown(word)} is no name",
                f"write {suggested}" if suggested else "use small letters, digits and -",
            )
            return default
        return word

    def boolean(self, entry: Entry, name: str, *, default: bool = False) -> bool:
        """Write true or false."""
        marked = entry.get(name)
        if marked is None:
            return default
        if not isinstance(marked.value, bool):
            self.wrong(marked.line, f"{name} is true or false")
            return default
        return marked.value

    def number(self, entry: Entry, name: str, default: float, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        marked = entry.get(name)
        if marked is None:
            return default
        value = marked.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            self.wrong(marked.line, f"{name} is a number")
            return default
        if not low <= value <= high:
            self.wrong(marked.line, f"{name} is {value:g}", f"it goes from {low:g} to {high:g}")
            return default
        return float(value)

    def whole(self, entry: Entry, name: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self.number(entry, name, default, low, high)
        if value != int(value):
            self.wrong(entry[name].line, f"{name} is a whole number")
            return default
        return int(value)

    def choice(self, entry: Entry, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of the words."""
        marked = entry.get(name)
        if marked is None:
            return default
        word = self.text(entry, name)
        if word not in choices:
            self.wrong(marked.line, f"{name}: {shown(word)} is not known", near(word, choices))
            return default
        return word

    def duration(self, entry: Entry, name: str, default: Duration) -> Duration:
        """A time span above nothing and below twenty years."""
        marked = entry.get(name)
        if marked is None:
            return default
        found = self.span(marked, name)
        return default if found is None else found

    def span(self, marked: Marked, name: str) -> Duration | None:
        """The same of a value by itself."""
        text = marked.value
        if isinstance(text, bool) or not isinstance(text, str | int | float):
            self.wrong(marked.line, f"{name} is a time span", "for instance 3 days")
            return None
        try:
            found = parse_duration(str(text))
        except Refusal as refusal:
            hint = f"write {text} days" if isinstance(text, int) else refusal.hint
            self.wrong(marked.line, f"{name}: {shown(str(text))} is no time span", hint)
            return None
        except (OverflowError, ValueError):
            found = LONGEST_DURATION + 1
        if not 0 < found <= LONGEST_DURATION:
            what = "is longer than 20 years" if found else "is nothing"
            self.wrong(marked.line, f"{name} {what}", "for instance 3 days")
            return None
        return found

    def clock(self, entry: Entry, name: str, default: int) -> int:
        """A time of day as minutes since midnight."""
        marked = entry.get(name)
        if marked is None:
            return default
        found = CLOCK.fullmatch(str(marked.value))
        if found is None:
            self.wrong(marked.line, f"{name} is a time of day", 'for instance "09:00"')
            return default
        return int(found[1]) * 60 + int(found[2])

    def words(self, entry: Entry, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of texts."""
        marked = entry.get(name)
        if marked is None:
            return default
        if not isinstance(marked.value, tuple):
            self.wrong(marked.line, f"{name} is a list", "for instance [a, b]")
            return default
        return tuple(self.text({name: item}, name) for item in marked.value)

    def events(self, entry: Entry, name: str = "on") -> tuple[str, ...]:
        """Types of event: one, or a list; unknown ones are problems."""
        marked = entry.get(name)
        if marked is None:
            return ()
        items = marked.value if isinstance(marked.value, tuple) else (marked,)
        if not items:
            self.wrong(marked.line, f"{name} names no type of event")
        found = []
        for item in items:
            kind = self.text({name: item}, name)
            if kind in EVENT_TYPES:
                found.append(kind)
            elif kind:
                self.wrong(item.line, f"there is no event {shown(kind)}", _event_hint(kind))
        return tuple(dict.fromkeys(found))


def _event_hint(kind: str) -> str:
    channel, _, rest = kind.partition(".")
    if channel in {"email", "sms", "push"} and f"message.{rest}" in EVENT_TYPES:
        return f"write message.{rest} with if: event.channel = '{channel}'"
    return near(kind, EVENT_TYPES)


def near(word: str, known: Iterable[str]) -> str:
    """Did somebody mean one of these? Else all of them, where they are few."""
    names = list(known)
    found = nearest(word, names) if len(word) <= 80 else None
    if found:
        return f"did you mean {found}?"
    return f"known are {', '.join(names)}" if 0 < len(names) <= 16 else ""


def shown(word: str) -> str:
    """The word as it is put into a message: short, on one line."""
    return repr(word if len(word) <= 60 else f"{word[:57]}...")
