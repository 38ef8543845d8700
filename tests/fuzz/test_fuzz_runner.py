"""The runner of `make fuzz`: what it finds is kept, and ends it."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tests.fuzz import __main__ as runner
from tests.fuzz.targets import TARGETS, Target


def hangs(_data: bytes) -> None:
    while True:
        try:
            sum(range(1000))
        except Exception:  # noqa: BLE001, S112  # as a parser might
            continue


def crashes(_data: bytes) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(("parser", "found"), [(hangs, runner.Hangs), (crashes, ZeroDivisionError)])
def test_a_finding_is_kept_and_ends_the_run(
    parser: object,
    found: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)  # it would stay
    monkeypatch.setattr(runner, "KEPT", tmp_path)
    monkeypatch.setattr(runner, "SLOWEST", 0.2)
    monkeypatch.setitem(TARGETS, "bad", Target(parser, (b"seed",)))  # type: ignore[arg-type]
    with pytest.raises(found):
        runner.diced("bad", 30)
    [file] = tmp_path.iterdir()
    assert file.name.startswith("bad-")
    assert f"{file.read_bytes()[:200]!r}" in capsys.readouterr().out


def test_what_is_done_in_time_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert runner.diced("cmdline", 0.2) > 1
