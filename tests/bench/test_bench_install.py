"""How `make bench` makes the figures of an install of what was measured."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import install


class Still:
    """A depot, and its boards, that are only asked for."""

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        yield

    def roll_out(self, version: str) -> None:
        pass


async def test_a_figure_is_the_median_of_pairs_in_which_each_is_first_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    seconds = {"ours": iter([6.0, 20.0, 9.0]), "bare": iter([5.0, 10.0, 9.0])}

    def took(who: str) -> float:
        order.append(who)
        return next(seconds[who])

    async def updated(*_: object) -> float:
        return took("ours")

    @asynccontextmanager
    async def board(folder: Path, *_: object) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(folder=folder)

    depot: Any = Still()
    monkeypatch.setattr(install, "CASES", {"x": install.Case("1", 0)})
    monkeypatch.setattr(install, "_board", board)
    monkeypatch.setattr(shutil, "rmtree", lambda _: None)
    monkeypatch.setattr(install, "_updated", updated)
    monkeypatch.setattr(install, "_bare", lambda *_: took("bare"))
    assert await install._measure(tmp_path / "b", depot, 1, 3) == {"x": 1.2}
    assert order == ["ours", "bare", "bare", "ours", "ours", "bare"]
