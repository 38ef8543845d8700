"""A board, and who signs its bundles."""

from __future__ import annotations

from pathlib import Path

import pytest

from otad.config import Swupdate
from tests.support.bundles import BOARD, CONFINE, Signer, unavailable
from tests.support.install_board import OLD, Board


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer.make(tmp_path_factory.mktemp("signer"))


@pytest.fixture
def board(tmp_path: Path, signer: Signer) -> Board:
    if why := unavailable():
        pytest.skip(why)
    (tmp_path / "hwrevision").write_text(f"{BOARD}\n")
    for name in ("slot-a", "slot-b"):
        (tmp_path / name).write_bytes(OLD)
    return Board(tmp_path, signer, Swupdate(command=(str(CONFINE),), ca=signer.file))
