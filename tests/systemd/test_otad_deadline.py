"""otad-deadline on a real boot environment. Only `systemctl` and `sleep` are not what they are on a device."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "systemd" / "otad-deadline"
SIZE = 0x2000
REBOOT = ["systemctl reboot --force", "sleep 60", "systemctl reboot --force --force"]


class Board:
    """A redundant environment in a file, and a PATH on which nothing reboots and no time passes."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "fw_env.config"
        self.image = folder / "env.bin"
        self._folder = folder
        self._calls = folder / "calls"
        (folder / "bin").mkdir()
        self.stub("systemctl")
        self.stub("sleep")

    def stub(self, name: str, then: str = ":") -> None:
        """A program that notes its arguments, and then does `then`."""
        file = self._folder / "bin" / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >>{self._calls}\n{then}\n')
        file.chmod(0o755)

    def environment(self, **variables: str) -> None:
        (self._folder / "env.txt").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        one = self._folder / "one"
        subprocess.run(["mkenvimage", "-s", hex(SIZE), "-r", "-o", one, self._folder / "env.txt"], check=True)
        self.image.write_bytes(one.read_bytes() * 2)
        self.config.write_text(f"{self.image} 0x0 {SIZE:#x}\n{self.image} {SIZE:#x} {SIZE:#x}\n")

    def deadline(self, seconds: str = "0") -> tuple[int, list[str]]:
        """Exit status, and what was called."""
        environ = {
            "PATH": f"{self._folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
            "OTAD_DEADLINE": seconds,
            "OTAD_FW_ENV": str(self.config),
        }
        status = subprocess.run(["sh", SCRIPT], check=False, env=environ, timeout=60).returncode
        return status, self._calls.read_text().splitlines() if self._calls.exists() else []


@pytest.fixture
def board(tmp_path: Path) -> Board:
    for tool in ("mkenvimage", "fw_printenv", "fw_setenv"):
        if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{tool} is not installed")
    return Board(tmp_path)


def uptime() -> int:
    return int(float(Path("/proc/uptime").read_text().split()[0]))


def test_an_unconfirmed_trial_is_rebooted_and_nothing_is_written(board: Board) -> None:
    board.environment(upgrade_available="1", bootcount="1", boot_partition="B")
    before = board.image.read_bytes()
    status, calls = board.deadline()
    assert calls == REBOOT
    assert status == 1  # still here: systemd starts it again
    assert board.image.read_bytes() == before


@pytest.mark.parametrize("available", ["0", "", "2", "11", "yes"])
def test_a_stable_boot_is_left_alone_at_once(board: Board, available: str) -> None:
    board.environment(upgrade_available=available, boot_partition="A")
    assert board.deadline("100000000") == (0, [])


def test_an_environment_without_the_variable_is_no_trial(board: Board) -> None:
    board.environment(boot_partition="A")
    assert board.deadline() == (0, [])


def test_it_waits_until_the_deadline_counted_from_boot(board: Board) -> None:
    board.environment(upgrade_available="1")
    status, calls = board.deadline(str(uptime() + 1000))
    assert status == 1
    assert 900 < int(calls[0].removeprefix("sleep ")) <= 1000
    assert calls[1:] == REBOOT


def test_a_trial_that_is_confirmed_meanwhile_goes_on(board: Board) -> None:
    board.environment(upgrade_available="1")
    board.stub("sleep", f"fw_setenv -c {board.config} upgrade_available 0")
    status, calls = board.deadline(str(uptime() + 1000))
    assert status == 0
    assert len(calls) == 1


def test_it_waits_for_an_environment_that_comes_late(board: Board) -> None:
    """The device node may not be there yet when this starts."""
    board.environment(upgrade_available="1")
    late = board.image.rename(board.image.with_suffix(".late"))
    board.stub("sleep", f"[ -e {board.image} ] || cp {late} {board.image}")
    assert board.deadline() == (1, ["sleep 5", *REBOOT])


def test_it_keeps_asking_a_damaged_environment(board: Board) -> None:
    """Nobody can tell a trial from a stable boot then: it neither reboots nor gives up."""
    board.environment(upgrade_available="1")
    good = board.image.read_bytes()
    board.image.write_bytes(b"\xa5" * len(good))
    (board.image.with_suffix(".good")).write_bytes(good)
    board.stub("sleep", f"[ $(wc -l <{board.image.parent}/calls) -lt 3 ] || cp {board.image.with_suffix('.good')} {board.image}")
    assert board.deadline() == (1, ["sleep 5"] * 3 + REBOOT)


@pytest.mark.parametrize("setting", ["soon", "9999999999"])
def test_a_setting_that_is_no_time_means_ten_minutes(board: Board, setting: str) -> None:
    board.environment(upgrade_available="1")
    status, calls = board.deadline(setting)
    assert status == 1
    assert calls[-3:] == REBOOT
    assert all(int(call.removeprefix("sleep ")) <= 600 for call in calls[:-3])
