"""How are amounts written and read?

Inside, money is an int of minor units beside its ISO 4217 currency; amounts of two currencies
are never added. Exponents: ISO 4217, list one.
"""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from aftersale.kernel.errors import Refusal

_EXPONENTS = {
    **dict.fromkeys(
        (
            *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
            *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    "CLF": 4,
    "UYW": 4,
}
_MOST_DIGITS = 14
"""Before the decimal point; with four places behind it an amount still fits 64 bits."""


def exponent(currency: str) -> int:
    """Decimal places of the currency's minor unit."""
    return _EXPONENTS.get(currency, 2)


def to_minor(amount: str | float | Decimal, currency: str) -> int:
    """Minor units of an amount in major units, halves to even.

    What is no number, or has more than fourteen digits before the point, is refused.
    """
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        value = Decimal("nan")
    # `adjusted` comes first: 1e999999999 is quickly read and never written out.
    if not value.is_finite() or value.adjusted() >= _MOST_DIGITS:
        raise Refusal(f"{str(amount)[:40]!r} is no amount of money")
    return int((value * 10 ** exponent(currency)).to_integral_value(ROUND_HALF_EVEN))


def format_money(minor: int, currency: str) -> str:
    """`12.50 EUR`, `1200 JPY`."""
    places = exponent(currency)
    if not places:
        return f"{minor} {currency}"
    whole, part = divmod(abs(minor), 10**places)
    return f"{'-' if minor < 0 else ''}{whole}.{part:0{places}d} {currency}"
