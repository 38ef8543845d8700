"""A payload on the standard input of another program, proved while it flows.

Rules:
 1. A plain blob is handed over as the file that it is: the program reads it, and costs us nothing.
 2. Anything else is decoded into a pipe. The last bytes are held back until all of them are proved, by the decoder or by a
    hash here: a program that was fed wrong bytes never sees their end, so it cannot succeed.
 3. The proof does not depend on the program: when it stops reading (EPIPE), the rest is still decoded and proved. `feed` ends
    without an error only if every byte was right.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO

from otad import blocking
from otad.encoding import Source
from otad.encoding.blob import reading
from otad.errors import Corrupt, Who

TAIL = 64 * 1024
"""Bytes held back, at least. A cpio archive's trailer and padding, the last that SWUpdate waits for, are far shorter."""

_PIPE = 2**20  # bytes; the most that an unprivileged process may have (pipe(7), /proc/sys/fs/pipe-max-size)


@asynccontextmanager
async def feed(source: Source) -> AsyncIterator[int]:
    """A file descriptor to read the payload from. Leave the block when the program has ended, or been killed.

    Raises Corrupt when the bytes are not the payload's, also in place of the program's own complaint about them.
    """
    if source.decoder.type == "plain":
        with direct(source) as file:
            yield file.fileno()
        return
    readable, writable = os.pipe()
    with contextlib.suppress(PermissionError):  # a smaller pipe is slower, not wrong
        fcntl.fcntl(writable, fcntl.F_SETPIPE_SZ, _PIPE)
    stop = threading.Event()
    job = blocking.start(_Pump(source, writable, stop).run)
    try:
        yield readable
    except asyncio.CancelledError:
        stop.set()
        raise
    finally:
        os.close(readable)  # a thread that still writes is told so by EPIPE
        await (blocking.outlive(job) if stop.is_set() else blocking.finish(job, stop))


def direct(source: Source) -> BinaryIO:
    """The blob of a plain source, open. Raises Corrupt when it cannot be, or by name or length is not the payload itself."""
    with reading(source.blob):
        file = source.blob.open("rb")
        length = os.fstat(file.fileno()).st_size
    if (source.blob.name, length) != (source.sha256, source.length):
        file.close()
        raise _differs(source, source.blob.name, length)
    return file


class _Pump:
    """Decodes, proves and writes one payload, in the thread that runs it: a second thread only took its time from SWUpdate's."""

    def __init__(self, source: Source, into: int, stop: threading.Event) -> None:
        self._source = source
        self._into = into
        self._stop = stop
        self._digest = None if source.decoder.proves else hashlib.sha256()
        self._held: deque[bytes] = deque()
        self._holding = 0  # bytes of them
        self._read = True  # the program still reads

    def run(self) -> None:
        """All of it, then close the pipe. Raises Corrupt; Stopped when asked to stop."""
        try:
            length = self._decode()
            found = self._digest.hexdigest() if self._digest else self._source.sha256
            if (found, length) != (self._source.sha256, self._source.length):
                raise _differs(self._source, found, length)
            while self._held:
                self._write(self._held.popleft())
        finally:
            os.close(self._into)

    def _decode(self) -> int:
        """Everything but the tail is proved and written when this returns the decoded length."""
        length = 0
        with contextlib.closing(self._source.stream()) as pieces:
            for piece in pieces:
                if self._stop.is_set():
                    raise blocking.Stopped
                length += len(piece)
                if length > self._source.length:
                    raise _differs(self._source, "more bytes", length)
                if self._digest:
                    self._digest.update(piece)
                self._pass(piece)
        return length

    def _pass(self, piece: bytes) -> None:
        """Hold this piece, and write what need not be held for it."""
        self._held.append(piece)
        self._holding += len(piece)
        while self._holding - len(self._held[0]) >= TAIL:
            first = self._held.popleft()
            self._holding -= len(first)
            self._write(first)

    def _write(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view and self._read:
            try:
                view = view[os.write(self._into, view) :]
            except BrokenPipeError:
                self._read = False  # its exit status says why


def _differs(source: Source, found: str, length: int) -> Corrupt:
    return Corrupt(
        "payload-differs",
        f"the blob {source.blob.name} decodes to {length} bytes with the SHA-256 {found}, and the release says {source.length} "
        f"bytes with {source.sha256}",
        "Publish the release's encodings again: blob and document do not belong together",
        who=Who.INTEGRATOR,
        evidence={"blob": source.blob.name, "expected": source.sha256, "found": found, "length": str(length)},
    )
