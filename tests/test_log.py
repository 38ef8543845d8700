"""Where a record goes, with which fields and priority, and what never goes there."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from otad.errors import discreet
from otad.log import JournalHandler, LineFormatter

SAID = "cannot reach https://joe:secret@host/x"


def record(level: int = logging.WARNING, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("otad.test").makeRecord("otad.test", level, __file__, 1, "%s", (SAID,), None, "f", extra)


def test_a_line_on_stderr() -> None:
    line = LineFormatter(prefixed=False).format(record(release="1.1.0"))
    assert line == "warning otad.test: cannot reach https://***@host/x"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://u:p@host/x is gone", "https://***@host/x is gone"),
        ("it redirects to 'https://cdn/x?sig=abc&e=1#top', no", "it redirects to 'https://cdn/x?***#top', no"),
        ('{"url": "https://u:p@host/in?key=abc"}', '{"url": "https://***@host/in?***"}'),
        ("is it so? ask a@b.example", "is it so? ask a@b.example"),
    ],
)
def test_what_is_secret_within_a_url_is_not_told(said: str, shown: str) -> None:
    assert discreet(said) == shown


@pytest.mark.parametrize(("level", "priority"), [(10, 7), (20, 6), (30, 4), (40, 3), (50, 2)])
def test_each_line_tells_journald_its_priority(level: int, priority: int) -> None:
    line = LineFormatter(prefixed=True).format(record(level))
    assert line == f"<{priority}>cannot reach https://***@host/x"


def test_fields_reach_the_journal() -> None:
    sent: list[tuple[str, dict[str, Any]]] = []
    JournalHandler(lambda message, **fields: sent.append((message, fields))).handle(record(release="1.1.0", url=SAID))
    [(message, fields)] = sent
    assert message == "cannot reach https://***@host/x"
    assert fields["PRIORITY"] == 4
    assert fields["SYSLOG_IDENTIFIER"] == "otad"
    assert {name: value for name, value in fields.items() if name.startswith("OTAD_")} == {
        "OTAD_RELEASE": "1.1.0",
        "OTAD_URL": "cannot reach https://***@host/x",
    }


def said_by_a_process(tmp_path: Path, *, journald: bool) -> str:
    """What a process logs to a stderr that is, or is not, what JOURNAL_STREAM names."""
    program = f"""
        import logging, sys
        sys.modules["systemd.journal"] = None  # not installed
        from otad.log import setup
        setup()
        logging.getLogger("otad.test").warning("%s", {SAID!r})
        logging.getLogger("otad.test").debug("not said")
    """
    with (tmp_path / "stderr").open("w+") as stderr:
        status = os.fstat(stderr.fileno())
        stream = f"{status.st_dev}:{status.st_ino}" if journald else "1:1"
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            check=True,
            stderr=stderr,
            env={**os.environ, "JOURNAL_STREAM": stream},
            cwd=Path(__file__).parents[1],
        )
    return (tmp_path / "stderr").read_text()


def test_setup_knows_whether_journald_listens(tmp_path: Path) -> None:
    assert said_by_a_process(tmp_path, journald=True) == "<4>cannot reach https://***@host/x\n"
    assert said_by_a_process(tmp_path, journald=False) == "warning otad.test: cannot reach https://***@host/x\n"


def test_the_journal_has_level_and_logger_as_fields_not_in_the_message() -> None:
    """basicConfig gives a format of its own to a handler that has none."""
    sent: list[str] = []
    handler = JournalHandler(lambda message, **_fields: sent.append(message))
    before = logging.root.handlers[:]
    try:
        logging.basicConfig(handlers=[handler], force=True)
        handler.handle(record())
    finally:
        logging.root.handlers[:] = before
    assert sent == ["cannot reach https://***@host/x"]
