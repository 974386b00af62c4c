"""How does an editor know what a journey file may say?

A JSON Schema (draft 2020-12) made of the reader's own tables. `python -m
aftersale.programme.schema` prints it; the file beside the starter programme is this text.
"""

import json
import sys
from typing import Any

from aftersale.journeys.run_fields import AT_START, IN_RUN, RUN_FIELDS
from aftersale.programme import grammar
from aftersale.programme.grammar import Keys
from aftersale.programme.page import WORD

_DURATION = r"^\s*(\d+(\.\d+)?\s*(second|minute|hour|day|week)s?\s*)+$"


def journey_schema() -> dict[str, Any]:
    """The schema of one journey file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A journey of aftersale",
        **_mapping(grammar.JOURNEY),
        "$defs": KINDS,
    }


def schema_text() -> str:
    """The same as it stands in the file."""
    return json.dumps(journey_schema(), indent=2, ensure_ascii=False) + "\n"


def _mapping(keys: Keys) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _value(key) for key in keys},
    }
    needed = [key.name for key in keys if key.needed]
    return found | ({"required": needed} if needed else {})


def _value(key: grammar.Key) -> dict[str, Any]:
    if key.choices:
        return {"enum": list(key.choices), "description": key.doc}
    return {"$ref": f"#/$defs/{key.kind}", "description": key.doc}


def _list_of(kind: str, least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/$defs/{kind}"}, "minItems": least}


def _names(kind: str, scopes: frozenset[str]) -> dict[str, Any]:
    fitting = (n for n, f in RUN_FIELDS.items() if f.type == kind and f.scope in scopes)
    return {"enum": [name for name in fitting if name not in {"now", "event.type"}]}


def _one_of(*names: str) -> dict[str, Any]:
    return {"oneOf": [{"required": [name]} for name in names]}


_EVENT = {"enum": list(grammar.EVENT_TYPES)}
_SPAN = {"type": "string", "pattern": _DURATION}

KINDS: dict[str, dict[str, Any]] = {
    "word": {"type": "string", "pattern": f"^{WORD.pattern}$", "maxLength": 60},
    "text": {"type": ["string", "number"]},
    "words": {"type": "string", "minLength": 1},
    "boolean": {"type": "boolean"},
    "nothing": {"type": "null"},
    "share": {"type": "number", "minimum": 0, "maximum": 0.9},
    "duration": _SPAN,
    "clock": {"type": "string", "pattern": r"^([01]?[0-9]|2[0-3]):[0-5][0-9]$"},
    "condition": {"type": ["string", "boolean"]},
    "template": {"type": "string", "pattern": "^[A-Za-z0-9]+([-_][A-Za-z0-9]+)*$"},
    "events": {"anyOf": [_EVENT, {"type": "array", "items": _EVENT, "minItems": 1}]},
    "customer-date": _names("instant", frozenset({"customer"})),
    "date": _names("instant", IN_RUN),
    "event-field": _names("text", AT_START - IN_RUN - {"line"}),
    "lead": {"anyOf": [_SPAN, _names("duration", IN_RUN)]},
    "value": {"anyOf": [{"type": "number", "minimum": 0}, _names("number", IN_RUN)]},
    "reentry": {"anyOf": [{"enum": ["always", "never"]}, _SPAN]},
    "watch": _mapping(grammar.WATCH),
    "watches": _list_of("watch", 0),
    "start": {**_mapping(grammar.START), **_one_of("on", "at")},
    "goal": _mapping(grammar.GOAL),
    "benefit": {**_mapping(grammar.BENEFIT), **_one_of(*grammar.BENEFITS)},
    "wait": {"anyOf": [_SPAN, {**_mapping(grammar.WAIT), "minProperties": 1}]},
    "arm": {**_mapping(grammar.ARM), **_one_of("if", "else")},
    "arms": _list_of("arm"),
    **{f"{name}-step": _mapping(keys) for name, keys in grammar.STEPS.items()},
    "step": {"anyOf": [{"$ref": f"#/$defs/{name}-step"} for name in grammar.STEPS]},
    "steps": _list_of("step", 0),
}
"""Kind of a key → what may stand behind it."""


if __name__ == "__main__":
    sys.stdout.write(schema_text())
