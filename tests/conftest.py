"""What every test may count on."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from hypothesis import settings

# How fast it is, is for the bench. CI judges a commit by the same examples each time; everywhere else new ones are looked for.
settings.register_profile("otad", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("otad")

# asyncio of 3.10 closes the TCP side of a TLS connection only after its session was closed, too late for aiohttp.
UNCLOSED_IN_3_10 = ("<function _SelectorTransport.__del__", "<socket.socket fd=")
LONG = 60  # characters


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-failures", action="store_true", help="note the rows of docs/failures.md in place of comparing them")


def pytest_configure(config: pytest.Config) -> None:
    """Ctrl-C reaches the programs that tests start, also when the tests run in a shell's background, which ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.version_info < (3, 11):
        for what in UNCLOSED_IN_3_10:
            config.addinivalue_line(
                "filterwarnings", f"ignore:Exception ignored in. {what}:pytest.PytestUnraisableExceptionWarning"
            )


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long text or blob is named by its length: a test's name is to be read."""
    return f"{argname} of {len(val)}" if isinstance(val, (str, bytes)) and len(val) > LONG else None
