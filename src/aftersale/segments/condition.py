"""Does a condition hold for one context, and which of its parts decided that?

Answers are those of SQL: true, false, or None for unknown. The tree is compiled to one Python
function built from our own nodes only: a walk over the tree would cost ten times its reads.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, singledispatch
from typing import Any, NamedTuple

import msgspec

from aftersale.segments.expression import (
    EXACT,
    UNITS,
    Absolute,
    Among,
    And,
    Arithmetic,
    Between,
    Compare,
    Constant,
    Elapsed,
    Expression,
    FirstKnown,
    IsMissing,
    IsTruth,
    Like,
    Lower,
    Name,
    Negate,
    Not,
    Or,
    spell,
)
from aftersale.segments.fields import Field, Value
from aftersale.segments.grammar import parse_condition

Answer = Callable[[Any], bool | None]


class Term(msgspec.Struct, frozen=True):
    """One leaf of a condition and what it came to."""

    text: str
    saw: tuple[tuple[str, Value | None], ...]
    """Each field the leaf names, with the value it had."""
    holds: bool | None


class Condition:
    """A condition ready to be asked; equal to another when both say the same."""

    holds: Answer
    """True, False or None (unknown) in a reading context."""
    met: Callable[[Any], bool]
    """Whether it holds for certain: unknown is not met."""

    def __init__(
        self,
        text: str,
        tree: Expression,
        fields: Mapping[str, Field],
        scopes: frozenset[str] | None,
    ) -> None:
        self.text = text
        self.tree = tree
        self.names = frozenset(_names(tree))
        self._fields = {name: fields[name] for name in sorted(self.names)}
        self._scopes = scopes
        self.holds, self.met = _compile(tree, self._fields)

    def explain(self, context: Any) -> tuple[Term, ...]:
        """Every leaf with its answer; a `not` before several of them is carried into each."""
        return tuple(
            Term(text, tuple((field.name, field.read(context)) for field in read), holds(context))
            for text, read, holds in self._leaves
        )

    @cached_property
    def _leaves(self) -> tuple[tuple[str, tuple[Field, ...], Answer], ...]:
        return tuple(
            (
                spell(leaf),
                tuple(self._fields[name] for name in sorted(set(_names(leaf)))),
                _compile(leaf, self._fields)[0],
            )
            for leaf in _leaves(self.tree, negated=False)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self.tree == other.tree

    def __hash__(self) -> int:
        return hash(self.tree)

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels as text and is compiled again: the compiled function cannot travel."""
        return _rebuild, (self.text, self._fields, self._scopes)


def compile_condition(
    text: str, fields: Mapping[str, Field], *, scopes: frozenset[str] | None
) -> Condition:
    """The condition a text says; `Refusal` with place and nearest word where it says none.

    `scopes` are those at hand where it will be asked (None: all); fields of others are refused.
    """
    return Condition(text, parse_condition(text, fields, scopes), fields, scopes)


def _rebuild(text: str, fields: Mapping[str, Field], scopes: frozenset[str] | None) -> Condition:
    return compile_condition(text, fields, scopes=scopes)


def lowered(text: str) -> str:
    """Lower case letter by letter, as table engines do it, the final sigma and dotted I too."""
    if text.isascii():
        return text.lower()
    return "".join("i" if letter == "İ" else letter.lower() for letter in text)


def _names(node: Expression) -> Iterator[str]:
    if isinstance(node, Name):
        yield node.name
    for part in _parts(node):
        yield from _names(part)


def _parts(node: Expression) -> Iterator[Expression]:
    for name in node.__struct_fields__:
        part = getattr(node, name)
        if isinstance(part, Expression):
            yield part
        elif isinstance(part, tuple):
            yield from (item for item in part if isinstance(item, Expression))


def _leaves(node: Expression, *, negated: bool) -> Iterator[Expression]:
    match node:
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from _leaves(part, negated=negated)
        case Not(operand=operand):
            yield from _leaves(operand, negated=not negated)
        case _:
            yield Not("boolean", node) if negated else node


# --- from tree to Python ------------------------------------------------------------------


def _compile(tree: Expression, fields: Mapping[str, Field]) -> tuple[Answer, Callable[[Any], bool]]:
    page = _Page(fields)
    answer = _write(tree, page).code
    return page.function(answer), page.function(f"{answer} is True")


class _Atom(NamedTuple):
    """A value already computed: cheap to write twice."""

    code: str
    may_miss: bool
    """Whether it can be None."""
    whole: bool = False
    """Whether it can be a Python int, which knows no rounding; doubles do."""

    @property
    def double(self) -> str:
        return f"{self.code} * 1.0" if self.whole else self.code


