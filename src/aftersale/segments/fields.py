"""Which values can a condition name, and where does each one exist?"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Literal

import msgspec

Type = Literal["text", "number", "boolean", "instant", "duration"]
Value = str | int | float | bool


class Field(msgspec.Struct, frozen=True):
    """One value that conditions can name, defined once for both readings."""

    name: str
    """One word, or two joined by a dot: `orders.count`."""

    type: Type
    """Instants and durations are int microseconds; numbers are finite."""

    scope: str
    """What must be at hand for the field to exist: `customer`, `event`, `run`."""

    doc: str
    """One sentence for the merchant."""

    read: Callable[[Any], Value | None]
    """The value in a reading context, None where it is missing; must not raise."""


class Fields(Mapping[str, Field]):
    """Fields by name, in the order they were given; a name twice is a mistake of the caller."""

    __slots__ = ("_by_name",)

    def __init__(self, fields: Iterable[Field]) -> None:
        self._by_name: dict[str, Field] = {}
        for field in fields:
            if field.name in self._by_name:
                raise ValueError(f"the field {field.name!r} is defined twice")
            self._by_name[field.name] = field

    def __getitem__(self, name: str) -> Field:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def names(self, *scopes: str) -> tuple[str, ...]:
        """Every name that exists in these scopes; all names when no scope is given."""
        return visible(self, frozenset(scopes) or None)

    def nearest(self, name: str, *scopes: str) -> str | None:
        """The name somebody most likely meant, None when nothing is near."""
        return nearest(name, self.names(*scopes))


def visible(fields: Mapping[str, Field], scopes: frozenset[str] | None) -> tuple[str, ...]:
    """The names that exist in these scopes; None means every scope."""
    return tuple(n for n, field in fields.items() if scopes is None or field.scope in scopes)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word of the list that is closest to this one, None when nothing is near.

    A word without its first half counts too: `stage` is near `lifecycle.stage`.
    """
    known = {known.lower(): known for known in words}
    lowered = word.lower()
    whole = get_close_matches(lowered, known, n=1, cutoff=0.7)
    if whole:
        return known[whole[0]]
    halves = {part: name for name in known for part in reversed(name.split("."))}
    half = get_close_matches(lowered.rpartition(".")[2], halves, n=1, cutoff=0.8)
    return known[halves[half[0]]] if half else None
