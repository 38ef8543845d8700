"""The system around us, as the event loop sees it."""

from __future__ import annotations

import asyncio
import os
import threading

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
