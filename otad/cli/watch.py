"""What an update looks like while it is watched: a live bar on a terminal, lines without one, nothing for machines.

Rules:
 1. What has happened stays on the screen, one line each, with its local time; only what is going on is redrawn.
 2. Rate and ETA are the daemon's: whoever watches from the middle on sees the same.
 3. Without a terminal progress is told in tenths, so that a log stays readable.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol

from typing_extensions import Self

from otad.cli import paint, say, words

Document = Mapping[str, Any]


class Watch(Protocol):
    """Shows an update. Used as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def begin(self, doing: str) -> None:
        """Something goes on that has no measure."""

    def answered(self, what: str) -> None:
        """The daemon took the order."""

    def happened(self, event: Document) -> None:
        """A stored event."""

    def progress(self, told: Document) -> None:
        """A progress document."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing was begun."""

    def begin(self, doing: str) -> None:
        """Nothing."""

    def answered(self, what: str) -> None:
        """Nothing."""

    def happened(self, event: Document) -> None:
        """Nothing."""

    def progress(self, told: Document) -> None:
        """Nothing."""


class Lines(Silent):
    """Lines, for a pipe or a log."""

    def __init__(self) -> None:
        self._tenth = ("", -1)

    def answered(self, what: str) -> None:
        """Print it."""
        say.line(say.sentence(what))

    def happened(self, event: Document) -> None:
        """Print it."""
        say.line(line(event))

    def progress(self, told: Document) -> None:
        """Print every tenth."""
        tenth = (told["step"], int(10 * told["done"] / told["total"]) if told["total"] else 0)
        if tenth != self._tenth:
            self._tenth = tenth
            say.line(f"          {told['step']}: {paint.measures(told)}")


def best(*, as_json: bool) -> Watch:
    """The watch that fits where standard output goes."""
    if as_json:
        return Silent()
    if not sys.stdout.isatty():
        return Lines()
    from otad.cli.bar import Bar  # noqa: PLC0415 - rich, when there is something to draw

    return Bar()


def line(event: Document) -> str:
    """An event in one line: local time, what happened, how long it took when that is worth telling."""
    when = datetime.fromisoformat(event["time"].replace("Z", "+00:00")).astimezone()
    took = event.get("durations", {}).get("state", 0)
    return f"{when:%H:%M:%S}  {words.happened(event)}{f' ({paint.span(took)})' if took >= 1 else ''}"
