"""The system around us, as the event loop sees it."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from otad.config import Reboot
from otad.host import SystemdHost


async def test_a_slow_medium_does_not_hold_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = threading.Event()
    monkeypatch.setattr(os, "sync", lambda: flushed.wait(60) or pytest.fail("the loop stood still"))
    syncing = asyncio.create_task(SystemdHost(Reboot()).sync())
    await asyncio.sleep(0)
    assert not syncing.done()
    flushed.set()  # only a loop that goes on comes here before the medium is done
    await syncing


async def test_it_is_over_only_when_everything_is_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(os, "sync", lambda: calls.append("sync"))
    await SystemdHost(Reboot()).sync()
    assert calls == ["sync"]


async def test_there_is_one_timer_for_the_next_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each otad that ends sets one: they must not add up."""
    for tool in ("systemctl", "systemd-run"):
        stub = tmp_path / tool
        stub.write_text(f'#!/bin/sh\necho "{tool} $*" >> {tmp_path}/said\n')
        stub.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    await SystemdHost(Reboot()).wake(7200.5)
    assert (tmp_path / "said").read_text().splitlines() == [
        "systemctl stop otad-check.timer",
        "systemd-run --collect --quiet --unit=otad-check --on-active=7200s systemctl start otad",
    ]


async def test_what_a_command_leaves_behind_holds_up_nothing(tmp_path: Path) -> None:
    """A child of its own that keeps its output open: the command is over when its time is."""
    stub = tmp_path / "systemctl"
    stub.write_text("#!/bin/sh\nsleep 1000\n:\n")
    stub.chmod(0o755)
    await SystemdHost(Reboot(stop=("application.service",), stop_timeout=0.1, systemctl=(str(stub),))).stop()
