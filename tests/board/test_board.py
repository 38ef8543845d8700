"""A board whose QEMU dies is told of at once, with what QEMU said; and no QEMU outlives whoever started it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from simulator.qemu.board import Board
from simulator.qemu.tape import BoardError
from simulator.qemu.tools import need

LIVES = """
import asyncio, sys
from pathlib import Path
from simulator.qemu.board import Board

async def lives():
    async with Board(Path(sys.argv[1]), Path(sys.argv[2])) as board:
        await board.power_on()
        print("on", flush=True)
        await asyncio.sleep(600)

asyncio.run(lives())
"""


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    """Nothing that a processor could run."""
    (tmp_path / "none.bin").write_bytes(bytes(4096))
    return tmp_path / "none.bin"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    need({"qemu-img": "qemu-utils", "qemu-system-aarch64": "qemu-system-arm"})
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "card.qcow2", "16M"], check=True)
    return tmp_path / "card.qcow2"


def machines(of: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(of).children(recursive=True) if child.name().startswith("qemu")]


async def test_one_that_does_not_start_says_why(firmware: Path, tmp_path: Path) -> None:
    (tmp_path / "card.qcow2").write_bytes(bytes(1 << 20))
    async with Board(firmware, tmp_path / "card.qcow2") as board:
        await board.power_on()
        with pytest.raises(BoardError, match=r"QEMU has ended with status 1: .*[Ii]mage is not in qcow2 format"):
            await board.until("U-Boot")


async def test_one_that_dies_wakes_whoever_waits(firmware: Path, card: Path) -> None:
    async with Board(firmware, card) as board:
        await board.power_on()
        waits = asyncio.create_task(board.until("U-Boot"))
        await asyncio.sleep(0.5)
        (machine,) = machines(os.getpid())
        machine.kill()
        with pytest.raises(BoardError, match="QEMU has ended with status -9"):
            await asyncio.wait_for(waits, 30)


def test_none_outlives_a_killed_test(firmware: Path, card: Path) -> None:
    command: list[str | Path] = [sys.executable, "-c", LIVES, firmware, card]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as test:
        assert test.stdout
        assert test.stdout.readline() == b"on\n"
        (machine,) = machines(test.pid)
        test.send_signal(signal.SIGKILL)
        test.wait()
        machine.wait(30)
