"""What does a YAML file say, and on which line?

YAML 1.2, so `on` is a word and a time like 21:00 a text. Plain words get their types here (core
schema, YAML 1.2.2, 10.3.2), because only the tree of nodes knows the line of every value.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

LONGEST_TEXT = 100_000
MOST_VALUES = 20_000
MOST_ALIASES = 16
DEEPEST = 40

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_FRACTION = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in (
        "str", "int", "float", "bool", "null", "timestamp", "value", "merge", "seq", "map",
    )
)  # fmt: skip
"""What the library finds by itself; what it takes a plain word for is not used."""
# What the library raises on damaged text besides its own errors.
_DAMAGE = (ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError,
           RecursionError, TypeError, ValueError)  # fmt: skip


class Problem(msgspec.Struct, frozen=True, gc=False):
    """Something in the merchant's folder that its author should change."""

    file: str
    line: int
    """From 1."""
    what: str
    hint: str = ""
    warning: bool = False
    """A warning stops no deployment."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" + (f" ({self.hint})" if self.hint else "")


class Marked(msgspec.Struct, frozen=True):
    """A value and the line on which it begins; inner values are marked too."""

    value: "str | int | float | bool | tuple[Marked, ...] | dict[str, Marked] | None"
    line: int
    keys: dict[str, int] = {}
    """Of a mapping: key → its line."""

    def plain(self) -> object:
        """The value without lines, as lists, dicts and scalars."""
        match self.value:
            case tuple():
                return [item.plain() for item in self.value]
            case dict():
                return {key: item.plain() for key, item in self.value.items()}
            case _:
                return self.value


def read_marked(text: str, *, where: str) -> tuple[Marked | None, list[Problem]]:
    """The one document of a text; None and the reason where it cannot be read."""
    document, problems = _read(text, where)
    return document, list(problems)


@lru_cache(maxsize=128)
def _read(text: str, where: str) -> tuple[Marked | None, Sequence[Problem]]:
    """Kept, for most files come again as they were: in the next version, and when two compare."""
    if len(text) > LONGEST_TEXT:
        return None, [Problem(where, 1, f"longer than {LONGEST_TEXT} characters", "split it")]
    try:
        aliases = _aliases(text)
        if aliases > MOST_ALIASES:
            what = f"{aliases} aliases (*name) are more than {MOST_ALIASES}"
            return None, [Problem(where, 1, what, "write the values out")]
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(str(error.problem or error.context or "this is no YAML").split())
        hint = "put text with a colon or # in quotes" if "mapping values" in what else ""
        return None, [Problem(where, mark.line + 1 if mark else 1, what, hint)]
    except YAMLError as error:
        return None, [Problem(where, 1, str(error).split("\n", maxsplit=1)[0])]
    except RecursionError:
        return None, [Problem(where, 1, "nested far too deeply")]
    except _DAMAGE:
        return None, [Problem(where, 1, "this is no YAML")]
    if node is None:
        return Marked(None, 1), []
    walk = _Walk(where)
    marked = walk.value(node, 0)
    return (None if walk.problems else marked), walk.problems


def _aliases(text: str) -> int:
    if "*" not in text:
        return 0
    return sum(isinstance(event, AliasEvent) for event in YAML(typ="safe", pure=True).parse(text))


class _Walk:
    """One pass over the nodes."""

    def __init__(self, where: str) -> None:
        self.problems: list[Problem] = []
        self._where = where
        self._left = MOST_VALUES

    def value(self, node: Node, depth: int) -> Marked:
        line = node.start_mark.line + 1
        self._left -= 1
        if depth > DEEPEST or self._left < 0:
            if not self.problems:
                self._wrong(line, "nested too deeply, or more than a file needs")
            return Marked(None, line)
        if str(node.tag) not in _TAGS:
            self._wrong(line, f"the tag {node.tag} means nothing here", "leave it out")
        match node:
            case MappingNode():
                return self._mapping(node, line, depth)
            case SequenceNode():
                return Marked(tuple(self.value(item, depth + 1) for item in node.value), line)
            case ScalarNode():
                return Marked(node.value if node.style else _typed(node.value), line)
            case _:
                self._wrong(line, "this is neither text, list nor mapping")
                return Marked(None, line)

    def _mapping(self, node: MappingNode, line: int, depth: int) -> Marked:
        values: dict[str, Marked] = {}
        keys: dict[str, int] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self._wrong(key_line, "a key is one word")
                continue
            key = str(key_node.value)
            if key in values:
                self._wrong(key_line, f"{key} is given twice", f"the first is on line {keys[key]}")
                continue
            keys[key] = key_line
            values[key] = self.value(value_node, depth + 1)
        return Marked(values, line, keys)

    def _wrong(self, line: int, what: str, hint: str = "") -> None:
        self.problems.append(Problem(self._where, line, what, hint))


def _typed(word: str) -> str | int | float | bool | None:
    if word in _NULL:
        return None
    if word in _TRUTH:
        return _TRUTH[word]
    if _WHOLE.fullmatch(word):
        return int(word)
    return float(word) if _FRACTION.fullmatch(word) else word
