"""What does a condition look like once it is understood?

A typed tree. Both readings walk it, so neither ever sees SQL. Numbers, instants and durations
are computed as IEEE doubles in both readings: a store's column and a Python int then round,
overflow and divide alike. Microseconds are exact in a double until the year 2255.
"""

from collections.abc import Callable
from functools import singledispatch
from math import isfinite
from operator import add, mul, sub, truediv
from typing import Literal

import msgspec

from aftersale.kernel.instants import DAY, HOUR, MINUTE, WEEK
from aftersale.segments.fields import Type, Value

EXACT = 2.0**53
"""Below this every whole number is a double of its own."""

UNITS: dict[str, int] = {"weeks": WEEK, "days": DAY, "hours": HOUR, "minutes": MINUTE}

Operator = Literal["+", "-", "*", "/"]
Comparison = Literal["=", "<>", "<", "<=", ">", ">="]


class Expression(msgspec.Struct, frozen=True):
    """Any node; `type` is the type of the value it gives."""

    type: Type


class Constant(Expression, frozen=True):
    """A value written in the condition; numbers, instants and durations are floats."""

    value: str | float | bool


class Name(Expression, frozen=True):
    """A field."""

    name: str


class Negate(Expression, frozen=True):
    """Unary minus."""

    operand: Expression


class Absolute(Expression, frozen=True):
    """abs(x)."""

    operand: Expression


class Lower(Expression, frozen=True):
    """lower(x)."""

    operand: Expression


class Elapsed(Expression, frozen=True):
    """days(x) and its siblings, where x is not a constant."""

    unit: str
    operand: Expression


class FirstKnown(Expression, frozen=True):
    """coalesce(x, y, ...)."""

    operands: tuple[Expression, ...]


class Arithmetic(Expression, frozen=True):
    """Two values joined by + - * /; no finite result means no value."""

    operator: Operator
    left: Expression
    right: Expression


class Compare(Expression, frozen=True):
    """Two values of one type compared."""

    operator: Comparison
    left: Expression
    right: Expression


class Between(Expression, frozen=True):
    """low <= operand and operand <= high."""

    operand: Expression
    low: Expression
    high: Expression


class Among(Expression, frozen=True):
    """operand in (values); `null_listed` when the list holds a null as well."""

    operand: Expression
    values: tuple[str | float | bool, ...]
    null_listed: bool


class Like(Expression, frozen=True):
    """operand like pattern: % is any text, _ one character, nothing escapes them."""

    operand: Expression
    pattern: str


class IsMissing(Expression, frozen=True):
    """operand is null."""

    operand: Expression


class IsTruth(Expression, frozen=True):
    """operand is true, operand is false: never unknown."""

    operand: Expression
    value: bool


class Not(Expression, frozen=True):
    """not operand."""

    operand: Expression


class And(Expression, frozen=True):
    """All parts hold."""

    parts: tuple[Expression, ...]


class Or(Expression, frozen=True):
    """Some part holds."""

    parts: tuple[Expression, ...]


_CALCULATIONS: dict[Operator, Callable[[float, float], float]] = {
    "+": add,
    "-": sub,
    "*": mul,
    "/": truediv,
}


def calculate(operator: Operator, left: float, right: float) -> float | None:
    """The result in doubles; None where it is not finite."""
    if operator == "/" and right == 0:
        return None
    result = _CALCULATIONS[operator](left, right)
    return result if isfinite(result) else None


@singledispatch
def spell(node: Expression) -> str:
    """The node as a merchant would write it."""
    raise TypeError(f"{type(node).__name__} has no spelling")


@spell.register
def _(node: Constant) -> str:
    return spell_value(node.value, node.type)


def spell_value(value: Value | None, kind: Type) -> str:
    """A value as it is written in a condition; instants stay microseconds."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case _ if kind == "duration":
            return _spell_duration(value)
        case _:
            return _spell_number(value)


def _spell_number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < EXACT else repr(value)


def _spell_duration(micros: float) -> str:
    unit = next((unit for unit in ("days", "hours") if micros % UNITS[unit] == 0), "minutes")
    amount = micros / UNITS[unit]
    return f"{'-' * (amount < 0)}{unit}({_spell_number(abs(amount))})"


@spell.register
def _(node: Name) -> str:
    return node.name


@spell.register
def _(node: Negate) -> str:
    return f"-({spell(node.operand)})"


@spell.register
def _(node: Absolute) -> str:
    return f"abs({spell(node.operand)})"


@spell.register
def _(node: Lower) -> str:
    return f"lower({spell(node.operand)})"


@spell.register
def _(node: Elapsed) -> str:
    return f"{node.unit}({spell(node.operand)})"


@spell.register
def _(node: FirstKnown) -> str:
    return f"coalesce({', '.join(spell(operand) for operand in node.operands)})"


@spell.register(Arithmetic)
@spell.register(Compare)
def _(node: Arithmetic | Compare) -> str:
    return f"{_operand(node.left)} {node.operator} {_operand(node.right)}"


@spell.register(Between)
@spell.register(Among)
@spell.register(Like)
@spell.register(IsMissing)
@spell.register(IsTruth)
def _(node: Expression) -> str:
    return _spell_test(node, "")


@spell.register
def _(node: Not) -> str:
    return _spell_test(node.operand, "not ") or f"not {_operand(node.operand)}"


@spell.register
def _(node: And) -> str:
    return " and ".join(_operand(part) for part in node.parts)


@spell.register
def _(node: Or) -> str:
    return " or ".join(_operand(part) for part in node.parts)


def _spell_test(node: Expression, negation: str) -> str:
    """The tests whose `not` stands inside; empty for any other node."""
    match node:
        case Between(operand=operand, low=low, high=high):
            return f"{_operand(operand)} {negation}between {_operand(low)} and {_operand(high)}"
        case Among(operand=operand, values=values, null_listed=null_listed):
            listed = [spell_value(value, operand.type) for value in values]
            listed += ["null"] * null_listed
            return f"{_operand(operand)} {negation}in ({', '.join(listed)})"
        case Like(operand=operand, pattern=pattern):
            return f"{_operand(operand)} {negation}like {spell_value(pattern, 'text')}"
        case IsMissing(operand=operand):
            return f"{_operand(operand)} is {negation}null"
        case IsTruth(operand=operand, value=value):
            return f"{_operand(operand)} is {negation}{spell_value(value, 'boolean')}"
        case _:
            return ""


_ATOMS = (Constant, Name, Negate, Absolute, Lower, Elapsed, FirstKnown)


def _operand(node: Expression) -> str:
    text = spell(node)
    return text if isinstance(node, _ATOMS) else f"({text})"