class _Page:
    """The lines of one function and the objects they name."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self.fields = fields
        self.read: dict[str, _Atom] = {}
        """Fields read on every way to the line being written."""
        self._lines: list[str] = []
        self._objects: dict[str, object] = {}
        self._indent = 1
        self._count = 0

    def put(self, line: str) -> None:
        """Write one line."""
        self._lines.append("    " * self._indent + line)

    def set(self, code: str, *, missing: str = "") -> str:
        """Write an assignment to a new variable, None where the `missing` test is true."""
        self._count += 1
        name = f"v{self._count}"
        self.put(f"{name} = None if {missing} else {code}" if missing else f"{name} = {code}")
        return name

    def bind(self, thing: object) -> str:
        """Give an object a name the lines can use."""
        name = f"o{len(self._objects)}"
        self._objects[name] = thing
        return name

    @contextmanager
    def only_if(self, test: str) -> Iterator[None]:
        """Write the lines within under a test."""
        self.put(f"if {test}:")
        read, self.read = self.read, dict(self.read)
        self._indent += 1
        yield
        self._indent -= 1
        self.read = read

    def function(self, answer: str) -> Callable[[Any], Any]:
        """The function of a context that these lines are."""
        defaults = "".join(f", {name}={name}" for name in self._objects)
        lines = [f"def holds(c{defaults}):", *self._lines, f"    return {answer}"]
        space = {**self._objects, "__builtins__": {}}
        # Every line above was put together from our own nodes: no text of a merchant is in it
        # but as the repr of a constant.
        exec(compile("\n".join(lines), "<condition>", "exec"), space)  # noqa: S102
        compiled: Any = space["holds"]
        return compiled  # type: ignore[no-any-return]


def _missing(*atoms: _Atom) -> str:
    return " or ".join(dict.fromkeys(f"{atom.code} is None" for atom in atoms if atom.may_miss))


def _small(node: Expression) -> bool:
    """A constant that an int and its double compare with alike."""
    return isinstance(node, Constant) and isinstance(node.value, float) and abs(node.value) < EXACT


def _pair(left: Expression, right: Expression, page: _Page) -> tuple[_Atom, _Atom, str, str]:
    """Both sides, and both as they are to be compared."""
    one, two = _write(left, page), _write(right, page)
    if _small(left) or _small(right):
        return one, two, one.code, two.code
    return one, two, one.double, two.double


def _finite(page: _Page, code: str, missing: str) -> _Atom:
    name = page.set(code, missing=missing)
    # inf - inf and nan - nan are not 0; a missing value is kept out by the first half.
    page.put(f"if {name} is not None and {name} - {name} != 0.0: {name} = None")
    return _Atom(name, may_miss=True)


@singledispatch
def _write(node: Expression, page: _Page) -> _Atom:
    """Write the lines that compute a node."""
    raise TypeError(f"{type(node).__name__} cannot be written")


@_write.register
def _(node: Constant, page: _Page) -> _Atom:
    value = node.value
    if isinstance(value, float) and value == int(value) and abs(value) < EXACT:
        return _Atom(repr(int(value)), may_miss=False, whole=True)
    return _Atom(repr(value), may_miss=False)


@_write.register
def _(node: Name, page: _Page) -> _Atom:
    if node.name not in page.read:
        name = page.set(f"{page.bind(page.fields[node.name].read)}(c)")
        whole = node.type not in {"text", "boolean"}
        page.read[node.name] = _Atom(name, may_miss=True, whole=whole)
    return page.read[node.name]


@_write.register
def _(node: Negate, page: _Page) -> _Atom:
    operand = _write(node.operand, page)
    code = page.set(f"-{operand.code}", missing=_missing(operand))
    return operand._replace(code=code)


@_write.register
def _(node: Absolute, page: _Page) -> _Atom:
    operand = _write(node.operand, page)
    code = page.set(f"{page.bind(abs)}({operand.code})", missing=_missing(operand))
    return operand._replace(code=code)


@_write.register
def _(node: Lower, page: _Page) -> _Atom:
    operand = _write(node.operand, page)
    code = page.set(f"{page.bind(lowered)}({operand.code})", missing=_missing(operand))
    return operand._replace(code=code)


@_write.register
def _(node: Elapsed, page: _Page) -> _Atom:
    operand = _write(node.operand, page)
    return _finite(page, f"{operand.double} * {float(UNITS[node.unit])!r}", _missing(operand))


@_write.register
def _(node: FirstKnown, page: _Page) -> _Atom:
    atom = _write(node.operands[0], page)
    first = page.set(atom.code)
    may_miss, whole = atom.may_miss, atom.whole
    for operand in node.operands[1:]:
        with page.only_if(f"{first} is None"):
            atom = _write(operand, page)
            page.put(f"{first} = {atom.code}")
        may_miss, whole = may_miss and atom.may_miss, whole or atom.whole
    return _Atom(first, may_miss, whole)


@_write.register
def _(node: Arithmetic, page: _Page) -> _Atom:
    left, right = _write(node.left, page), _write(node.right, page)
    missing = _missing(left, right)
    code = f"{left.double} {node.operator} {right.double}"
    never_zero = isinstance(node.right, Constant) and node.right.value
    if node.operator == "/" and not never_zero:
        missing = " or ".join(test for test in (missing, f"{right.code} == 0") if test)
    if node.type != "number" and _is_stored(node.left) and _is_stored(node.right):
        return _Atom(page.set(code, missing=missing), may_miss=bool(missing))
    return _finite(page, code, missing)


def _is_stored(node: Expression) -> bool:
    """Instants and durations fit 64 bits where they are stored, so their sums are finite."""
    return isinstance(node, Name | Constant)


@_write.register
def _(node: Compare, page: _Page) -> _Atom:
    one, two, left, right = _pair(node.left, node.right, page)
    operator = {"=": "==", "<>": "!="}.get(node.operator, node.operator)
    missing = _missing(one, two)
    return _Atom(page.set(f"{left} {operator} {right}", missing=missing), bool(missing))


@_write.register
def _(node: Between, page: _Page) -> _Atom:
    if not (isinstance(node.low, Constant) and isinstance(node.high, Constant)):
        low = Compare("boolean", ">=", node.operand, node.low)
        high = Compare("boolean", "<=", node.operand, node.high)
        return _write(And("boolean", (low, high)), page)
    operand, low_end, high_end = (
        _write(part, page) for part in (node.operand, node.low, node.high)
    )
    value = operand.code if _small(node.low) and _small(node.high) else operand.double
    missing = _missing(operand)
    code = f"{low_end.code} <= {value} <= {high_end.code}"
    return _Atom(page.set(code, missing=missing), bool(missing))


@_write.register
def _(node: Among, page: _Page) -> _Atom:
    operand = _write(node.operand, page)
    listed = page.bind(frozenset(node.values))
    missing = _missing(operand)
    if node.null_listed:
        found = f"(True if {operand.double} in {listed} else None)"
        return _Atom(page.set(found, missing=missing), may_miss=True)
    return _Atom(page.set(f"{operand.double} in {listed}", missing=missing), bool(missing))


@_write.register
def _(node: Like, page: _Page) -> _Atom:
    operand = _write(node.operand, page)
    missing = _missing(operand)
    return _Atom(page.set(_match(node.pattern, operand.code, page), missing=missing), bool(missing))


def _match(pattern: str, text: str, page: _Page) -> str:
    """The commonest patterns have a faster test than a regular expression."""
    inner = pattern.strip("%")
    if inner and not set(inner) & {"%", "_"}:
        begins, ends = not pattern.startswith("%"), not pattern.endswith("%")
        if begins and ends:
            return f"{text} == {inner!r}"
        if begins:
            return f"{text}.startswith({inner!r})"
        if ends:
            return f"{text}.endswith({inner!r})"
        return f"{inner!r} in {text}"
    signs = {"%": ".*", "_": "."}
    expression = "".join(signs.get(sign) or re.escape(sign) for sign in pattern)
    return f"{page.bind(re.compile(expression, re.DOTALL).fullmatch)}({text}) is not None"


@_write.register
def _(node: IsMissing, page: _Page) -> _Atom:
    operand = _write(node.operand, page)
    return _Atom(f"({operand.code} is None)" if operand.may_miss else "False", may_miss=False)


@_write.register
def _(node: IsTruth, page: _Page) -> _Atom:
    operand = _write(node.operand, page)
    return _Atom(f"({operand.code} is {node.value})", may_miss=False)


@_write.register
def _(node: Not, page: _Page) -> _Atom:
    operand = _write(node.operand, page)
    code = page.set(f"not {operand.code}", missing=_missing(operand))
    return _Atom(code, operand.may_miss)


@_write.register
def _(node: And, page: _Page) -> _Atom:
    return _chain(node.parts, page, decided="False", neutral="True")


@_write.register
def _(node: Or, page: _Page) -> _Atom:
    return _chain(node.parts, page, decided="True", neutral="False")


def _chain(parts: tuple[Expression, ...], page: _Page, *, decided: str, neutral: str) -> _Atom:
    """Stop at the first part that decides; a part that is not neutral takes the answer over."""
    atom = _write(parts[0], page)
    answer = page.set(atom.code)
    may_miss = atom.may_miss
    for part in parts[1:]:
        with page.only_if(f"{answer} is not {decided}"):
            atom = _write(part, page)
            page.put(f"if {atom.code} is not {neutral}: {answer} = {atom.code}")
        may_miss = may_miss or atom.may_miss
    return _Atom(answer, may_miss)
