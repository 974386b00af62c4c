"""Which rows of a table does a condition hold for?

The second reading of the same tree: an Ibis filter, never executed here. It answers as
`Condition.holds` does, null for unknown. The column of a field `a.b` is `a__b`; instants and
durations are int64 microseconds.
"""

from functools import reduce, singledispatch
from operator import add, and_, eq, ge, gt, le, lt, mul, ne, or_, sub, truediv
from typing import Any

import ibis

from aftersale.kernel.errors import Refusal
from aftersale.segments.condition import Condition
from aftersale.segments.expression import (
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
)
from aftersale.segments.fields import Type, Value, nearest

_OPERATORS = {
    "=": eq, "<>": ne, "<": lt, "<=": le, ">": gt, ">=": ge,
    "+": add, "-": sub, "*": mul, "/": truediv,
}  # fmt: skip


def as_filter(condition: Condition, table: ibis.Table) -> ibis.expr.types.BooleanValue:
    """The condition as a column of true, false and null; `Refusal` if a column is not there."""
    for name in sorted(condition.names):
        if column_of(name) not in table.columns:
            near = nearest(column_of(name), table.columns)
            raise Refusal(
                f"the table has no column {column_of(name)}",
                why=f"the condition {condition.text!r} reads {name}",
                hint=f"its nearest column is {near}" if near else "",
            )
    return _column(condition.tree, table)


def column_of(name: str) -> str:
    """The column a field has in tables."""
    return name.replace(".", "__")


def _literal(value: Value, kind: Type) -> Any:
    if kind in {"text", "boolean"}:
        return ibis.literal(value)
    # Written as text: an engine may read 0.1 as a decimal and round it another way.
    return ibis.literal(repr(float(value))).cast("float64")


def _finite(value: Any) -> Any:
    return reduce(lambda rest, no: rest.nullif(no), map(ibis.literal, _NOT_FINITE), value)


def _negated(value: Any) -> Any:
    # `not x` is translated without parentheses: `not x in (...)`, `not x is null` would turn
    # into the negation of the whole.
    return value == ibis.literal(value=False)


_NOT_FINITE = (float("nan"), float("inf"), float("-inf"))


@singledispatch
def _column(node: Expression, table: ibis.Table) -> Any:
    raise TypeError(f"{type(node).__name__} has no column")


@_column.register
def _(node: Constant, table: ibis.Table) -> Any:
    return _literal(node.value, node.type)


@_column.register
def _(node: Name, table: ibis.Table) -> Any:
    column = table[column_of(node.name)]
    match node.type:
        case "text":
            return column.cast("string")
        case "boolean":
            return column.cast("boolean")
        case _:
            return column.cast("float64")


@_column.register
def _(node: Negate, table: ibis.Table) -> Any:
    return -_column(node.operand, table)


@_column.register
def _(node: Absolute, table: ibis.Table) -> Any:
    return _column(node.operand, table).abs()


@_column.register
def _(node: Lower, table: ibis.Table) -> Any:
    return _column(node.operand, table).lower()


@_column.register
def _(node: Elapsed, table: ibis.Table) -> Any:
    return _finite(_column(node.operand, table) * _literal(UNITS[node.unit], "duration"))


@_column.register
def _(node: FirstKnown, table: ibis.Table) -> Any:
    return ibis.coalesce(*(_column(operand, table) for operand in node.operands))


@_column.register
def _(node: Arithmetic, table: ibis.Table) -> Any:
    left, right = _column(node.left, table), _column(node.right, table)
    if node.operator == "/":
        right = right.nullif(_literal(0.0, "number"))
    return _finite(_OPERATORS[node.operator](left, right))


@_column.register
def _(node: Compare, table: ibis.Table) -> Any:
    return _OPERATORS[node.operator](_column(node.left, table), _column(node.right, table))


@_column.register
def _(node: Between, table: ibis.Table) -> Any:
    operand = _column(node.operand, table)
    return (operand >= _column(node.low, table)) & (operand <= _column(node.high, table))


@_column.register
def _(node: Among, table: ibis.Table) -> Any:
    # A null written as such turns a comparison around it into `is null`.
    unknown = ibis.literal(value=True).nullif(ibis.literal(value=True))
    if not node.values:
        return unknown
    operand = _column(node.operand, table)
    listed = [_literal(value, node.operand.type) for value in dict.fromkeys(node.values)]
    if node.operand.type == "boolean":
        # isin is translated without parentheses: `a = b in (true)` would compare b's answer.
        found = reduce(or_, (operand == value for value in listed))
    else:
        found = operand.isin(listed)
    return found | unknown if node.null_listed else found


@_column.register
def _(node: Like, table: ibis.Table) -> Any:
    return _column(node.operand, table).like(node.pattern)


@_column.register
def _(node: IsMissing, table: ibis.Table) -> Any:
    return _column(node.operand, table).isnull()


@_column.register
def _(node: IsTruth, table: ibis.Table) -> Any:
    operand = _column(node.operand, table)
    return ibis.coalesce(operand if node.value else _negated(operand), ibis.literal(value=False))


@_column.register
def _(node: Not, table: ibis.Table) -> Any:
    return _negated(_column(node.operand, table))


@_column.register
def _(node: And, table: ibis.Table) -> Any:
    return reduce(and_, (_column(part, table) for part in node.parts))


@_column.register
def _(node: Or, table: ibis.Table) -> Any:
    return reduce(or_, (_column(part, table) for part in node.parts))
