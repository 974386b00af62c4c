"""What may a template speak of?

Every fact comes in as text that is ready to be shown. What is absent stays absent: a fact that
is None or empty is dropped, so `{% if order %}` means what it says.
"""

import re
from collections.abc import Mapping
from typing import Any

LONGEST_TEXT = 4_000
MOST_ITEMS = 200
_DEEPEST = 4

# Control characters but tab and newline, halves of surrogate pairs, and the marks that turn the
# direction of the text after them: none has a meaning in a fact, each can break a message.
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"'\\]+", re.IGNORECASE)

SAMPLE: dict[str, Any] = {
    "customer": {
        "name": "Ada Lindqvist",
        "first_name": "Ada",
        "locale": "en-GB",
        "country": "GB",
    },
    "shop": {
        "name": "Lindenhof",
        "url": "https://shop.example",
        "address": "Lindenhof, 1 Mill Lane, Leeds LS1 1AA",
    },
    "order": {
        "number": "10042",
        "total": "£31.40",
        "currency": "GBP",
        "placed_at": "3 March 2026",
        "promised_at": "6 March 2026",
        "lines": [
            {"name": "House coffee, 500 g", "quantity": 2, "amount": "£24.00"},
            {"name": "Paper filters", "quantity": 1, "amount": "£7.40"},
        ],
    },
    "product": {
        "name": "House coffee, 500 g",
        "care": "Keep it closed, dark and dry; it tastes best within six weeks.",
        "kind": "consumable",
        "url": "https://shop.example/house-coffee",
    },
    "parcel": {
        "carrier": "Parcel Post",
        "tracking": "PP123456789",
        "url": "https://carrier.example/PP123456789",
    },
    "benefit": "Your coffee will probably run out on 28 March.",
    "refill": {"due": "28 March 2026"},
    "links": {
        "unsubscribe": "https://shop.example/u/token",
        "preferences": "https://shop.example/p/token",
        "order": "https://shop.example/o/token",
        "review": "https://shop.example/r/token",
    },
}
"""Every fact a template may use, with an example of it: for checks, previews and the manual."""

MESSAGE_FACTS = frozenset({"subject", "preheader", "body", "purpose", "locale", "direction"})
"""Fields of `message`, which composition adds itself."""

FIELDS: dict[str, frozenset[str]] = {
    **{name: frozenset(value if isinstance(value, dict) else ()) for name, value in SAMPLE.items()},
    "message": MESSAGE_FACTS,
}
"""Name → its fields; no fields where the fact is a text itself."""


def clean_text(text: str) -> str:
    """The text without harmful characters, cut where it is longer than any message needs."""
    if text.isprintable():  # as nearly all are: nothing harmful, and no line ends, is printable
        cleaned = text
    else:
        cleaned = _HARMFUL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return cleaned if len(cleaned) <= LONGEST_TEXT else cleaned[: LONGEST_TEXT - 1] + "…"


def is_web_address(text: str) -> bool:
    """Whether the text is an absolute http or https address and nothing else."""
    return _WEB_ADDRESS.fullmatch(text) is not None


def clean(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as texts, numbers, lists and mappings, without what is empty or unsafe."""
    return {
        str(name): value
        for name, given in facts.items()
        if not _is_empty(value := _cleaned(str(name), given, _DEEPEST))
    }


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], {})


def _cleaned(name: str, value: object, deepest: int) -> object:
    """`name` is that of the field; everything under `links` is an address too."""
    match value:
        case str():
            # The exact type: a subclass that says of itself it is safe markup would pass unescaped.
            text = clean_text(str.__str__(value)).strip()
            return text if name != "url" or is_web_address(text) else None
        case None | bool() | int() | float():
            return value
        case Mapping() if deepest:
            fields = (
                (str(key), _cleaned("url" if name == "links" else str(key), inner, deepest - 1))
                for key, inner in value.items()
            )
            return {key: inner for key, inner in fields if not _is_empty(inner)}
        case list() | tuple() if deepest:
            items = (_cleaned(name, item, deepest - 1) for item in value[:MOST_ITEMS])
            return [item for item in items if not _is_empty(item)]
    return _cleaned(name, str(value), deepest)
