"""A published folder, read by otad's own client without a server."""

from __future__ import annotations

from pathlib import Path

from otad.trust import NotFound


class Folder:
    """Fetch from a folder."""

    def __init__(self, out: Path) -> None:
        self._out = out

    @property
    def base(self) -> str:
        return f"{self._out}/"

    async def get(self, path: str, limit: int, *, fresh: bool = False) -> bytes:
        file = self._out / path
        if not file.is_file():
            raise NotFound("not-found", f"{file} is not there")
        data = file.read_bytes()
        assert len(data) <= limit
        return data
