"""What caches on the way are told, and what they must be told. Pure (RFC 9111; RFC 8246 for `immutable`).

Rules:
 1. timestamp.json is asked for anew each time. The rest never changes under its name, and may be kept for ever.
 2. That something is not there may be kept for 60 s at most: the next root, or a roll-out of a new channel, may appear.
    Without a word, caches guess how long.
"""

from __future__ import annotations

from collections.abc import Mapping

TIMESTAMP = "metadata/timestamp.json"
ABSENT = (403, 404, 410)
BRIEFLY = 60  # seconds
_DIGITS = 19  # of an age: Python refuses to convert thousands


def complaint(path: str, status: int, headers: Mapping[str, str]) -> str | None:
    """What is wrong with the cache headers of an answer; None when they are right."""
    said = headers.get("Cache-Control", "")
    told = directives(said)
    words = f"Cache-Control is {said!r}" if said else "there is no Cache-Control"
    asked_anew = bool({"no-cache", "no-store"} & set(told)) or _age(told) == 0
    if status in ABSENT:
        brief = asked_anew or (_age(told) is not None and (_age(told) or 0) <= BRIEFLY)
        return None if brief else f"a {status} may be kept for more than {BRIEFLY} s: {words}"
    if path == TIMESTAMP:
        return None if asked_anew else f"an old timestamp may be kept by caches: {words}, not 'no-cache'"
    return (
        None if "immutable" in told and not asked_anew else f"it never changes, and caches are not told: {words}, not 'immutable'"
    )


def directives(header: str) -> dict[str, str]:
    """Name (lower case) -> value, or the empty text."""
    pairs = (part.strip().partition("=") for part in header.split(","))
    return {name.lower(): value.strip('"') for name, _, value in pairs if name}


def _age(told: Mapping[str, str]) -> int | None:
    """How long any cache may keep it; None when that is not said."""
    ages = [int(told[name][:_DIGITS]) for name in ("max-age", "s-maxage") if told.get(name, "").isdecimal()]
    return max(ages, default=None)
