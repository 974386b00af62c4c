"""Which groups of customers has the merchant named?"""

import re
from collections.abc import Mapping

import msgspec

from aftersale.kernel.errors import Refusal
from aftersale.segments.condition import Condition, compile_condition
from aftersale.segments.fields import Field, nearest

SPACE = "segment"
"""Before the dot of every name a merchant gives; stages and tiers have spaces of their own."""

TAKEN_SPACES = ("stage", "tier")

_WORD = re.compile(r"[a-z][a-z0-9_]*")
_KEYS = ("where", "doc")


class Segment(msgspec.Struct, frozen=True):
    """Those for whom a condition is met."""

    name: str
    """With its space: `segment.vip`."""

    condition: Condition
    doc: str


def load_segments(
    written: Mapping[str, object],
    fields: Mapping[str, Field],
    *,
    scopes: frozenset[str] | None = None,
) -> tuple[Segment, ...]:
    """The segments of a parsed mapping {name: {where: text, doc: text}}, in its order.

    `Refusal` names the segment, and the place within its condition.
    """
    segments: dict[str, Segment] = {}
    for key, entry in written.items():
        name = _name(str(key))
        if name in segments:
            raise Refusal(f"{name} is written twice", hint="keep one of them")
        segments[name] = _segment(name, entry, fields, scopes)
    return tuple(segments.values())


def _name(written: str) -> str:
    space, dot, word = written.rpartition(".")
    if space in TAKEN_SPACES:
        raise Refusal(
            f"the name {written} is taken",
            why=f"{space}.* names are given by aftersale",
            hint=f"call it {word}; it is then read as {SPACE}.{word}",
        )
    if (dot and space != SPACE) or not _WORD.fullmatch(word):
        raise Refusal(
            f"{written!r} is no name for a segment",
            hint="write small letters, digits and _, beginning with a letter",
        )
    return f"{SPACE}.{word}"


def _segment(
    name: str, entry: object, fields: Mapping[str, Field], scopes: frozenset[str] | None
) -> Segment:
    if not isinstance(entry, Mapping):
        raise Refusal("a segment has a condition", where=name, hint="write where: and doc:")
    for key in entry:
        if key not in _KEYS:
            near = nearest(str(key), _KEYS)
            hint = f"did you mean {near}?" if near else "a segment has where and doc"
            raise Refusal(f"a segment has no {key}", where=name, hint=hint)
    where, doc = entry.get("where"), entry.get("doc", "")
    if not isinstance(where, str) or not isinstance(doc, str):
        raise Refusal("where and doc are text", where=name, hint="put the condition in quotes")
    try:
        condition = compile_condition(where, fields, scopes=scopes)
    except Refusal as refusal:
        refusal.where = f"{name} where, {refusal.where}"
        raise
    return Segment(name, condition, doc.strip())
