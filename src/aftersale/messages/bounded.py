"""How can a merchant's template run without doing harm?

Liquid has no way to code outside itself; what is left is time, memory and the clock.
python-liquid tests its limits between two nodes only, so one filter could still build
gigabytes: here every filter is measured before and after, and those that no message needs do
not exist.
Whatever goes wrong in a template is a Problem with its file and line.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any

import msgspec
from liquid import BoundTemplate, DictLoader, Environment, FalsyStrictUndefined, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import (
    FilterArgumentError,
    LiquidError,
    ResourceLimitError,
    TemplateNotFoundError,
    UndefinedError,
    UnknownFilterError,
)
from liquid.expression import Expression

from aftersale.kernel.errors import Refusal

LONGEST_VALUE = 64_000
MOST_VALUES = 2_000
LONGEST_OUTPUT = 300_000
"""Bytes of UTF-8; some providers cut a mail off at a third of this."""

_LARGEST_NUMBER = 10**15
_MISFITS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_TAG_NAMES = (
    "# assign break capture case comment continue cycle echo for if render unless "
    "content illegal output"  # the library's own: plain text, errors and {{ }}
)
_FILTER_NAMES = (
    "append capitalize default downcase escape first join last lstrip map newline_to_br "
    "prepend remove remove_first replace replace_first reverse rstrip size slice sort split "
    "squish strip strip_newlines truncate truncatewords uniq upcase url_encode where"
)
_TAGS = frozenset(_TAG_NAMES.split())
_TEXT_FILTERS = frozenset(_FILTER_NAMES.split())
_NUMBER_FILTERS = frozenset(
    {"at_least", "at_most", "divided_by", "minus", "modulo", "plus", "times"}
)


class Problem(msgspec.Struct, frozen=True, gc=False):
    """Something in a template that its author should change."""

    file: str
    line: int
    """From 1."""
    what: str
    hint: str = ""

    def refusal(self) -> Refusal:
        """The same as an error that a merchant can act on."""
        return Refusal(
            f"the template {self.file} cannot be filled in",
            where=f"{self.file}:{self.line}",
            why=self.what,
            hint=self.hint,
        )


class Part(msgspec.Struct, frozen=True):
    """One parsed piece of a file: a subject, a preheader, a body or a text."""

    file: str
    source: str
    """Begins with as many empty lines as stand before it in the file, so lines agree."""
    bound: BoundTemplate


class _TooMuch(ResourceLimitError):
    """A filter was given, or would make, more than a message can hold."""


def _length(value: object) -> int:
    if isinstance(value, str | list | tuple | range):
        return len(value)
    return 0


def _guard(name: str, value: object, arguments: tuple[object, ...]) -> None:
    """Raise before the work begins, for afterwards it is too late."""
    if name in _NUMBER_FILTERS:
        for number in (value, *arguments):
            if isinstance(number, int | float) and not abs(number) < _LARGEST_NUMBER:
                raise _TooMuch(f"{name} is given a number that is too large", token=None)
            if isinstance(number, str) and len(number) > len(str(_LARGEST_NUMBER)):
                raise _TooMuch(f"{name} is given a text that is no number", token=None)
        return
    most = LONGEST_VALUE if isinstance(value, str) else MOST_VALUES
    length = _length(value)
    if length > most or any(_length(argument) > LONGEST_VALUE for argument in arguments):
        raise _TooMuch(f"{name} is given more than {most} characters or items", token=None)
    texts = [argument if isinstance(argument, str) else str(argument) for argument in arguments]
    if name == "replace" and texts:
        length = len(str(value)) + str(value).count(texts[0]) * _length(texts[-1])
    elif name == "join" and texts:
        length *= 1 + len(texts[0])
    if length > LONGEST_VALUE:
        raise _TooMuch(f"{name} would make more than {LONGEST_VALUE} characters", token=None)


def _measured(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def measured(value: object, *arguments: Any, **named: Any) -> Any:
        _guard(name, value, arguments)
        result = function(value, *arguments, **named)
        length = _length(result)
        most = LONGEST_VALUE if isinstance(result, str) else MOST_VALUES
        if length > most:
            raise _TooMuch(f"{name} makes more than {most} characters or items", token=None)
        return result

    return measured


class _Bounded(Environment):
    """Liquid with limits and with the tags and filters that messages need."""

    context_depth_limit = 8
    loop_iteration_limit = 2_000
    local_namespace_limit = 1_000_000
    output_stream_limit = LONGEST_OUTPUT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.tags = {name: tag for name, tag in self.tags.items() if name in _TAGS}
        self.filters = {
            name: _measured(name, function)
            for name, function in self.filters.items()
            if name in _TEXT_FILTERS | _NUMBER_FILTERS
        }


def piece_file(name: str) -> str:
    """Where the piece of that name lies."""
    return f"templates/{name}.liquid"


def pieces_of(part: Part) -> Mapping[str, str]:
    """Name → source of the pieces that the part can reach."""
    loader = part.bound.env.loader
    return loader.templates if isinstance(loader, DictLoader) else {}


def environment(pieces: Mapping[str, str], *, html: bool) -> Environment:
    """A place to parse in. `pieces` (name → source) is all that a `render` tag can reach."""
    return _Bounded(
        loader=DictLoader(dict(pieces)), undefined=FalsyStrictUndefined, autoescape=html
    )


def parse(where: Environment, file: str, text: str, *, line: int = 1) -> Part | Problem:
    """The text as a part of the file that begins at that line."""
    source = "\n" * (line - 1) + text
    try:
        part = Part(file, source, where.from_string(source, name=file))
        for expression in _expressions(part.bound):
            if isinstance(expression, RangeLiteral):
                return Problem(
                    file,
                    _line(source, expression.token.start_index),
                    "ranges of numbers are not available in a message",
                    "loop over a list, for instance order.lines",
                )
    except LiquidError as error:
        return _problem(error, file, source, {})
    except RecursionError:
        return Problem(file, line, "an expression is too long", "use a few short ones")
    return part


def _expressions(template: BoundTemplate) -> Iterator[Expression]:
    """Every expression of a template, without the pieces that it renders."""
    context = RenderContext(template)

    def below(expression: Expression) -> Iterator[Expression]:
        yield expression
        for inner in expression.children():
            yield from below(inner)

    def within(nodes: Iterable[Node]) -> Iterator[Expression]:
        for node in nodes:
            for expression in node.expressions():
                yield from below(expression)
            yield from within(node.children(context, include_partials=False))

    return within(template.nodes)


def fill(part: Part, facts: Mapping[str, Any]) -> str:
    """The part with the facts in their places; a Refusal names file and line."""
    try:
        return part.bound.render(facts).strip()
    except LiquidError as error:
        raise _problem(error, part.file, part.source, pieces_of(part)).refusal() from None
    except _MISFITS:
        # A filter of the library met a value it was not written for.
        raise Problem(
            part.file,
            part.source.count("\n", 0, len(part.source) - len(part.source.lstrip("\n"))) + 1,
            "a filter cannot work with the value that it is given",
            "try the template without its filters, then add them one by one",
        ).refusal() from None


def _line(source: str, index: int) -> int:
    return source.count("\n", 0, index) + 1


def _problem(error: LiquidError, file: str, source: str, pieces: Mapping[str, str]) -> Problem:
    """The error in the words of the person who wrote the template."""
    token = error.token
    what, hint, line = str(error.message or error), "", 1
    if token is not None and token.start_index < 0:
        line = _line(source, len(source))
        what, hint = f"the file ends too early: {what}", "close what is still open"
    elif token is not None:
        line = _line(token.source, token.start_index)
        if token.source != source:
            file = next(
                (piece_file(name) for name, text in pieces.items() if text == token.source), file
            )
    match error:
        case UndefinedError():
            name = what.split("'")[1] if what.count("'") > 1 else what.partition(" is ")[0]
            what = f"{name} is missing"
            hint = f"put {{% if {name} %}} before it and {{% endif %}} after it"
        case UnknownFilterError():
            hint = "filters that exist: " + ", ".join(sorted(_TEXT_FILTERS | _NUMBER_FILTERS))
        case TemplateNotFoundError():
            what = f"there is no piece named {what}"
            hint = "a piece is a file whose name begins with _, rendered without .liquid"
        case ResourceLimitError():
            hint = "a message is short: show fewer items"
        case FilterArgumentError():
            hint = "look at what stands before and after the |"
        case _:
            pass
    return Problem(file, line, what, hint)
