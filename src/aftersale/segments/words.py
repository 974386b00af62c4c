"""Is every word and sign of a condition one we know, and where is the first that is not?

The check comes before the parse, so that a foreign word is refused at its own place and never
reaches a parser that knows far more of SQL than conditions may use.
"""

from collections.abc import Mapping

import sqlglot
from sqlglot import Token, TokenType
from sqlglot.errors import SqlglotError

from aftersale.kernel.errors import Refusal
from aftersale.segments.expression import UNITS
from aftersale.segments.fields import Field, nearest, visible

FUNCTIONS = (*UNITS, "coalesce", "lower", "abs")
KEYWORDS = {
    "and": TokenType.AND,
    "or": TokenType.OR,
    "not": TokenType.NOT,
    "is": TokenType.IS,
    "null": TokenType.NULL,
    "true": TokenType.TRUE,
    "false": TokenType.FALSE,
    "in": TokenType.IN,
    "between": TokenType.BETWEEN,
    "like": TokenType.LIKE,
}
MOST_WORDS = 600

_FOREIGN_QUOTES = '"`'

_SIGNS = {
    TokenType.L_PAREN,
    TokenType.R_PAREN,
    TokenType.COMMA,
    TokenType.DOT,
    TokenType.EQ,
    TokenType.NEQ,
    TokenType.LT,
    TokenType.LTE,
    TokenType.GT,
    TokenType.GTE,
    TokenType.PLUS,
    TokenType.DASH,
    TokenType.STAR,
    TokenType.SLASH,
    TokenType.STRING,
    TokenType.NUMBER,
}

_INSTEAD = {
    "select": "a condition is one true-or-false expression; name a field instead",
    "case": "join the cases with and, or",
    "as": "a condition has no name of its own; the file that holds it gives one",
    "ilike": "write lower(x) like '...'",
    "interval": "write a duration as days(10)",
    "current_timestamp": "write now",
    "current_date": "write now",
    "today": "write now",
    "cast": "values keep the type of their field",
    ";": "write one condition; join two with and, or",
    "==": "write =",
    "||": "write or",
    "&&": "write and",
    "::": "values keep the type of their field",
    "--": "put comments beside the condition; -(-x) is a minus twice",
    "/*": "put comments beside the condition",
}


def place(text: str, offset: int) -> str:
    """Where a character stands, counted from 1; the line is named where there are several."""
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    return f"line {line}, column {column}" if "\n" in text.strip() else f"column {column}"


def refuse(text: str, offset: int, what: str, *, why: str = "", hint: str = "") -> Refusal:
    """A refusal that names the place."""
    return Refusal(what, where=place(text, offset), why=why, hint=hint)


def read_words(
    text: str, fields: Mapping[str, Field], scopes: frozenset[str] | None
) -> list[Token]:
    """The words of a condition, each of them known; `Refusal` at the first that is not."""
    words = _tokens(text)
    opened: list[Token] = []
    check = _Check(text, words, fields, scopes)
    for index, word in enumerate(words):
        check.sign(word)
        if word.token_type is TokenType.L_PAREN:
            opened.append(word)
        elif word.token_type is TokenType.R_PAREN:
            if not opened:
                raise refuse(text, word.start, "this ) closes nothing")
            opened.pop()
        elif word.token_type not in _SIGNS:
            check.word(index)
    if opened:
        raise refuse(text, opened[-1].start, "this ( is never closed")
    return words


def _tokens(text: str) -> list[Token]:
    try:
        words = sqlglot.tokenize(text)
    except SqlglotError:
        raise refuse(text, max(text.rfind("'"), 0), "this quote is never closed") from None
    if not words:
        raise Refusal("the condition is empty", where="column 1", hint="write true for everybody")
    if len(words) > MOST_WORDS:
        raise refuse(
            text,
            words[MOST_WORDS].start,
            f"a condition has at most {MOST_WORDS} words",
            hint="split it into segments",
        )
    return words


class _Check:
    """What is known about the words of one condition."""

    def __init__(
        self,
        text: str,
        words: list[Token],
        fields: Mapping[str, Field],
        scopes: frozenset[str] | None,
    ) -> None:
        self._text = text
        self._words = words
        self._fields = fields
        self._readable = visible(fields, scopes)

    def sign(self, word: Token) -> None:
        """Refuse a comment, a foreign quote, a foreign operator."""
        if word.comments:
            marks = (self._text.find("--"), self._text.find("/*"))
            at = min(mark for mark in marks if mark >= 0)
            hint = _INSTEAD[self._text[at : at + 2]]
            raise refuse(self._text, at, "a condition holds no comments", hint=hint)
        written = self._written(word)
        if written[0] in _FOREIGN_QUOTES:
            bare = written.strip(_FOREIGN_QUOTES)
            raise refuse(
                self._text,
                word.start,
                f"{written} is in the wrong quotes",
                hint=f"text stands in single quotes: '{bare}'",
            )
        foreign = word.token_type not in _SIGNS and not _spelled_as_word(written)
        if foreign or written == "==":
            raise refuse(
                self._text,
                word.start,
                f"{written} is no sign of conditions",
                hint=_INSTEAD.get(written, ""),
            )

    def word(self, index: int) -> None:
        """Refuse an unknown keyword, function or field; a name is judged at its first half."""
        if self._is(index - 1, TokenType.DOT):
            return
        start, written = self._words[index].start, self._written(self._words[index])
        if self._is(index + 1, TokenType.DOT):
            if self._is(index + 3, TokenType.DOT):
                at = self._words[index + 3].start
                raise refuse(self._text, at, "a name has one dot at most")
            half = self._words[index + 2 : index + 3]
            self._name(start, f"{written}.{self._written(half[0]) if half else ''}")
        elif written.lower() not in KEYWORDS:
            if not self._is(index + 1, TokenType.L_PAREN):
                self._name(start, written)
            elif written.lower() not in FUNCTIONS:
                raise self._unknown(start, written, f"there is no function {written}", FUNCTIONS)

    def _name(self, start: int, name: str) -> None:
        field = self._fields.get(name)
        if field is None:
            words = (*self._readable, *KEYWORDS, *FUNCTIONS)
            kind = "field" if "." in name else "field or word"
            raise self._unknown(start, name, f"there is no {kind} {name}", words)
        if name not in self._readable:
            article = "an" if field.scope[:1] in "aeiou" else "a"
            raise refuse(
                self._text,
                start,
                f"{name} cannot be read here",
                why=f"it exists only where there is {article} {field.scope}",
            )

    def _unknown(self, start: int, written: str, what: str, words: tuple[str, ...]) -> Refusal:
        near = nearest(written, words)
        if near in FUNCTIONS:
            near += "(...)"
        hint = _INSTEAD.get(written.lower()) or (f"did you mean {near}?" if near else "")
        return refuse(self._text, start, what, hint=hint)

    def _written(self, word: Token) -> str:
        return self._text[word.start : word.end + 1]

    def _is(self, index: int, kind: TokenType) -> bool:
        return 0 <= index < len(self._words) and self._words[index].token_type is kind


def _spelled_as_word(written: str) -> bool:
    return written.isascii() and written.isidentifier()
