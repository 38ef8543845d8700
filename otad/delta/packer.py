"""A compressor that is a program: content into its stdin, what it makes out of its stdout, neither ever held whole.

Rules:
 1. Nothing of the environment but PATH reaches it: variables change what compressors do (GZIP, XZ_DEFAULTS).
 2. It may neither hang nor flood us: a minute without a byte either way ends it, and so does more output than any input explains.
    Nor may it end its output and stay: before it has taken everything, or for more than that minute.
 3. Whatever ends `close`, no process is left.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, cast

from otad.delta.faults import Unpackable

_PIPE = 1 << 16
_PATIENCE = 60_000  # milliseconds
_MORE = 1 << 16  # bytes that compression may add, beside an eighth


class Program:
    """`command` at work on `length` bytes of content. Raises Unpackable when it cannot be started."""

    def __init__(self, command: Sequence[str], length: int) -> None:
        self._name = command[0]
        self._room = length + length // 8 + _MORE
        try:
            self._process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            )
        except OSError as error:
            raise Unpackable(f"{self._name} cannot be started: {error.strerror}") from error
        self._into, self._from = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        os.set_blocking(self._into.fileno(), False)
        os.set_blocking(self._from.fileno(), False)

    def write(self, piece: bytes | memoryview) -> bytes:
        """See Packer."""
        poll = select.poll()
        poll.register(self._into, select.POLLOUT)
        poll.register(self._from, select.POLLIN)
        out, rest = [], memoryview(piece)
        while rest:
            ready = self._wait(poll)
            if self._from.fileno() in ready:
                if not (made := self._read()):  # poll would say so for ever, at once
                    raise Unpackable(f"{self._name} ends before its input does")
                out.append(made)
            if self._into.fileno() in ready:
                with suppress(BlockingIOError):
                    rest = rest[self._write(rest[:_PIPE]) :]
        return b"".join(out)

    def finish(self) -> Iterator[bytes]:
        """See Packer."""
        self._into.close()
        poll = select.poll()
        poll.register(self._from, select.POLLIN)
        while self._wait(poll) and (piece := self._read()):
            yield piece
        try:
            status = self._process.wait(_PATIENCE / 1000)
        except subprocess.TimeoutExpired:
            raise self._hangs() from None
        if status:
            raise Unpackable(f"{self._name} ended with status {status}")

    def close(self) -> None:
        """See Packer."""
        self._process.kill()
        self._process.wait()
        self._into.close()
        self._from.close()

    def _wait(self, poll: select.poll) -> dict[int, int]:
        ready = dict(poll.poll(_PATIENCE))
        if not ready:
            raise self._hangs()
        return ready

    def _hangs(self) -> Unpackable:
        return Unpackable(f"{self._name} did nothing for {_PATIENCE // 1000} s")

    def _read(self) -> bytes:
        piece = self._from.read(_PIPE) or b""
        self._room -= len(piece)
        if self._room < 0:
            raise Unpackable(f"{self._name} makes more than it was given")
        return piece

    def _write(self, rest: memoryview) -> int:
        try:
            return os.write(self._into.fileno(), rest)
        except BrokenPipeError as error:
            raise Unpackable(f"{self._name} does not read what it is given") from error
