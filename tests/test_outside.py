"""Commands of the site: children where nothing is sandboxed, else units. That they really run there is shown by tests/booted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from otad import children, outside
from otad.commands import Ended


async def test_an_ordinary_child_where_nothing_is_sandboxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(outside.SANDBOX, raising=False)
    assert await outside.run(("echo", "$HOME"), 10, 100) == Ended(0, "$HOME")


async def test_a_unit_in_the_sandbox_killed_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool, text in (("systemd-run", "sleep 60"), ("systemctl", f"echo $@ > {tmp_path}/called")):
        (tmp_path / tool).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(outside.SANDBOX, "yes")
    assert (await outside.run(("true",), 0.2, 100)).status is None
    assert (tmp_path / "called").read_text().startswith("kill --signal=KILL otad-command-")


def test_systemd_puts_no_variables_into_its_words() -> None:
    made = outside.transient("u.service", ("sh", "-c", "echo $HOME"), 5)
    assert made[made.index("--") + 1 :] == ("sh", "-c", "echo $$HOME")
    assert "--property=RuntimeMaxSec=35" in made


def test_children_do_not_speak_to_systemd_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    assert "NOTIFY_SOCKET" not in children.environment()
    assert children.environment(TMPDIR="/x")["TMPDIR"] == "/x"
