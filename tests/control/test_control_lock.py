from __future__ import annotations

import os
from pathlib import Path

import pytest

from otad.control import lock
from otad.errors import OtadError


def test_nobody_is_awake_before_the_first_start(tmp_path: Path) -> None:
    assert not lock.held(tmp_path / "run")
    assert not (tmp_path / "run").exists()  # asking leaves nothing behind


def test_awake_while_held(tmp_path: Path) -> None:
    handle = lock.take(tmp_path)
    assert lock.held(tmp_path)
    assert lock.held(tmp_path)  # asking does not take it away
    os.close(handle)
    assert not lock.held(tmp_path)


def test_a_second_daemon_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.0)
    handle = lock.take(tmp_path)
    with pytest.raises(OtadError) as caught:
        lock.take(tmp_path)
    assert caught.value.cause.code == "already-running"
    assert "otactl status" in caught.value.cause.remedy
    os.close(handle)


def test_a_dead_daemon_holds_nothing(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        lock.take(tmp_path)
        os._exit(0)  # as a crash would: nothing is closed by hand
    os.waitpid(child, 0)
    assert not lock.held(tmp_path)
    os.close(lock.take(tmp_path))
