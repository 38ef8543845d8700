"""A tape: what a console has said so far, and when.

Rules:
 1. Whoever waits is given what was said after the last thing that was waited for, however early it was said.
 2. When the speaker is gone, waiting ends at once, with the reason and the end of the tape.
"""

from __future__ import annotations

import asyncio
import bisect
import re
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 1800.0
"""Seconds that anything may take: a boot takes a minute on an idle machine, and five on a busy one."""

LAST = 4000  # characters in a message


class BoardError(Exception):
    """The board did not come to where it had to; the message ends with what it said last."""


@dataclass(frozen=True)
class Said:
    """What matched, and the second (of the event loop's clock) at which it was there."""

    match: re.Match[str]
    at: float

    def __getitem__(self, group: str | int) -> str:
        return self.match[group]


class Tape:
    """What came from `name`, kept in `file` too.

    text  all of it
    """

    def __init__(self, name: str, file: Path) -> None:
        self.name = name
        self.text = ""
        self._file = file
        self._heard: list[tuple[int, float]] = []  # length of the text, and when it had that length
        self._seen = 0
        self._over = ""
        self._news = asyncio.Event()

    async def record(self, stream: asyncio.StreamReader) -> None:
        """Listen until the speaker is gone."""
        self._over = ""
        with self._file.open("ab", buffering=0) as file:
            while some := await stream.read(4096):
                file.write(some)
                self.text += some.decode(errors="replace")
                self._heard.append((len(self.text), asyncio.get_running_loop().time()))
                self._news.set()

    def end(self, why: str) -> None:
        """Nothing more comes."""
        self._over = why
        self._news.set()

    def skip(self) -> None:
        """Whoever waits now is given only what is said from now on."""
        self._seen = len(self.text)

    def all(self, pattern: str) -> list[Said]:
        """Everything that matches, from the beginning."""
        return [self._said(match) for match in re.finditer(pattern, self.text, re.MULTILINE)]

    async def until(self, pattern: str, timeout: float = PATIENCE) -> Said:
        """Wait for what is said next. Raises BoardError when it is not."""
        try:
            return await asyncio.wait_for(self._until(re.compile(pattern, re.MULTILINE)), timeout)
        except asyncio.TimeoutError:
            raise BoardError(f"{self.name}: {pattern!r} was not said within {timeout:g} s{self.last()}") from None

    def last(self) -> str:
        """The end of it, for a message."""
        return f"; the end of {self._file}:\n{self.text[-LAST:]}"

    async def _until(self, pattern: re.Pattern[str]) -> Said:
        while not (found := pattern.search(self.text, self._seen)):
            if self._over:
                raise BoardError(f"{self.name}: {pattern.pattern!r} was not said: {self._over}{self.last()}")
            self._news.clear()
            await self._news.wait()
        self._seen = found.end()
        return self._said(found)

    def _said(self, match: re.Match[str]) -> Said:
        first = bisect.bisect_left(self._heard, (match.end(), 0.0))
        return Said(match, self._heard[first][1])
