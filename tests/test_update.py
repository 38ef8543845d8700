# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Whole updates on the fast board: real otad, TUF, HTTPS, SWUpdate, fw_setenv, SQLite and ext4."""

import pytest

from otad.statemachine import State
from simulator.depot import Depot
from simulator.fastboard import FastBoard
from simulator.system import Kernel, System
from tests.support.board import GOOD_UPDATE, PATIENCE, REAL_PARTS, A, B, chain, check_again, journal, runs

pytestmark = REAL_PARTS


@pytest.fixture
def depot(tmp_path):
    return Depot.create(tmp_path / "depot")


def new_board(depot, repository, tmp_path):
    return FastBoard.create(tmp_path / "b", depot.image(System("1.0.0")), repository)


async def test_a_good_release_is_installed_tried_and_committed(depot, tmp_path):
    depot.offer(System("1.1.0"))
    async with depot.served() as repository, new_board(depot, repository, tmp_path) as board:
        await board.power_on()
        assert await board.settled(PATIENCE) is B
        assert runs(board) == "1.1.0"
        assert chain(board) == GOOD_UPDATE
        env = board.env.load()
        assert (env.boot_partition, env.upgrade_available, env.otad_fallback, env.otad_rollback) == ("B", "0", "A", "")
        record, events = journal(board)
        assert record
        assert (record.state, record.home) == (State.IDLE, B)
        assert [e["running"] for e in events] == ["1.0.0"] * 5 + ["1.1.0"] * 2


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        pytest.param(System("1.1.0", healthy=False), "check-failed", id="unhealthy"),
        pytest.param(System("1.1.0", kernel=Kernel.PANICS), "boot-failed", id="panics", marks=pytest.mark.slow),
        pytest.param(System("1.1.0", kernel=Kernel.MISSING), "boot-failed", id="cannot be loaded", marks=pytest.mark.slow),
    ],
)
async def test_a_bad_release_comes_back_by_itself(depot, tmp_path, bad, code):
    depot.offer(bad)
    async with depot.served() as repository, new_board(depot, repository, tmp_path) as board:
        await board.power_on()
        assert await board.settled(PATIENCE) is A
        assert runs(board) == "1.0.0"
        env = board.env.load()
        assert (env.boot_partition, env.upgrade_available, env.otad_rollback) == ("A", "0", "")
        record, events = journal(board)
        assert record
        assert (record.state, record.home) == (State.IDLE, A)
        last = [e for e in events if e["state"] == "rollback"][-1]
        assert last["outcome"] == "done"
        assert last["cause"]["code"] == code
        assert {"log", "archive"} <= last["evidence"].keys()
        assert not [e for e in events if e["state"] == "commit"]
        await check_again(board)  # and it is not taken again
        assert chain(board)[-1] == ("check", "nothing")
        assert journal(board)[1][-1]["cause"]["code"] == "refused"
