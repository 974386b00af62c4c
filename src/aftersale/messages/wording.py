"""How does a customer write a date or an amount?

Small tables of our own after the conventions of CLDR. A language that is not in them gets the
ISO forms, which are plain and never wrong.
"""

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from aftersale.kernel.instants import Instant, as_datetime
from aftersale.kernel.money import exponent, format_money
from aftersale.kernel.zones import offset_at

_RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ku", "ps", "ur", "yi"})

_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
    "dezembro",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre "
    "novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "de-AT": "Jänner Februar März April Mai Juni Juli August September Oktober November Dezember",
}
_DATES = {
    "en": "{day} {month} {year}",
    "en-US": "{month} {day}, {year}",
    "de": "{day}. {month} {year}",
    "fr": "{day} {month} {year}",
    "pt": "{day} de {month} de {year}",
    "es": "{day} de {month} de {year}",
    "it": "{day} {month} {year}",
    "nl": "{day} {month} {year}",
}


class _Style(msgspec.Struct, frozen=True, gc=False):
    """How a locale writes money."""

    symbol_first: bool
    space: bool
    group: str
    decimal: str
    grouped_from: int = 4
    """Digits before the decimal mark from which on they are grouped."""


_BEFORE_POINT = _Style(symbol_first=True, space=False, group=",", decimal=".")
_AFTER_COMMA = _Style(symbol_first=False, space=True, group=".", decimal=",")
_BEFORE_COMMA = _Style(symbol_first=True, space=True, group=".", decimal=",")
_AMOUNTS = {
    "en": _BEFORE_POINT,
    "de": _AFTER_COMMA,
    "de-AT": _BEFORE_COMMA,
    "de-CH": _Style(symbol_first=True, space=True, group="’", decimal="."),
    "fr": _Style(symbol_first=False, space=True, group="\u202f", decimal=","),
    "pt": _BEFORE_COMMA,
    "pt-PT": _Style(symbol_first=False, space=True, group="\u00a0", decimal=",", grouped_from=5),
    "es": _Style(symbol_first=False, space=True, group=".", decimal=",", grouped_from=5),
    "es-MX": _BEFORE_POINT,
    "es-US": _BEFORE_POINT,
    "it": _AFTER_COMMA,
    "nl": _BEFORE_COMMA,
}
_SYMBOLS = {
    "AUD": "A$",
    "BRL": "R$",
    "CAD": "CA$",
    "EUR": "€",
    "GBP": "£",
    "INR": "₹",
    "JPY": "¥",
    "NZD": "NZ$",
    "USD": "$",
}


@lru_cache(maxsize=256)
def split_locale(locale: str) -> tuple[str, str]:
    """Language and region of a locale: `de_at` → ("de", "AT"), `en` → ("en", "")."""
    language, *rest = locale.replace("_", "-").split("-")
    region = next((part.upper() for part in rest if len(part) == 2), "")
    return language.lower(), region


def direction(locale: str) -> str:
    """The direction in which the language is written: ltr or rtl."""
    return "rtl" if split_locale(locale)[0] in _RIGHT_TO_LEFT else "ltr"


def _looked_up(table: Mapping[str, object], locale: str) -> object | None:
    language, region = split_locale(locale)
    return table.get(f"{language}-{region}", table.get(language))


def format_date(instant: Instant, zone: str, locale: str) -> str:
    """The calendar day of the instant in the zone: `3 March 2026`, else `2026-03-03`."""
    day = as_datetime(instant + offset_at(instant, zone))
    pattern, months = _looked_up(_DATES, locale), _looked_up(_MONTHS, locale)
    if not isinstance(pattern, str) or not isinstance(months, str):
        return f"{day:%Y-%m-%d}"
    number = "1er" if day.day == 1 and split_locale(locale)[0] == "fr" else str(day.day)
    return pattern.format(day=number, month=months.split()[day.month - 1], year=day.year)


def format_amount(minor: int, currency: str, locale: str) -> str:
    """Minor units as the locale writes them: `€12.50`, `12,50 €`, else `12.50 EUR`.

    Spaces inside are no-break spaces, so an amount is never torn apart.
    """
    style = _looked_up(_AMOUNTS, locale)
    if not isinstance(style, _Style):
        return format_money(minor, currency)
    places = exponent(currency)
    whole, part = divmod(abs(minor), 10**places)
    digits = str(whole)
    if len(digits) >= style.grouped_from:
        digits = f"{whole:,}".replace(",", style.group)
    number = f"{digits}{style.decimal}{part:0{places}d}" if places else digits
    symbol = _SYMBOLS.get(currency, currency)
    space = "\u00a0" if style.space or symbol.isalpha() else ""
    text = f"{symbol}{space}{number}" if style.symbol_first else f"{number}{space}{symbol}"
    return f"-{text}" if minor < 0 else text
