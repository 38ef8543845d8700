"""What a request asks, and the words for one that cannot be answered.

Rules:
 1. Nothing reaches the desk that is not of the right shape.
 2. Every refusal is JSON with `code`, `what`, `remedy` and `who`, as every failure in otad; aiohttp's own too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from otad.control import Verb
from otad.errors import Cause, OtadError

BODY_LIMIT = 16 * 1024
"""Bytes that an order may have; the longest real one has about 100."""

BODY_SECONDS = 10.0
"""Seconds that the body of an order may take to come: a client that sends none must not keep otad awake."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Unclear(OtadError):
    """The request cannot be understood."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__("bad-request", what, remedy)


def whole(text: str, name: str) -> int:
    """A whole number that fits into 63 bits. Raises Unclear naming it."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 - 10**18 < 2**63, SQLite's integer
        raise Unclear(f"{name} must be a whole number, 0 or more, and is {text!r:.40}", f"Ask with {name}=0")
    return int(text)


async def version(request: web.Request, verb: Verb) -> str | None:
    """The version that the body of an order names, if it does. Raises Unclear."""
    try:
        raw = await asyncio.wait_for(request.read(), BODY_SECONDS)
    except asyncio.TimeoutError as error:
        raise Unclear(f"the body of {verb.value} did not come in {BODY_SECONDS:g} s", "Send it with the request") from error
    except web.RequestPayloadError as error:
        raise Unclear(f"the body of {verb.value} is no HTTP: {error}", 'Send {} or {"version": "1.2.3"}') from error
    try:
        body: Any = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Unclear(f"the body of {verb.value} is not JSON: {error}", 'Send {} or {"version": "1.2.3"}') from error
    if not isinstance(body, dict) or set(body) - {"version"} or not isinstance(body.get("version"), str | None):
        raise Unclear(f'{verb.value} takes an object whose only key is "version", a string', 'Send {} or {"version": "1.2.3"}')
    named: str | None = body.get("version")
    return named


@web.middleware
async def in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request that is refused, by us or by aiohttp, with its cause."""
    try:
        return await handler(request)
    except Unclear as error:
        return refused(HTTPStatus.BAD_REQUEST, error.cause)
    except OtadError as error:
        return refused(HTTPStatus.CONFLICT, error.cause)
    except web.HTTPRequestEntityTooLarge:
        what, remedy = f"the body of an order has at most {BODY_LIMIT} bytes", 'Send {} or {"version": "1.2.3"}'
        return refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Cause("too-large", what, remedy))
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        what = f"{request.path} takes {allowed}, not {request.method}"
        return refused(HTTPStatus.METHOD_NOT_ALLOWED, Cause("bad-method", what, f"Ask with {allowed}"))
    except web.HTTPNotFound:
        cause = Cause("unknown-verb", f"there is no {request.path} here", "GET /v1/openapi.json lists what there is")
        return refused(HTTPStatus.NOT_FOUND, cause)


def refused(status: HTTPStatus, cause: Cause) -> web.Response:
    """The answer that carries `cause`."""
    return web.json_response(document(cause), status=status)


def document(cause: Cause) -> dict[str, str]:
    """A cause as JSON data."""
    return {"code": cause.code, "what": cause.what, "remedy": cause.remedy, "who": cause.who.value}
