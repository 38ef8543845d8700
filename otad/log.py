"""Logging: into the journal with fields where it is there, else one clean line per record on stderr.

Rules:
 1. What `extra=` names becomes a field: extra={"release": "1.1.0"} is OTAD_RELEASE=1.1.0 (`journalctl OTAD_RELEASE=1.1.0`).
 2. A user and password within a URL never reach the log.
 3. systemd-python is a convenience: without it journald still learns each line's priority (sd-daemon(3), "<N>").
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from otad.errors import discreet

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PRIORITY = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))  # syslog(3)


def setup(level: int = logging.INFO) -> None:
    """Send every logger's records of at least `level` to the journal, or to stderr."""
    logging.basicConfig(level=level, handlers=[_handler()], force=True)


def fields(record: logging.LogRecord) -> dict[str, str]:
    """What the caller gave as `extra`, under journal names."""
    return {f"OTAD_{name.upper()}": discreet(str(value)) for name, value in vars(record).items() if name not in _STANDARD}


class JournalHandler(logging.Handler):
    """Records with their fields, by `send` (systemd.journal.send's shape)."""

    def __init__(self, send: Callable[..., Any]) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))  # basicConfig gives its own to a handler that has none
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record. A journal that cannot be reached is logging's own matter (`handleError`)."""
        try:
            self._send(
                discreet(self.format(record)),
                PRIORITY=_priority(record),
                SYSLOG_IDENTIFIER="otad",
                LOGGER=record.name,
                CODE_FILE=record.pathname,
                CODE_LINE=record.lineno,
                CODE_FUNC=record.funcName,
                **fields(record),
            )
        except OSError:
            self.handleError(record)


class LineFormatter(logging.Formatter):
    """`level logger: message`; with syslog's priority in front of every line when `prefixed`. The fields are the journal's."""

    def __init__(self, *, prefixed: bool) -> None:
        super().__init__("%(message)s")
        self._prefixed = prefixed

    def format(self, record: logging.LogRecord) -> str:
        """One record; its traceback, if any, follows in further lines."""
        text = discreet(super().format(record))
        if self._prefixed:
            return "\n".join(f"<{_priority(record)}>{line}" for line in text.splitlines())
        return f"{record.levelname.lower()} {record.name}: {text}"


def _handler() -> logging.Handler:
    if _under_journald():
        try:
            return JournalHandler(importlib.import_module("systemd.journal").send)
        except ImportError:
            pass  # an extra, see rule 3
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(prefixed=_under_journald()))
    return handler


def _under_journald() -> bool:
    """True when stderr is the journal: JOURNAL_STREAM names its device and inode (systemd.exec(5))."""
    status = os.fstat(2)
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _priority(record: logging.LogRecord) -> int:
    return next((priority for level, priority in _PRIORITY if record.levelno >= level), 7)
