"""SWUpdate's progress socket: how far an install is, for people only.

Rules:
 1. Always drained: SWUpdate blocks in the middle of an install when a connected client does not read.
 2. Never depended on: no socket, an unknown layout, an early end or a failing listener changes what is shown, nothing else.
 3. The layout is told by the bytes themselves, so that a newer SWUpdate in the next image needs no setting here.

From SWUpdate's `include/progress_ipc.h`. Up to 2022.12 a message begins with 0, from 2023.12 with the API's version; from
2024.12 (API 2) the connection begins with an acknowledgement of 8 bytes; from 2025.12 the structure is packed.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

NATIVE = struct.Struct("@IIIQIII256s64sII2048s0Q")  # 2416 bytes
PACKED = struct.Struct("=IIIQIII256s64sII2048s")  # 2408 bytes
ACK = struct.Struct("=I4s")
WORD = struct.Struct("=I")
ACKNOWLEDGED = 2 << 16  # API version from which the server acknowledges
PIECE = 1 << 16
SOCKET = "swupdateprog"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Message:
    """percent of the current step; step of steps, from 1; the image and the handler that are at work."""

    status: int
    steps: int
    step: int
    percent: int
    image: str
    handler: str


class Reader:
    """Turns the socket's bytes, in pieces of any size, into messages."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._layout: struct.Struct | None = None
        self._acknowledged = False

    def feed(self, piece: bytes) -> Iterator[Message]:
        """The messages that `piece` completes."""
        self._held += piece
        layout = self._layout = self._layout or self._recognise()
        while layout and len(self._held) >= layout.size:
            fields = layout.unpack_from(self._held)
            del self._held[: layout.size]
            yield Message(fields[1], fields[4], fields[5], fields[6], _text(fields[7]), _text(fields[8]))

    def _recognise(self) -> struct.Struct | None:
        """Which layout this is; None until enough has come. Packed or not shows where the second message's version stands."""
        if len(self._held) < ACK.size:
            return None
        (version,) = WORD.unpack_from(self._held)
        if version < ACKNOWLEDGED:
            return NATIVE
        if not self._acknowledged and ACK.unpack_from(self._held)[1] == b"ACK\0":
            del self._held[: ACK.size]
            self._acknowledged = True
        if len(self._held) < NATIVE.size + WORD.size:
            return None
        return PACKED if WORD.unpack_from(self._held, PACKED.size)[0] == version else NATIVE


async def follow(folder: Path, tell: Callable[[Message], None]) -> None:
    """Connect to the socket in `folder`, trying until it is there, and read it to its end. Cancel it when SWUpdate is gone."""
    delay = 0.01
    while (connection := await _connect(folder / SOCKET)) is None:
        await asyncio.sleep(delay)
        delay = min(2 * delay, 0.25)
    stream, writer = connection
    try:
        (failed,) = await asyncio.gather(_show(stream, tell), return_exceptions=True)
        if isinstance(failed, Exception) and not isinstance(failed, ConnectionError):
            log.error("progress is not shown any more", exc_info=failed)
            while await stream.read(PIECE):
                pass
    except ConnectionError:
        pass  # killed: the exit status says it
    finally:
        writer.close()


async def _show(stream: asyncio.StreamReader, tell: Callable[[Message], None]) -> None:
    reader = Reader()
    while piece := await stream.read(PIECE):
        for message in reader.feed(piece):
            tell(message)


async def _connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    try:
        return await asyncio.open_unix_connection(path)
    except (FileNotFoundError, ConnectionRefusedError):  # not there yet, or not listening yet
        return None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")
