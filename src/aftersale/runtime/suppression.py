"""How is somebody who was erased recognised, without anything that names the person?"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import msgspec

from aftersale.events.event import Event, Ref
from aftersale.programme.ports import Transaction

NAMING = frozenset({"customer", "email", "phone"})
"""Kinds of id that name a person; an order or a visit may be somebody else's."""


def marks_of(tx: Transaction, refs: Iterable[Ref]) -> dict[Ref, bytes]:
    """What stays of each naming id: without the store's secret nobody can tell whose it was."""
    secret = bytes.fromhex(str(tx.meta.get("secret") or "00"))
    return {
        ref: blake2b(f"{ref.kind}:{ref.value}".encode(), key=secret[:64], digest_size=16).digest()
        for ref in refs
        if ref.kind in NAMING
    }


def without_erased(tx: Transaction, events: Sequence[Event]) -> Sequence[Event]:
    """The events, those of erased persons without anything that names them."""
    if not tx.personal.erasures():
        return events
    marks = marks_of(tx, (ref for event in events for ref in event.refs))
    gone = tx.personal.suppressed(list(set(marks.values())))
    if not gone:
        return events
    return [
        msgspec.structs.replace(event, refs=(), personal={})
        if any(marks.get(ref) in gone for ref in event.refs)
        else event
        for event in events
    ]
