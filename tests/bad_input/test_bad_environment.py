# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The boot environment cannot be read, lacks what brings a bad release back, or is not the one that U-Boot reads."""

import os

import pytest

from simulator.envfile import SIZE, EnvFile
from tests.support.board import (
    PATIENCE,
    REAL_PARTS,
    A,
    B,
    calm,
    chain,
    goes_on,
    journal,
    keep,
    refused,
    shown,
)
from tests.support.failures import Place, fault

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python


def blank(board):
    board.env.image.write_bytes(bytes(2 * SIZE))


def noise(board):
    board.env.image.write_bytes(os.urandom(2 * SIZE))


def gone(board):
    board.env.image.rename(board.env.image.with_suffix(".gone"))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            blank,
            marks=fault(
                Place.BOOT,
                "Blank, or both copies damaged",
                "U-Boot runs on what is built into it. Nothing is written, no update begins",
            ),
        ),
        noise,
        gone,
    ],
)
async def test_an_environment_that_cannot_be_read(bench, mirror, tmp_path, damage):
    """Rule 0: nothing is written, nothing is begun. U-Boot itself runs on what is built into it."""
    async with mirror.served() as repository, bench.board(repository) as board:
        kept = keep(board)
        good = board.env.image.read_bytes()
        board.uboot = EnvFile.create(tmp_path)
        damage(board)
        found = board.env.image.read_bytes() if board.env.image.exists() else None
        await board.power_on()
        assert await board.settled(PATIENCE) is A
        assert chain(board) == [("idle", "due"), ("check", "nothing")]
        cause = journal(board)[1][-1]["cause"]
        assert cause["code"] == "bootenv-read"
        assert "fw_printenv" in cause["what"]
        await shown(board, cause)
        assert (board.env.image.read_bytes() if board.env.image.exists() else None) == found
        assert keep(board) == kept
        board.env.image.write_bytes(good)
        board.uboot = board.env
        await goes_on(board)


@fault(Place.BOOT, "`altbootcmd` missing", "Does not write the slot: a bad release could not be undone")
async def test_no_way_back(bench, mirror):
    """altbootcmd is empty: U-Boot would stop at its prompt when a trial runs out."""
    async with mirror.served() as repository, bench.board(repository) as board:
        way = board.env.variables()["altbootcmd"]
        board.env.set({"altbootcmd": ""})
        event = await refused(board, "environment-unsafe", "altbootcmd is empty")
        assert event["state"] == "verify"
        board.env.set({"altbootcmd": way})
        await goes_on(board)


@fault(Place.BOOT, "U-Boot and `fw_env.config` disagree", "Does not write the slot: what it arms, U-Boot would not see")
async def test_u_boot_reads_another_environment(bench, mirror, tmp_path):
    """fw_env.config is wrong: what otad arms, U-Boot would never see. It shows because this boot was not counted here."""
    async with mirror.served() as repository, bench.board(repository) as board:
        board.uboot = EnvFile.create(tmp_path)
        await refused(board, "environment-unsafe", "U-Boot did not count this boot")
        board.uboot = board.env
        await goes_on(board)


@fault(Place.BOOT, "`bootlimit` missing", "Does not write the slot: failed boots of a trial would never end")
async def test_boots_without_an_end(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        board.env.set({"bootlimit": ""})
        event = await refused(board, "environment-unsafe", "bootlimit is ''")
        assert event["state"] == "verify"


@fault(
    Place.BOOT,
    "One of the two copies damaged, as after a power cut",
    "U-Boot and otad go on with the other; the next change repairs it",
)
async def test_half_an_environment(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        kept = keep(board)
        board.env.tear()
        await board.power_on()
        assert await board.settled(PATIENCE) is B
        assert chain(board)[-1] == ("commit", "done")
        await calm(board, kept)
