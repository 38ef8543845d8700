"""Installs by the real SWUpdate, confined: good ones, and every bad bundle that a device may meet."""

from __future__ import annotations

import hashlib

import pytest

from otad.bootenv import Slot
from tests.support.bundles import bundle
from tests.support.install_board import IMAGE, OLD, Board


@pytest.mark.parametrize("zstd", [False, True])
@pytest.mark.parametrize("target", list(Slot))
async def test_a_good_bundle_is_written_to_the_target_and_nowhere_else(board: Board, zstd: bool, target: Slot) -> None:
    payload, source = board.offer(bundle(board.signer, IMAGE), zstd=zstd)
    await board.handler.check(payload, source, target)
    assert board.read(target) == OLD  # looking changes nothing

    installed = await board.handler.install(payload, source, target, board.tell)

    assert board.read(target) == IMAGE + OLD[len(IMAGE) :]
    assert board.read(target.other) == OLD
    assert (installed.payload, installed.length) == (payload.sha256, len(IMAGE))
    assert installed.sha256 == hashlib.sha256(IMAGE).hexdigest()
    assert board.progress == sorted(board.progress)
    assert board.progress[-1] == (2 * len(IMAGE), 2 * len(IMAGE))
    assert not (board.paths.run / "swupdate").exists()
