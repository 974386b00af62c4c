"""Which source reads a merchant's file, and with which consent?"""

from pathlib import Path

from aftersale.adapters.sources.jsonl import EventTableSource, JsonEventSource
from aftersale.adapters.sources.mapping import Consent, Kind, Mapping
from aftersale.adapters.sources.products import ProductSource
from aftersale.adapters.sources.tables import OrderSource
from aftersale.kernel.errors import Refusal
from aftersale.ledger.importing import Source

BASES = ("opt-in", "double-opt-in", "soft-opt-in")
CHANNELS = ("email", "sms", "push")


def open_source(
    kind: Kind, file: Path, mapping: Mapping | None, place: str, *, source: str = "", zone: str = ""
) -> Source:
    """The file as a source; `place` names the mapping in refusals.

    `source` and `zone` serve where an event without a mapping names none.
    """
    if mapping is None:
        if kind != "events":
            raise Refusal(
                f"nothing says what the columns of {file.name} mean",
                hint="give a mapping; docs/how-to/import-orders.md shows how to write one",
                code=2,
            )
        return JsonEventSource(file, source=source, zone=zone)
    match kind:
        case "orders":
            return OrderSource(file, mapping, mapping_place=place)
        case "events":
            return EventTableSource(file, mapping, mapping_place=place)
        case "products":
            return ProductSource(file, mapping, mapping_place=place)


def consent_named(text: str, where: str) -> Consent | None:
    """The consent that a text names (`soft-opt-in:email`), None for `none`."""
    if text == "none":
        return None
    basis, _, channel = text.lower().partition(":")
    channel = channel or "email"
    if basis not in BASES or channel not in CHANNELS:
        raise Refusal(
            f"{text!r} is no consent",
            where=where,
            hint=f"write none, or one of {', '.join(BASES)} with a channel: soft-opt-in:email",
            code=2,
        )
    return Consent(basis, channel)
