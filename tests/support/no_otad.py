"""A board on which otad cannot live: what is asked of it all the same."""

from __future__ import annotations

import pytest

from otad.control import ending
from simulator.fastboard import BoardError, FastBoard
from tests.support import failures
from tests.support.board import PATIENCE, Said, keep, otactl


async def cannot_live(board: FastBoard, status: int, *words: str) -> Said:
    """otad ends with `status`, saying `words`; the boot is proven all the same, and otactl tells why there is no otad."""
    kept, board.starts = keep(board), 1  # nothing changes from one start to the next
    await board.power_on()
    with pytest.raises(BoardError, match=f"with status {status}\n") as caught:
        await board.settled(PATIENCE)
    for word in words:
        assert word in str(caught.value)
    env = board.env.load()
    assert (env.boot_partition, env.upgrade_available, env.otad_boots, env.bootcount) == ("A", "0", "0", "0")
    said = await otactl(board, "status")
    cause = ending.read(board.folder / "run")
    assert cause
    failures.tell(board, said.out + said.err, cause)
    for word in words:
        assert word in cause.what + cause.remedy
    assert keep(board) == kept
    return said
