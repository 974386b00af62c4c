"""What does a text say as a condition, and does every part of it fit the next?

Only the node kinds listed in `_READERS` are read; types are checked here, once, so that neither
reading has to. Everything else is a `Refusal` with its place.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import sqlglot
from sqlglot import Token, TokenType, exp
from sqlglot.errors import ParseError

from aftersale.kernel.errors import Refusal
from aftersale.segments.expression import (
    UNITS,
    Absolute,
    Among,
    And,
    Arithmetic,
    Between,
    Compare,
    Comparison,
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
    Operator,
    Or,
    calculate,
)
from aftersale.segments.fields import Field, Type
from aftersale.segments.words import read_words, refuse

MOST_NESTED = 40
"""Deeper than anybody writes, and well below what Python lets generated code be indented."""

_NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)

_COMPARISONS: dict[type[exp.Expr], Comparison] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_OPERATORS: dict[type[exp.Expr], Operator] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
}
_RESULTS: dict[tuple[Type, Operator, Type], Type] = {
    ("number", "+", "number"): "number",
    ("number", "-", "number"): "number",
    ("number", "*", "number"): "number",
    ("number", "/", "number"): "number",
    ("instant", "-", "instant"): "duration",
    ("instant", "+", "duration"): "instant",
    ("instant", "-", "duration"): "instant",
    ("duration", "+", "instant"): "instant",
    ("duration", "+", "duration"): "duration",
    ("duration", "-", "duration"): "duration",
}


def parse_condition(
    text: str, fields: Mapping[str, Field], scopes: frozenset[str] | None
) -> Expression:
    """The typed tree of a true-or-false expression; `Refusal` names the place of a mistake."""
    words = read_words(text, fields, scopes)
    try:
        tree = sqlglot.parse_one(text, into=exp.Condition)
        return _Reader(text, words, fields, tree).condition(tree)
    except ParseError as error:
        raise _refuse_syntax(text, words, error) from None
    except RecursionError:
        raise Refusal("the condition is nested too deeply", where="column 1") from None


def _refuse_syntax(text: str, words: list[Token], error: ParseError) -> Refusal:
    first = error.errors[0] if error.errors else {}
    at = (first.get("line"), first.get("col"))
    word = next((word for word in words if (word.line, word.col) == at), words[-1])
    written = text[word.start : word.end + 1]
    description = str(first.get("description", ""))
    if description.startswith("Required"):
        return refuse(text, word.start, f"something is missing at {written}")
    if description.startswith("The number of"):
        return refuse(text, word.start, "the function before this takes one value")
    return refuse(text, word.start, f"{written} is not expected here", hint="join with and, or")


class _Reader:
    """Turns the parser's tree into ours; `within` counts how deep it stands."""

    def __init__(
        self, text: str, words: list[Token], fields: Mapping[str, Field], tree: exp.Expr
    ) -> None:
        self._text = text
        self._words = words
        self._fields = fields
        self._within = 0
        self._starts = _starts_of_keywords(words, tree)

    def condition(self, node: exp.Expr) -> Expression:
        """A part that is true, false or unknown."""
        part = self.value(node)
        if part.type != "boolean":
            raise self._refuse(
                node,
                f"{_a(part.type)} stands where true or false is needed",
                hint="compare it with something",
            )
        return part

    def value(self, node: exp.Expr) -> Expression:
        """Any part; `not` written inside an operator is taken out."""
        read = _READERS.get(type(node))
        if read is None or not self._has_only_known_parts(node):
            raise self._refuse(node, "this is not part of the condition language")
        self._within += 1
        if self._within > MOST_NESTED:
            raise self._refuse(node, "the condition is nested too deeply here")
        part = read(self, node)
        self._within -= 1
        return Not("boolean", part) if node.args.get("negate") else part

    def _has_only_known_parts(self, node: exp.Expr) -> bool:
        return all(name in _PARTS for name, part in node.args.items() if part)

    def name(self, node: exp.Column) -> Expression:
        """A field; the words were checked before, so it is known."""
        name = ".".join(part.name for part in node.parts)
        if name not in self._fields or not all(
            isinstance(part, exp.Identifier) for part in node.parts
        ):
            raise self._refuse(node, "this is not part of the condition language")
        return Name(self._fields[name].type, name)

    def literal(self, node: exp.Literal) -> Expression:
        """Text or a number."""
        if node.is_string:
            return Constant("text", node.name)
        value = float(node.name) if _NUMBER.fullmatch(node.name) else float("inf")
        if value == float("inf"):
            raise self._refuse(node, f"{node.name} is no number of conditions")
        return Constant("number", value)

    def boolean(self, node: exp.Boolean) -> Expression:
        """True or false."""
        return Constant("boolean", bool(node.this))

    def null(self, node: exp.Null) -> Expression:
        """Only where a reader asks for it; elsewhere it would make everything unknown."""
        raise self._refuse(
            node,
            "null here makes the answer always unknown",
            hint="to ask whether a value is missing, write x is null",
        )

    def connective(self, node: exp.And | exp.Or) -> Expression:
        """A chain of one connective is one node, however long."""
        parts: list[exp.Expr] = []
        rest: exp.Expr = node
        while type(rest) is type(node):
            parts.append(rest.expression)
            rest = rest.this
        read = tuple(self.condition(part) for part in [rest, *reversed(parts)])
        return And("boolean", read) if isinstance(node, exp.And) else Or("boolean", read)

    def negation(self, node: exp.Not) -> Expression:
        """Not."""
        return Not("boolean", self.condition(node.this))

    def comparison(self, node: exp.Binary) -> Expression:
        """Two values of one type."""
        operator = _COMPARISONS[type(node)]
        left, right = self.value(node.this), self.value(node.expression)
        self._must_compare(node.this, left, right)
        if left.type == "boolean" and operator not in {"=", "<>"}:
            raise self._refuse(node, "true and false have no order", hint="write = or <>")
        return Compare("boolean", operator, left, right)

    def between(self, node: exp.Between) -> Expression:
        """Both bounds belong to it."""
        operand = self.value(node.this)
        low, high = self.value(node.args["low"]), self.value(node.args["high"])
        self._must_compare(node.this, operand, low)
        self._must_compare(node.this, operand, high)
        if operand.type == "boolean":
            raise self._refuse(node, "true and false have no order", hint="write = or <>")
        return Between("boolean", operand, low, high)

    def among(self, node: exp.In) -> Expression:
        """A list of constants, null allowed."""
        operand = self.value(node.this)
        if not node.expressions:
            raise self._refuse(node, "in needs a list of values", hint="write x in ('a', 'b')")
        values = []
        for item in node.expressions:
            if isinstance(item, exp.Null):
                continue
            value = self.value(item)
            if not isinstance(value, Constant):
                raise self._refuse(
                    item, "a list holds constants only", hint="compare with = and join with or"
                )
            self._must_compare(item, operand, value)
            values.append(value.value)
        return Among("boolean", operand, tuple(values), len(values) < len(node.expressions))

    def like(self, node: exp.Like) -> Expression:
        """Text against a pattern that is written out."""
        operand = self.value(node.this)
        self._must_be(node.this, operand, "text")
        pattern = node.expression
        if not (isinstance(pattern, exp.Literal) and pattern.is_string):
            raise self._refuse(
                pattern, "the pattern of like is text", hint="write like 'A%' with its quotes"
            )
        return Like("boolean", operand, pattern.name)

    def is_(self, node: exp.Is) -> Expression:
        """Is null, is true, is false."""
        operand = self.value(node.this)
        match node.expression:
            case exp.Null():
                return IsMissing("boolean", operand)
            case exp.Boolean() as truth:
                self._must_be(node.this, operand, "boolean")
                return IsTruth("boolean", operand, bool(truth.this))
            case other:
                raise self._refuse(
                    other, "is takes null, true or false", hint="compare values with ="
                )

    def arithmetic(self, node: exp.Binary) -> Expression:
        """Numbers with numbers, instants and durations with + and -."""
        operator = _OPERATORS[type(node)]
        left, right = self.value(node.this), self.value(node.expression)
        result = _RESULTS.get((left.type, operator, right.type))
        if result is None:
            timed = {left.type, right.type} & {"instant", "duration"}
            raise self._refuse(
                node,
                f"{_a(left.type)} {operator} {_a(right.type)} has no meaning",
                hint="a duration is written days(10)" if timed else "",
            )
        if not (isinstance(left, Constant) and isinstance(right, Constant)):
            return Arithmetic(result, operator, left, right)
        value = calculate(operator, float(left.value), float(right.value))
        if value is None:
            raise self._refuse(
                node, "this has no value: a division by zero or a far too large number"
            )
        return Constant(result, value)

    def minus(self, node: exp.Neg) -> Expression:
        """Minus a number or a duration."""
        operand = self._quantity(node.this)
        if isinstance(operand, Constant):
            return Constant(operand.type, -float(operand.value))
        return Negate(operand.type, operand)

    def absolute(self, node: exp.Abs) -> Expression:
        """abs(x) of a number or a duration."""
        operand = self._quantity(node.this)
        if isinstance(operand, Constant):
            return Constant(operand.type, abs(float(operand.value)))
        return Absolute(operand.type, operand)

    def _quantity(self, node: exp.Expr) -> Expression:
        operand = self.value(node)
        if operand.type not in {"number", "duration"}:
            raise self._refuse(
                node, f"{_a(operand.type)} stands where a number or a duration is needed"
            )
        return operand

    def lower(self, node: exp.Lower) -> Expression:
        """Text in small letters."""
        operand = self.value(node.this)
        self._must_be(node.this, operand, "text")
        return Lower("text", operand)

    def first_known(self, node: exp.Coalesce) -> Expression:
        """coalesce(x, y, ...); a null in it says nothing and falls out."""
        written = [
            item for item in (node.this, *node.expressions) if not isinstance(item, exp.Null)
        ]
        if not written:
            raise self._refuse(node, "coalesce of nothing but null is always unknown")
        operands = tuple(self.value(item) for item in written)
        for item, operand in zip(written, operands, strict=True):
            self._must_be(item, operand, operands[0].type)
        return FirstKnown(operands[0].type, operands)

    def call(self, node: exp.Anonymous) -> Expression:
        """days(n), hours(n), minutes(n), weeks(n)."""
        unit = str(node.this).lower()
        if unit not in UNITS:
            raise self._refuse(node, f"there is no function {unit}")
        if len(node.expressions) != 1:
            raise self._refuse(node, f"{unit} takes one number", hint=f"write {unit}(10)")
        amount = self.value(node.expressions[0])
        self._must_be(node.expressions[0], amount, "number")
        if not isinstance(amount, Constant):
            return Elapsed("duration", unit, amount)
        micros = calculate("*", float(amount.value), float(UNITS[unit]))
        if micros is None:
            raise self._refuse(node, "this duration is far too large")
        return Constant("duration", micros)

    def bracketed(self, node: exp.Paren) -> Expression:
        """Parentheses only group."""
        return self.value(node.this)

    def _must_be(self, node: exp.Expr, part: Expression, kind: Type) -> None:
        if part.type != kind:
            raise self._refuse(node, f"{_a(part.type)} stands where {_a(kind)} is needed")

    def _must_compare(self, node: exp.Expr, left: Expression, right: Expression) -> None:
        if left.type == right.type:
            return
        timed = {left.type, right.type} & {"instant", "duration"}
        hint = "an instant is written now - days(10), a duration days(10)" if timed else ""
        raise self._refuse(
            node, f"{_a(left.type)} cannot be compared with {_a(right.type)}", hint=hint
        )

    def _refuse(self, node: exp.Expr, what: str, *, hint: str = "") -> Refusal:
        return refuse(self._text, self._start(node), what, hint=hint)

    def _start(self, node: exp.Expr) -> int:
        """Where the node begins; operators have no place of their own, their operands do."""
        starts = [
            start
            for part in node.walk()
            if (start := part.meta.get("start", self._starts.get(id(part)))) is not None
        ]
        return min(starts, default=0)


