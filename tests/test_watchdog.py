"""What systemd hears, over a real notification socket, and what the hardware watchdog says."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from otad.watchdog import SILENCE, Watchdog, caused_this_boot


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, at: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(at))

    def hears(self) -> list[str]:
        """What has come since the last time."""
        heard = []
        while True:
            try:
                heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return heard


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    at = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(at))
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    systemd = Systemd(at)
    yield systemd
    systemd.socket.close()


@pytest.fixture
def watchdog(systemd: Systemd) -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


def test_ready_status_and_stopping(systemd: Systemd, watchdog: Watchdog) -> None:
    watchdog.ready()
    watchdog.status("download of 1.1.0: 40 %\nin Zürich")
    watchdog.stopping(90)
    assert systemd.hears() == ["READY=1", "STATUS=download of 1.1.0: 40 % in Zürich", "STOPPING=1\nEXTEND_TIMEOUT_USEC=90000000"]


async def test_a_turning_loop_feeds_again_and_again(systemd: Systemd, watchdog: Watchdog) -> None:
    feeding = asyncio.ensure_future(watchdog.feed())
    heard: list[str] = []
    while len(heard) < 3:
        await asyncio.sleep(0)
        heard += systemd.hears()
    feeding.cancel()
    assert set(heard) == {"WATCHDOG=1"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_stuck_state_is_not_fed(systemd: Systemd, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    watchdog = Watchdog(clock=clock)
    watchdog.turn(resting=False)
    clock.now += SILENCE - 1
    assert watchdog.alive
    watchdog.beat()
    clock.now += SILENCE - 1
    assert watchdog.alive
    clock.now += 1
    await watchdog.feed()  # ends by itself
    watchdog.close()
    assert systemd.hears() == []
    assert "nothing has moved" in caplog.text


def test_a_resting_machine_may_be_silent_for_ever(systemd: Systemd) -> None:
    clock = Clock()
    watchdog = Watchdog(clock=clock)
    watchdog.turn(resting=True)
    clock.now += 10 * SILENCE
    assert watchdog.alive
    watchdog.turn(resting=False)
    assert watchdog.alive
    clock.now += SILENCE
    assert not watchdog.alive
    watchdog.close()


@pytest.mark.parametrize(
    ("environ", "period"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),  # meant for another process
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
async def test_whether_systemd_wants_feeding(environ: dict[str, str], period: float | None) -> None:
    watchdog = Watchdog(environ)
    assert watchdog.period == period
    if period is None:
        await watchdog.feed()


def test_without_systemd_all_is_quiet() -> None:
    watchdog = Watchdog({})
    watchdog.ready()
    watchdog.stopping(1)
    watchdog.close()


@pytest.mark.parametrize(
    ("told", "expected"),
    [([], None), (["0"], False), (["32"], True), (["0x20"], True), (["0", "32"], True), (["40"], True), (["8"], False)],
)
def test_a_watchdog_reset_is_told_from_a_power_cut(tmp_path: Path, told: list[str], expected: bool | None) -> None:
    for number, status in enumerate(told):
        (tmp_path / f"watchdog{number}").mkdir()
        (tmp_path / f"watchdog{number}" / "bootstatus").write_text(f"{status}\n")
    assert caused_this_boot(tmp_path) is expected
