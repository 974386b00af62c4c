"""What do the columns of a merchant's file mean?

A mapping is a TOML file beside the data (docs/reference/mapping.md). Everything in it is checked
before a row is read; what is wrong is refused with its line and the nearest right word.
"""

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from aftersale.kernel.errors import Refusal
from aftersale.kernel.instants import Instant, parse_instant
from aftersale.kernel.zones import is_zone

Kind = Literal["orders", "events", "products"]

ORDER_COLUMNS = (
    "order", "at", "customer", "email", "phone", "country", "locale", "currency", "total",
    "discount", "shipping", "code", "channel", "payment", "carrier", "parcel", "reason",
    "shipped_at", "promised_at", "delivered_at", "approved_at", "cancelled_at", "returned_order",
)  # fmt: skip
"""Told once an order; where an order has several rows, the first that says it counts."""

LINE_COLUMNS = ("product", "name", "category", "quantity", "price", "amount", "line_shipping")
REVIEW_COLUMNS = (
    "review", "rating", "reviewed_at", "review_product", "review_title", "review_text",
)  # fmt: skip
EVENT_COLUMNS = (
    "id", "type", "at", "shop", "customer", "email", "phone", "anonymous", "order", "country",
    "locale", "customer_zone",
)  # fmt: skip
PRODUCT_COLUMNS = ("product", "name", "category", "kind", "price", "supply_days", "brand")

COLUMNS: dict[Kind, tuple[str, ...]] = {
    "orders": (*ORDER_COLUMNS, *LINE_COLUMNS, *REVIEW_COLUMNS),
    "events": EVENT_COLUMNS,
    "products": PRODUCT_COLUMNS,
}
NEEDED: dict[Kind, tuple[str, ...]] = {
    "orders": ("order", "at"),
    "events": ("id", "type", "at"),
    "products": ("product",),
}


class Test(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question to one value; several in one test must all be true."""

    equals: str | int | float | list[str | int | float] | None = None
    starts_with: str | list[str] | None = None
    matches: str | None = None
    """A regular expression that the whole value must match."""
    less_than: float | None = None
    more_than: float | None = None
    is_missing: bool | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows for which all of `when` is true and not all of `unless`."""

    when: dict[str, Test]
    unless: dict[str, Test] = {}
    reason: str = ""


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What kinds of rows there are besides lines of orders."""

    ignore: list[Rule] = []
    returns: list[Rule] = []
    cancelled: list[Rule] = []
    shipping: list[Rule] = []
    discount: list[Rule] = []
    duplicates: Literal["ignore", "keep"] = "ignore"
    """What to do with a row that equals an earlier one in every column."""


class Related(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another file that says more about the rows of this one."""

    file: str
    """Relative to the main file."""
    on: str
    """The column of this file that holds the key."""
    to: str = ""
    """The column it points to; the column of that name in the main file where nothing is said."""
    optional: bool = False


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which consent the merchant already has from customers of the file."""

    basis: str
    channel: str = "email"
    purpose: str = "marketing"
    countries: list[str] = []
    """Only customers whose order says one of these; empty means every country."""
    since: str = ""
    """Only orders from then on."""


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One mapping file."""

    source: str
    """Goes in front of the ids of events, so that two sources never collide."""
    columns: dict[str, str | list[str]]
    """Our word → column; of several columns the first that says something counts."""
    shop: str = ""
    zone: str = "UTC"
    """The zone of times that name none."""
    currency: str = ""
    time_format: str = ""
    """strptime, or seconds, milliseconds, microseconds since 1970; empty means ISO 8601."""
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"
    missing: list[str] = []
    """Further spellings of a value that is not there."""
    personal: dict[str, str] = {}
    data: dict[str, str] = {}
    """For events: field of the event → column."""
    countries: dict[str, str] = {}
    """Spelling in the file → ISO 3166-1 alpha-2, or nothing where it is no country."""
    rows: Rows = Rows()
    related: dict[str, Related] = {}
    consent: Consent | None = None

    def names(self, word: str) -> list[str]:
        """The columns of the file, as the mapping calls them, that hold what our word means."""
        found = self.columns.get(word, [])
        return [found] if isinstance(found, str) else list(found)

    def table_of(self, word: str) -> str:
        """Related file that holds it; empty for the main file."""
        names = self.names(word)
        return self.place_of(names[0])[0] if names else ""

    def place_of(self, name: str) -> tuple[str, str]:
        """Related file (empty: the main one) and column of what the mapping calls a column."""
        table, dot, column = name.partition(".")
        return (table, column) if dot and table in self.related else ("", name)

    def consent_since(self) -> Instant | None:
        """From which order on the consent holds."""
        if self.consent is None or not self.consent.since:
            return None
        return parse_instant(self.consent.since, zone=self.zone)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the word most like this one, or all of them where none is."""
    words = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), words, 1, 0.6)
    if close:
        return f"did you mean {words[close[0]]!r}?"
    return f"known are: {', '.join(words.values())}" if words else ""


def read_mapping(path: Path, kind: Kind) -> Mapping:
    """The mapping in a file, for that kind of import."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise Refusal(
            f"there is no mapping {path}",
            hint="name one with --map; see docs/reference/mapping.md",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"the mapping {path} cannot be read", why=str(error)) from None
    return mapping_of(text, kind, str(path))


