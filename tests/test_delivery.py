"""What delivery does with a cache that fails it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import pytest

from otad.delivery import CachedDelivery
from otad.fetch.cache import Cache


def delivery(cache: Cache) -> CachedDelivery:
    unused = cast("Any", None)
    return CachedDelivery(unused, cache, unused, unused, {}, unused)


def test_forgetting_empties_the_cache(tmp_path: Path) -> None:
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates" / ("1" * 64)).write_bytes(b"x")
    delivery(Cache(tmp_path / "updates", 0)).forget()
    assert not list((tmp_path / "updates").iterdir())


def test_a_cache_that_cannot_be_emptied_is_logged_and_fails_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates = tmp_path / "updates"
    updates.mkdir()
    (updates / ("1" * 64)).write_bytes(b"x")

    def fails(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(updates))

    with monkeypatch.context() as broken, caplog.at_level(logging.WARNING):
        broken.setattr(Path, "unlink", fails)
        delivery(Cache(updates, 0)).forget()
    assert "Read-only file system" in caplog.text
    delivery(Cache(updates, 0)).forget()  # the next time
    assert not list(updates.iterdir())
