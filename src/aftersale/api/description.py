"""What may a program ask of this installation, as OpenAPI 3.1 tells it?

What is read is described from the table that it is served by, what is sent from the addresses
that take it in.
"""

import re
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from aftersale import __version__
from aftersale.api.resources import MOST, RESOURCES, USUAL, Resource
from aftersale.translation.providers import TRANSLATORS
from aftersale.translation.segment import CALLS

_JSON, _PROBLEM = "application/json", "application/problem+json"
_READING = (400, 401, 403, 404, 405, 429, 500, 503)
_SENDING = (400, 401, 403, 404, 405, 413, 415, 429, 500, 503)
_DESCRIBING = (405,)
_KEYS: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}]


@cache
def described() -> bytes:
    """The document."""
    schemas = _schemas()
    paths: dict[str, Any] = {}
    for resource in RESOURCES:
        paths[resource.path] = {"get": _reading(resource)}
    for path, (doc, kinds) in _intakes().items():
        paths[path] = {"post": _sending(path, doc, kinds)}
    paths["/openapi.json"] = {
        "get": {
            "operationId": "describe",
            "summary": "This document.",
            "security": [],
            "responses": {
                "200": _told("This document.", {"type": "object"}),
                **_problems(_DESCRIBING),
            },
        }
    }
    return msgspec.json.encode({
        "openapi": "3.1.0",
        "info": {
            "title": "aftersale",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": _KEYS,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The key as the name, and nothing as the password.",
                },
            },
        },
    })  # fmt: skip


def _schemas() -> dict[str, Any]:
    answers = list(dict.fromkeys(one.answer for one in RESOURCES))
    _, found = msgspec.json.schema_components(answers, ref_template="#/components/schemas/{name}")
    problem = {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
            "message": {"type": "string"},
            "hint": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object"}},
            "error_count": {"type": "integer"},
        },
    }
    return {**found, "Problem": problem}


def _reading(resource: Resource) -> dict[str, Any]:
    schema: dict[str, Any] = {"$ref": f"#/components/schemas/{resource.answer.__name__}"}
    if resource.paged:
        schema = {
            "type": "object",
            "required": ["data", "next_cursor"],
            "properties": {
                "data": {"type": "array", "items": schema, "maxItems": MOST},
                "next_cursor": {"type": ["string", "null"]},
            },
        }
    parameters = [
        _parameter(name, "path", {"type": "string", "minLength": 1, "maxLength": 400})
        for name in re.findall(r"\{(\w+)\}", resource.path)
    ]
    if resource.findable:
        what = "An e-mail address, a phone number, the shop's customer id, an order number, our id."
        parameters.append(_parameter("find", "query", {"type": "string", "maxLength": 400}, what))
    if resource.paged:
        limit = {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}
        parameters.append(_parameter("limit", "query", limit, "Rows of the page."))
        what = "`next_cursor` of the page before."
        parameters.append(_parameter("cursor", "query", {"type": "string"}, what))
    return {
        "operationId": "get " + resource.path.removeprefix("/api/v1/"),
        "summary": resource.doc,
        "parameters": parameters,
        "responses": {"200": _told("Found.", schema), **_problems(_READING)},
    }


def _parameter(name: str, where: str, schema: dict[str, Any], doc: str = "") -> dict[str, Any]:
    found = {"name": name, "in": where, "required": where == "path", "schema": schema}
    return {**found, "description": doc} if doc else found


def _intakes() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Address → what it is for, and the media types that it takes."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {
        f"/v1/{call}": ("A call of a tracking client, in Segment's form.", (_JSON,))
        for call in (*CALLS, "batch")
    }
    events = ("application/cloudevents+json", "application/cloudevents-batch+json", _JSON)
    found["/v1/cloudevents"] = ("CloudEvents 1.0: structured, a batch, or binary.", events)
    found["/webhooks/{provider}"] = (
        "A request of a provider, proved by its signature.",
        (_JSON, "application/x-www-form-urlencoded"),
    )
    return found


def _sending(path: str, doc: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": "post " + path.strip("/"),
        "summary": doc,
        "requestBody": {"required": True, "content": {kind: {"schema": {}} for kind in kinds}},
        "responses": {
            "200": _told("Durable.", {"type": "object"}),
            **_problems(_SENDING),
        },
    }
    if "{" in path:
        providers = {"type": "string", "enum": sorted(TRANSLATORS)}
        found["parameters"] = [_parameter("provider", "path", providers)]
        found["security"] = []
    return found


def _told(doc: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": doc, "content": {_JSON: {"schema": schema}}}


def _problems(statuses: tuple[int, ...]) -> dict[str, Any]:
    content = {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }
