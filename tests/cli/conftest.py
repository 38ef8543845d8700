from __future__ import annotations

import asyncio
import io
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
import pytest_asyncio

from otad import config
from otad.cli import main
from otad.control import lock
from otad.control.listener import NAME
from otad.control.server import Server
from tests.control.fake_desk import FakeDesk


@dataclass(frozen=True)
class Said:
    """What a command wrote, and how it ended."""

    exit: int
    out: str
    err: str


class Board:
    """A device's folders and settings, and its shell."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        self.data = folder / "data"
        self.settings = folder / "otad.toml"
        self.data.mkdir()
        (folder / "cmdline").write_text("root=/dev/mmcblk0p2 otad.slot=A quiet\n")
        (folder / "release.json").write_text('{"product": "camera", "version": "1.0.0"}')
        self.settings.write_text(
            f'[repository]\nurl = "https://updates.example/"\n[device]\nproduct = "camera"\n[paths]\nrun = "{self.run}"\n'
            f'data = "{self.data}"\ncmdline = "{folder}/cmdline"\nrelease = "{folder}/release.json"\n'
        )

    async def otactl(self, *arguments: str, settings: bool = True) -> Said:
        """Run otactl's main in a thread of this process: as `spawned`, in a hundredth of the time."""
        words = ["otactl", *arguments, *(("--config", str(self.settings)) if settings else ())]
        return await asyncio.to_thread(_main, words)

    async def spawned(self, *arguments: str, settings: bool = True) -> Said:
        """Run otactl as a script does."""
        words = [*arguments, *(("--config", str(self.settings)) if settings else ())]
        environment = {**os.environ, "PYTHONWARNINGS": "error"}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "otad.cli", *words, stdout=pipe, stderr=pipe, env=environment
        )
        out, err = await process.communicate()
        return Said(process.returncode or 0, out.decode(), err.decode())


def _main(words: list[str]) -> Said:
    out, err = io.StringIO(), io.StringIO()
    with mock.patch.object(sys, "argv", words), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main()
    return Said(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are shown in local time."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


@pytest_asyncio.fixture
async def desk(board: Board) -> AsyncIterator[FakeDesk]:
    """What answers on the board's socket, awake."""
    handle = lock.take(board.run)
    desk = FakeDesk()
    served = Server(desk, config.Daemon(), board.run / NAME)
    await served.start()
    yield desk
    await served.stop()
    os.close(handle)
