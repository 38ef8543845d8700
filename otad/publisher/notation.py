"""How people write curves, matches, durations and sizes on a command line. Pure.

- curve: `0:1%,1h:10%,1d:100%`, or in seconds and parts per million `0:10000,3600:100000,86400:1000000`
- match: `ring=test`; `ring=test,lab` and `region=eu` as two words: either ring, and that region
- stratum: `region=eu;0:1%,1d:50%`: a match (words apart by spaces), then a curve
- duration: `90`, `15m`, `4h`, `2d`; size: `64M`, `1G`
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from otad.errors import Rejected, Who
from otad.formats import NAME
from otad.formats.curve import MILLION, Curve, Match

AnyModel = TypeVar("AnyModel", bound=BaseModel)

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = 5200 * _SECONDS["w"]
_BYTES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def duration(text: str) -> timedelta:
    """Seconds, or a number and s, m, h, d or w. Raises Rejected("notation")."""
    found = re.fullmatch(r"(\d+)([smhdw]?)", text.strip())
    if not found:
        raise _wrong(text, "a duration", "a number of seconds, or 15m, 4h, 2d")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST:
        raise _wrong(text, "a duration", "at most 5200w")
    return timedelta(seconds=seconds)


def size(text: str) -> int:
    """Bytes, or a number and K, M or G (powers of 1024). Raises Rejected("notation")."""
    found = re.fullmatch(r"(\d+)([KMG]?)", text.strip())
    if not found:
        raise _wrong(text, "a size", "a number of bytes, or 64M, 1G")
    return int(found[1]) * _BYTES[found[2]]


def share(text: str) -> int:
    """Parts per million: a whole number of them, or a percentage. Raises Rejected("notation")."""
    text = text.strip()
    if re.fullmatch(r"\d+", text):
        ppm = int(text)
    elif re.fullmatch(r"\d+(\.\d{1,4})?%", text):
        ppm = round(float(text[:-1]) * MILLION / 100)
    else:
        raise _wrong(text, "a share", "a percentage (2.5%) or parts per million (25000)")
    if ppm > MILLION:
        raise _wrong(text, "a share", "at most 100%")
    return ppm


def curve(text: str) -> Curve:
    """Points `time:share`, by commas. Raises Rejected("notation"), also for a curve that falls."""
    points = [point.partition(":") for point in text.split(",")]
    if not all(colon for _, colon, _ in points):
        raise _wrong(text, "a curve", "points as time:share, for instance 0:1%,1h:10%,1d:100%")
    try:
        return Curve(tuple((int(duration(time).total_seconds()), share(ppm)) for time, _, ppm in points))
    except ValidationError as error:
        raise _wrong(text, "a curve", error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def match(words: Iterable[str]) -> Match:
    """Words `name=value,value`. Raises Rejected("notation")."""
    wanted: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, _, values = word.partition("=")
        if not (name and all(values.split(","))):
            raise _wrong(word, "a match", "name=value or name=value,value, for instance ring=test")
        wanted[name] = (*wanted.get(name, ()), *values.split(","))
    return Match(wanted)


def stratum(text: str) -> tuple[Match, Curve]:
    """A match and its curve, apart by a semicolon. Raises Rejected("notation")."""
    whom, semicolon, pace = text.partition(";")
    if not semicolon:
        raise _wrong(text, "a stratum", "a match and a curve, for instance region=eu;0:1%,1d:50%")
    return match(whom.split()), curve(pace)


def write_curve(value: Curve) -> str:
    """The curve as people read it: 0 s 1 %, 3600 s 10 %."""
    return ", ".join(f"{seconds} s {ppm * 100 / MILLION:g} %" for seconds, ppm in value.root)


def checked(kind: type[AnyModel], code: str, **fields: Any) -> AnyModel:
    """A `kind` of `fields` that a person gave. Raises Rejected(code) naming the field that is wrong."""
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "[key]")
        named = first["type"] == "string_pattern_mismatch" and first["ctx"]["pattern"] == NAME
        msg = "lower-case letters, digits, and . _ - between them; at most 64" if named else first["msg"]
        what = f"{where}: {first['input']!r}: {msg.removeprefix('Value error, ')}"
        raise Rejected(code, what, "Correct it and run the command again", who=Who.INTEGRATOR) from error


def _wrong(text: str, kind: str, right: str) -> Rejected:
    return Rejected("notation", f"{text!r} is not {kind}: {right}", "Correct it and run the command again", who=Who.INTEGRATOR)