def mapping_of(text: str, kind: Kind, where: str = "mapping") -> Mapping:
    """The mapping that a text says; `where` names it in refusals."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Refusal(f"the mapping is no TOML: {error}", where=where) from None
    place = _Places(text, where)
    _check_words(raw, kind, place)
    try:
        mapping = msgspec.convert(raw, Mapping, strict=True)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$.")
        at = path.rstrip("`")
        raise Refusal(f"the mapping is wrong: {what}", where=place(at) if at else where) from None
    _check_values(mapping, kind, place)
    return mapping


class _Places:
    """Says in which line of the mapping something stands."""

    def __init__(self, text: str, where: str) -> None:
        self._lines = text.splitlines()
        self._where = where

    def __call__(self, path: str) -> str:
        word = path.rpartition(".")[2].partition("[")[0]
        for number, line in enumerate(self._lines, 1):
            key = line.partition("=")[0] if "=" in line else line.strip().strip("[]")
            if word in {part.strip().strip("\"'") for part in key.split(".")}:
                return f"{self._where}:{number} {path}"
        return f"{self._where} {path}"


def _known(given: Any, known: Iterable[str], path: str, place: _Places) -> None:
    names = tuple(known)
    for key in given if isinstance(given, dict) else ():
        if key not in names:
            full = f"{path}.{key}" if path else str(key)
            raise Refusal(
                f"the mapping knows no {key!r} here",
                where=place(full),
                hint=nearest(key, names),
            )


def _check_words(raw: dict[str, Any], kind: Kind, place: _Places) -> None:
    _known(raw, Mapping.__struct_fields__, "", place)
    _known(raw.get("columns"), COLUMNS[kind], "columns", place)
    _known(raw.get("consent"), Consent.__struct_fields__, "consent", place)
    related = raw.get("related")
    for name, table in related.items() if isinstance(related, dict) else ():
        _known(table, Related.__struct_fields__, f"related.{name}", place)
    rows = raw.get("rows")
    _known(rows, Rows.__struct_fields__, "rows", place)
    for name, rules in rows.items() if isinstance(rows, dict) else ():
        for rule in rules if isinstance(rules, list) else ():
            _known(rule, Rule.__struct_fields__, f"rows.{name}", place)
            for side in ("when", "unless"):
                tests = rule.get(side) if isinstance(rule, dict) else None
                for column, test in tests.items() if isinstance(tests, dict) else ():
                    path = f"rows.{name}.{side}.{column}"
                    _known(test, Test.__struct_fields__, path, place)


def _check_values(mapping: Mapping, kind: Kind, place: _Places) -> None:
    if not mapping.source:
        raise Refusal("the mapping names no source", where=place("source"))
    for column in NEEDED[kind]:
        if column not in mapping.columns:
            raise Refusal(
                f"the mapping does not say which column is {column!r}", where=place("columns")
            )
    if not is_zone(mapping.zone):
        raise Refusal(f"{mapping.zone!r} is no time zone", where=place("zone"))
    money = {"price", "amount", "total"} & set(mapping.columns)
    if kind == "orders" and money and not (mapping.currency or "currency" in mapping.columns):
        raise Refusal(
            "the mapping has amounts but no currency",
            where=place("columns"),
            hint='write currency = "EUR" above [columns], or name the column that says it',
        )
    if mapping.currency and not _is_currency(mapping.currency):
        raise Refusal(f"{mapping.currency!r} is no currency code", where=place("currency"))
    for name, code in mapping.countries.items():
        if code and not (len(code) == 2 and code.isalpha() and code.isupper()):
            raise Refusal(f"{code!r} is no country code", where=place(f"countries.{name}"))
    for rule in mapping.rows.ignore:
        if not rule.reason:
            raise Refusal(
                "a rule that ignores rows must say its reason", where=place("rows.ignore")
            )
    _check_related(mapping, place)
    mapping.consent_since()


def _is_currency(code: str) -> bool:
    return len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()


_TOGETHER = (
    ("lines", ("product", "quantity", "price", "amount", "line_shipping")),
    (
        "reviews",
        ("review", "rating", "reviewed_at", "review_product", "review_title", "review_text"),
    ),
)
_PLAIN = {
    "at", "shipped_at", "promised_at", "delivered_at", "approved_at", "cancelled_at", "reviewed_at",
    "quantity", "price", "amount", "line_shipping", "total", "discount", "shipping", "rating",
}  # fmt: skip


def _check_related(mapping: Mapping, place: _Places) -> None:
    for word in _PLAIN & set(mapping.columns):
        if len(mapping.names(word)) != 1:
            raise Refusal(f"{word} is one column", where=place(f"columns.{word}"))
    for what, words in _TOGETHER:
        tables = {mapping.table_of(word) for word in words if word in mapping.columns}
        if len(tables) > 1:
            raise Refusal(f"the {what} are spread over several files", where=place("columns"))
    if "review" in mapping.columns:
        if not mapping.table_of("review"):
            raise Refusal("reviews come from a related file", where=place("columns.review"))
        if "reviewed_at" not in mapping.columns:
            raise Refusal(
                "the mapping does not say when reviews were written", where=place("columns")
            )
    for name in mapping.related:
        parent, seen = name, set[str]()
        while parent:
            if parent in seen:
                raise Refusal("related files point at each other", where=place(f"related.{name}"))
            seen.add(parent)
            table = mapping.related[parent]
            parent = mapping.place_of(table.to or table.on)[0]
