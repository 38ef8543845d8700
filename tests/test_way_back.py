# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""A fleet sent back: boards that run 1.1.0 return to 1.0.0, through the trial that every release goes through."""

from contextlib import asynccontextmanager

import pytest

from otad.formats.campaign import Action
from otad.publisher import grants, rollout
from simulator.depot import Depot, now
from simulator.fastboard import FastBoard
from simulator.system import System
from tests.support.board import PATIENCE, REAL_PARTS, A, B, chain, check_again, journal, runs

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python


@pytest.fixture
def depot(tmp_path):
    return Depot.create(tmp_path / "depot")


@asynccontextmanager
async def fleet(depot, tmp_path):
    """A board that came with 0.9.0, went to 1.0.0 in B, and then to 1.1.0 in A."""
    depot.offer(System("1.0.0"))
    factory = depot.image(System("0.9.0"))
    async with depot.served() as repository, FastBoard.create(tmp_path / "b", factory, repository) as board:
        await board.power_on()
        assert (await board.settled(PATIENCE), runs(board)) == (B, "1.0.0")
        depot.offer(System("1.1.0"))
        await check_again(board)
        assert (board.slot, runs(board)) == (A, "1.1.0")
        yield board


def send_back(depot, running):
    """Let `running` be left for 1.0.0, and roll that out in place of 1.1.0."""
    grants.allow_back(depot.workspace, running, ["1.0.0"], now=now())
    rollout.stop(depot.workspace, "stable", now=now())
    rollout.start(depot.workspace, "stable", rollout.NewCampaign("1.0.0", action=Action.BACK), now=now())
    depot.publish()


def moved(board, state):
    """Bytes that came in the last `state`."""
    return next(e.get("bytes", {}) for e in reversed(journal(board)[1]) if e["state"] == state)


@pytest.mark.slow
async def test_the_slot_that_still_holds_it_is_booted_without_a_download(depot, tmp_path):
    async with fleet(depot, tmp_path) as board:
        seen = len(chain(board))
        send_back(depot, "1.1.0")
        await check_again(board)
        assert (board.slot, runs(board)) == (B, "1.0.0")
        assert chain(board)[seen:] == [
            ("idle", "due"),
            ("check", "admitted"),
            ("download", "done"),
            ("verify", "staged"),
            ("validate", "done"),
            ("commit", "done"),
        ]
        assert not moved(board, "download")
        await check_again(board)
        assert runs(board) == "1.0.0"  # and there it stays
        assert journal(board)[1][-1]["cause"]["code"] == "current"


@pytest.mark.slow
async def test_a_slot_that_rotted_is_written_anew(depot, tmp_path):
    async with fleet(depot, tmp_path) as board:
        with board.slots[B].open("r+b") as slot:
            slot.seek(4 << 20)
            slot.write(b"rotten")
        send_back(depot, "1.1.0")
        await check_again(board)
        assert (board.slot, runs(board)) == (B, "1.0.0")
        assert chain(board)[-7:] == [
            ("download", "done"),
            ("verify", "corrupt"),
            ("download", "done"),
            ("verify", "done"),
            ("install", "done"),
            ("validate", "done"),
            ("commit", "done"),
        ]
        assert moved(board, "download")


async def test_a_withdrawn_release_brings_nobody_there(depot, tmp_path):
    depot.offer(System("1.1.0"))
    grants.withdraw(depot.workspace, "1.1.0", now=now())
    depot.publish()
    factory = depot.image(System("1.0.0"))
    async with depot.served() as repository, FastBoard.create(tmp_path / "b", factory, repository) as board:
        await board.power_on()
        assert (await board.settled(PATIENCE), runs(board)) == (A, "1.0.0")
        cause = journal(board)[1][-1]["cause"]
        assert (cause["code"], cause["what"]) == ("not_granted", "release 1.1.0 is withdrawn")


@pytest.mark.slow
async def test_without_the_running_releases_grant_nobody_goes_back(depot, tmp_path):
    """The online key alone starts it: another release's grant that names 1.0.0 helps nobody who does not run that one."""
    async with fleet(depot, tmp_path) as board:
        depot.add("1.2.0", depot.pack("1.2.0", depot.image(System("1.2.0"))))
        send_back(depot, "1.2.0")
        await check_again(board)
        assert runs(board) == "1.1.0"
        cause = journal(board)[1][-1]["cause"]
        assert (cause["code"], cause["who"]) == ("older", "integrator")
        assert "release 1.1.0 does not allow going back to 1.0.0" in cause["what"]