def _starts_of_keywords(words: list[Token], tree: exp.Expr) -> dict[int, int]:
    """The places of null, true and false: the parser drops them, but keeps their order."""
    kinds = {TokenType.NULL, TokenType.TRUE, TokenType.FALSE}
    places = [word.start for word in words if word.token_type in kinds]
    nodes = [node for node in tree.dfs() if isinstance(node, exp.Null | exp.Boolean)]
    return {id(node): start for node, start in zip(nodes, places, strict=False)}


def _a(kind: Type) -> str:
    return {"text": "text", "boolean": "true or false", "instant": "an instant"}.get(
        kind, f"a {kind}"
    )


_PARTS = {
    "field",
    "this",
    "expression",
    "expressions",
    "low",
    "high",
    "negate",
    "table",
    "is_string",
}
"""The parts a listed node may have; any other (an escape, a query, a database) is refused."""

_READERS: dict[type[exp.Expr], Callable[[_Reader, Any], Expression]] = {
    exp.Column: _Reader.name,
    exp.Literal: _Reader.literal,
    exp.Boolean: _Reader.boolean,
    exp.Null: _Reader.null,
    exp.And: _Reader.connective,
    exp.Or: _Reader.connective,
    exp.Not: _Reader.negation,
    exp.Between: _Reader.between,
    exp.In: _Reader.among,
    exp.Like: _Reader.like,
    exp.Is: _Reader.is_,
    exp.Neg: _Reader.minus,
    exp.Abs: _Reader.absolute,
    exp.Lower: _Reader.lower,
    exp.Coalesce: _Reader.first_known,
    exp.Anonymous: _Reader.call,
    exp.Paren: _Reader.bracketed,
    **dict.fromkeys(_COMPARISONS, _Reader.comparison),
    **dict.fromkeys(_OPERATORS, _Reader.arithmetic),
}
