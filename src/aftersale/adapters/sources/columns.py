"""How is a value of a file's column read, written as SQL?

Every function here gives an SQL expression. A value that cannot be read is NULL; the reasons for
rejecting a row are made of that. Instants are microseconds, money minor units, halves to even.
"""
# ruff: noqa: S608 - names are quoted by `field` and texts by `literal`

from collections.abc import Iterable, Sequence
from functools import lru_cache

from aftersale.adapters.sources.files import Table, field, literal
from aftersale.adapters.sources.mapping import Mapping, Rule, Test
from aftersale.kernel.instants import DAY
from aftersale.kernel.zones import offset_at

FIRST_WALL = 631_152_000_000_000
"""1990-01-01; before it, and from 2070 on, the zone tables know nothing."""
LAST_WALL = 3_155_760_000_000_000
LONGEST_NAME = 200
MOST_PIECES = 1_000_000
_EPOCHS = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}
_BLANKS = " \t\r\n\u00a0"
_OFFSET = r":\d{2}(?:[.,]\d+)?\s*([Zz]|[+-]\d{2}(?::?\d{2})?)$"


class Steps:
    """Expressions that are worked out one after the other, so that none is written out twice.

    A query that repeats an expression within another grows with every level; here each gets a
    name at its level, and the levels become nested selects.
    """

    def __init__(self) -> None:
        self._levels: list[dict[str, str]] = [{} for _ in range(5)]

    def let(self, level: int, expression: str) -> str:
        """The name of an expression that uses names of lower levels only."""
        names = self._levels[level]
        return names.setdefault(expression, f"v{level}_{len(names)}")

    def over(self, source: str) -> str:
        """The select that adds every name to the rows of the source."""
        for names in self._levels:
            if names:
                added = ", ".join(f"{expression} as {name}" for expression, name in names.items())
                source = f"(select *, {added} from {source})"
        return source


