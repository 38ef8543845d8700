"""The description of the local API, served at `/v1/openapi.json` (OpenAPI 3.1)."""

from __future__ import annotations

from typing import Any

from otad import __version__
from otad.control import Verb
from otad.errors import Who
from otad.statemachine import Kind, Outcome, State

Document = dict[str, Any]

_TEXT: Document = {"type": "string"}
_MAYBE_TEXT: Document = {"type": ["string", "null"]}
_NUMBER: Document = {"type": "number"}
_MAYBE_NUMBER: Document = {"type": ["number", "null"]}
_WHOLE: Document = {"type": "integer", "minimum": 0}
_SLOT: Document = {"enum": ["A", "B", None]}
_TIME: Document = {"type": ["string", "null"], "format": "date-time"}

_WORDS = {
    Verb.CHECK: "Ask the repository now; answers when it was asked. What is found is then installed.",
    Verb.INSTALL: "Bring the device to the version named, if it is admitted to it; outside its window too.",
    Verb.PAUSE: "Begin nothing, and hold what may be held, until resumed.",
    Verb.RESUME: "End a pause.",
    Verb.CANCEL: "Give up the attempt in hand, up to the moment in which it is armed.",
    Verb.RETRY: "Forget that the version named (or any) failed here.",
    Verb.COMMIT: "End the soak of a trial whose checks have passed.",
    Verb.ROLLBACK: "Go back: give a trial up, or try the release before the committed one.",
}


def document() -> Document:
    """The OpenAPI document."""
    reads = {
        "/v1/status": _get("What otad does and what happened last.", "Status"),
        "/v1/slots": _get("Both root file systems and the boot environment's problems.", "Any"),
        "/v1/health": _get("The last findings of the health checks.", "Any"),
        "/v1/config": _get("The settings in force, secrets left out.", "Any"),
        "/v1/history": _get("Past attempts, newest first.", "History", _query("limit", 20)),
        "/v1/openapi.json": _get("This document.", "Any"),
        "/v1/events": _events(),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "otad's local API",
            "version": __version__,
            "description": "HTTP over the unix socket /run/otad/otad.sock. Reading is for the group otad, changing what runs "
            "for root and the group otad-admin, as the kernel tells who connected.",
        },
        "paths": {**reads, **{f"/v1/{verb.value}": _order(words) for verb, words in _WORDS.items()}},
        "components": {"schemas": _schemas()},
    }


def _get(words: str, schema: str, *parameters: Document) -> Document:
    return {"get": {"summary": words, "parameters": list(parameters), "responses": {"200": _json(schema), **_refusals()}}}


def _order(words: str) -> Document:
    answers = {"200": _json("Reply"), "409": _json("Reply"), **_refusals()}
    body = {"required": False, "content": {"application/json": {"schema": _ref("Order")}}}
    return {"post": {"summary": words, "requestBody": body, "responses": answers}}


def _events() -> Document:
    words = (
        "Server-sent events: stored ones with an id (their seq) from `after` (or the header Last-Event-ID) on, then live ones; "
        'between them progress, of type "progress" and without id; "error" ends the stream.'
    )
    stream = {"description": "a stream", "content": {"text/event-stream": {"schema": _ref("Event")}}}
    return {
        "get": {
            "summary": words,
            "parameters": [_query("after", 0)],
            "responses": {"200": stream, "503": _json("Cause"), **_refusals()},
        }
    }


def _query(name: str, default: int) -> Document:
    return {"name": name, "in": "query", "schema": {**_WHOLE, "default": default}}


def _refusals() -> Document:
    return {"400": _json("Cause"), "403": _json("Cause")}


def _json(schema: str) -> Document:
    return {"description": schema, "content": {"application/json": {"schema": _ref(schema)}}}


def _ref(schema: str) -> Document:
    return {"$ref": f"#/components/schemas/{schema}"}


def _object(**properties: Document) -> Document:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _or_null(schema: Document) -> Document:
    return {"oneOf": [schema, {"type": "null"}]}


def _schemas() -> Document:
    who = {"enum": [*(who.value for who in Who), ""]}
    refusal = {"code": _TEXT, "what": _TEXT, "remedy": _TEXT, "who": who}
    cause = {**refusal, "evidence": {"type": "object", "additionalProperties": _TEXT}}
    attempt = _object(id=_TEXT, kind={"enum": [kind.value for kind in Kind]}, version=_TEXT, campaign=_TEXT, target=_SLOT)
    return {
        "Any": {},
        "Cause": _object(**refusal),
        "Order": {"type": "object", "properties": {"version": _TEXT}, "additionalProperties": False},
        "Reply": _object(exit={"enum": [0, 1, 2, 3]}, words=_TEXT, remedy=_TEXT, data={"type": "object"}),
        "Progress": _object(step=_TEXT, done=_NUMBER, total=_NUMBER, rate=_MAYBE_NUMBER, eta=_MAYBE_NUMBER),
        "Event": {"oneOf": [_ref("Stored"), _ref("Progress")]},
        "Stored": _object(
            seq=_WHOLE,
            id=_TEXT,
            time=_TEXT,
            state={"enum": [state.value for state in State]},
            outcome={"enum": [outcome.value for outcome in Outcome]},
        ),
        "History": {"type": "array", "items": {"type": "object"}},
        "Status": _object(
            state={"enum": [state.value for state in State]},
            since=_TIME,
            running=_object(version=_MAYBE_TEXT, slot=_SLOT, release=_MAYBE_TEXT),
            home=_SLOT,
            attempt=_or_null(attempt),
            progress=_or_null(_ref("Progress")),
            trouble=_or_null(_object(**cause)),
            cause=_or_null(_object(**cause, version=_MAYBE_TEXT, time=_TIME)),
            held=_or_null(_object(**cause)),
            check=_or_null(_object(time=_TIME, result=_TEXT, reason=_TEXT, remedy=_TEXT, retry_at=_TIME)),
            next_check=_TIME,
            paused=_or_null(_object(by=_TEXT, since=_TIME)),
            probation=_TIME,
            unsent=_WHOLE,
            seq=_WHOLE,
            awake={"type": "boolean"},
        ),
    }
