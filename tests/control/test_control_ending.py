"""Why otad does not run, as one process leaves it for another."""

from __future__ import annotations

from pathlib import Path

import pytest

from otad.control import ending
from otad.errors import Cause, Who

CAUSE = Cause("config-invalid", "otad.toml: a key is wrong", "Correct it", Who.FIELD, {"line": "3"})


def test_what_was_noted_is_read(tmp_path: Path) -> None:
    ending.note(tmp_path / "run", CAUSE)
    assert ending.read(tmp_path / "run") == CAUSE


def test_nothing_was_noted(tmp_path: Path) -> None:
    assert ending.read(tmp_path) is None


def test_a_daemon_that_runs_takes_it_away(tmp_path: Path) -> None:
    ending.note(tmp_path, CAUSE)
    ending.clear(tmp_path)
    ending.clear(tmp_path)
    assert ending.read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"code": "x"}'])
def test_half_a_file_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / ending.NAME).write_text(text)
    assert ending.read(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "run").touch()
    ending.note(tmp_path / "run", CAUSE)
    assert "otactl cannot be told" in caplog.text