class Reader:
    """Reads the columns of one table as one mapping means them."""

    def __init__(self, mapping: Mapping, table: Table) -> None:
        self._mapping = mapping
        self._table = table
        self._missing = ", ".join(literal(word) for word in mapping.missing)
        self.steps = Steps()

    def text(self, columns: Sequence[str]) -> str:
        """Text without blanks around it; of several columns the first that says something."""
        parts = [self._text(column) for column in columns]
        return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"

    def _text(self, column: str) -> str:
        return self.steps.let(0, self._raw_text(column))

    def _raw_text(self, column: str) -> str:
        name, kind = field(column), self._table.columns[column]
        if kind in {"FLOAT", "DOUBLE"}:
            # A column of whole numbers with gaps often arrives as 17850.0.
            return (
                f"case when isfinite({name}) and {name} = trunc({name}) and abs({name}) < 1e15"
                f" then cast(cast({name} as bigint) as varchar) else cast({name} as varchar) end"
            )
        if kind != "VARCHAR":
            return f"cast({name} as varchar)"
        # Trimming is dear and rarely needed: a text below "!" is empty or begins with a blank.
        odd = f"{name} < '!' or {name}[-1] <= ' ' or {name}[1] = '\u00a0' or {name}[-1] = '\u00a0'"
        trimmed = f"nullif(trim({name}, {literal(_BLANKS)}), '')"
        bare = f"(case when {odd} then {trimmed} else {name} end)"
        if not self._missing:
            return bare
        return f"case when {bare} in ({self._missing}) then null else {bare} end"

    def missing(self, column: str) -> str:
        """Whether the row says nothing there."""
        text = self._table.columns[column] == "VARCHAR"
        return f"{self._text(column) if text else field(column)} is null"

    def number(self, column: str) -> str:
        """A decimal with six places, below a thousand billions; NULL where there is none."""
        if self._table.columns[column] != "VARCHAR":
            return self.steps.let(1, f"try_cast({field(column)} as decimal(18, 6))")
        text = self._text(column)
        if self._mapping.decimal == ",":
            text = f"replace(replace({text}, '.', ''), ',', '.')"
        return self.steps.let(1, f"try_cast({text} as decimal(18, 6))")

    def minor(self, amount: str, factor: str) -> str:
        """Minor units of a decimal amount: `factor` of them make one, halves go to even."""
        exact = self.steps.let(3, f"({amount}) * ({factor})")
        whole = self.steps.let(4, f"floor({exact})")
        rest = f"({exact} - {whole})"
        return (
            f"try_cast({whole} + case when {rest} > 0.5 or ({rest} = 0.5 and {whole} % 2 <> 0)"
            " then 1 else 0 end as bigint)"
        )

    def time(self, column: str) -> tuple[str, str]:
        """Wall time of the mapping's zone, and instant: one of the two is NULL."""
        name, kind = field(column), self._table.columns[column]
        form = self._mapping.time_format
        if kind.startswith("TIMESTAMP WITH TIME ZONE"):
            return "null::bigint", f"epoch_us({name})"
        if kind.startswith(("TIMESTAMP", "DATE")):
            return f"epoch_us(try_cast({name} as timestamp))", "null::bigint"
        text = self._text(column)
        if form in _EPOCHS:
            number = f"try_cast({text} as decimal(24, 6))"
            return "null::bigint", f"try_cast({number} * {_EPOCHS[form]} as bigint)"
        if form and "%z" in form:
            return "null::bigint", f"epoch_us(try_strptime({text}, {literal(form)}))"
        if form:
            moment = f"try_strptime({text}, {literal(form)})"
            return f"epoch_us(try_cast({moment} as timestamp))", "null::bigint"
        return self._iso(text)

    def _iso(self, text: str) -> tuple[str, str]:
        # The cast to a timestamp passes over an offset, so it is taken off first and subtracted.
        # Most times have none, and looking closely at each of them would cost more than all else.
        may = " or ".join(f"contains(substr({text}, 14), '{sign}')" for sign in "+-zZ")
        found = f"coalesce(regexp_extract({text}, {literal(_OFFSET)}, 1), '')"
        offset = self.steps.let(1, f"case when {may} then {found} else '' end")
        bare = f"rtrim(left({text}, length({text}) - length({offset})))"
        bare = f"case when {offset} = '' then {text} else {bare} end"
        shown = self.steps.let(2, f"epoch_us(try_cast({bare} as timestamp))")
        hours = f"cast(substr({offset}, 2, 2) as bigint) * 60"
        minutes = f"coalesce(try_cast(substr(replace({offset}, ':', ''), 4) as bigint), 0)"
        sign = f"case when left({offset}, 1) = '-' then -1 else 1 end"
        ahead = (
            f"case when lower({offset}) = 'z' then 0"
            f" else ({hours} + {minutes}) * 60000000 * {sign} end"
        )
        return (
            f"case when {offset} = '' then {shown} end",
            f"case when {offset} <> '' then {shown} - ({ahead}) end",
        )

    def condition(self, rules: Sequence[Rule]) -> str:
        """Whether any of the rules is about the row."""
        return " or ".join(self._rule(rule) for rule in rules) or "false"

    def _rule(self, rule: Rule) -> str:
        when = " and ".join(self._test(c, t) for c, t in rule.when.items()) or "true"
        if not rule.unless:
            return f"({when})"
        unless = " and ".join(self._test(c, t) for c, t in rule.unless.items())
        return f"({when} and not ({unless}))"

    def _test(self, name: str, test: Test) -> str:
        column = self._mapping.place_of(name)[1]
        text = self._text(column)
        parts = []
        if test.equals is not None:
            parts.append(self._equals(column, test.equals))
        if test.starts_with is not None:
            starts = [test.starts_with] if isinstance(test.starts_with, str) else test.starts_with
            parts.append(_any(f"starts_with({text}, {literal(start)})" for start in starts))
        if test.matches is not None:
            parts.append(_any([f"regexp_full_match({text}, {literal(test.matches)})"]))
        if test.less_than is not None:
            parts.append(_any([f"{self.number(column)} < {test.less_than}"]))
        if test.more_than is not None:
            parts.append(_any([f"{self.number(column)} > {test.more_than}"]))
        if test.is_missing is not None:
            parts.append(f"{text} is {'' if test.is_missing else 'not '}null")
        return "(" + (" and ".join(parts) or "true") + ")"

    def _equals(self, column: str, asked: str | float | list[str | int | float]) -> str:
        given = asked if isinstance(asked, list) else [asked]
        words = [literal(word) for word in given if isinstance(word, str)]
        numbers = [str(number) for number in given if not isinstance(number, str)]
        either = [f"{self._text(column)} in ({', '.join(words)})"] if words else []
        either += [f"{self.number(column)} in ({', '.join(numbers)})"] if numbers else []
        return _any(either)


def _any(conditions: Iterable[str]) -> str:
    """Whether one of them is true; what is not known is not true."""
    return "(" + (" or ".join(f"coalesce({c}, false)" for c in conditions) or "false") + ")"


def known_time(wall: str, utc: str) -> str:
    """Whether a time lies in the years for which zones are known."""
    either = f"coalesce({wall}, {utc})"
    return f"coalesce({either} >= {FIRST_WALL} and {either} < {LAST_WALL}, false)"


@lru_cache(maxsize=64)
def jumps(zone: str, first: int, last: int) -> tuple[tuple[int, int, int], ...]:
    """When the zone's clock jumps between two instants: (instant, offset before, offset after)."""
    found = []
    low, high = first - 2 * DAY, last + 2 * DAY
    before = offset_at(low, zone)
    while low < high:
        after = offset_at(low + DAY, zone)
        if after != before:
            left, right = low, low + DAY
            while right - left > 1:
                middle = (left + right) // 2
                left, right = (
                    (middle, right) if offset_at(middle, zone) == before else (left, middle)
                )
            found.append((right, before, after))
        low, before = low + DAY, after
    return tuple(found)


def instant(wall: str, zone: str, first: int, last: int) -> str:
    """The first instant at which the zone's clock shows (or has passed) a wall time.

    The walls lie between `first` and `last`. The same as `kernel.zones.instants_at(...)[0]`.
    """
    cases = []
    for moment, before, after in jumps(zone, first - DAY, last + DAY):
        cases.append(f"when {wall} < {moment + before} then {wall} - {before}")
        if after > before:
            cases.append(f"when {wall} < {moment + after} then {moment}")
    ending = offset_at(last + 3 * DAY, zone)
    if not cases:
        return f"({wall} - {ending})"
    return f"(case {' '.join(cases)} else {wall} - {ending} end)"
