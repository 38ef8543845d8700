"""QMP, as much of it as a board needs: one command at a time, as lines of JSON (QEMU's docs/interop/qmp-spec)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from simulator.qemu.tape import BoardError


class Qmp:
    """QEMU's ear, at the other end of `reader` and `writer`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._greeted = False

    async def tell(self, command: str, **arguments: object) -> Any:
        """Carry out a command; what it returns. Raises BoardError when QEMU does not."""
        if not self._greeted:
            self._greeted = True
            await self._answer("QMP")
            await self.tell("qmp_capabilities")
        self._writer.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        return await self._answer("return")

    def close(self) -> None:
        """QEMU is gone."""
        self._writer.close()

    async def _answer(self, key: str) -> Any:
        """The next line with `key`; events that come before it are nobody's."""
        while line := await self._reader.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise BoardError(f"QEMU refuses: {answer['error']['desc']}")
            if key in answer:
                return answer[key]
        raise BoardError("QEMU has ended before it answered")
