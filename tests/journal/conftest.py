from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otad.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def start(path: Path) -> Iterator[Callable[..., Journal]]:
    """Opens the journal at `path` as often as a test starts the daemon; all are closed at the end."""
    journals: list[Journal] = []

    def opened(keep: int = 5000) -> Journal:
        journals.append(Journal.open(path, keep))
        return journals[-1]

    yield opened
    for journal in journals:
        journal.close()
