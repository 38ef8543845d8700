# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""otad is ended in the middle, kindly or not, or started twice."""

import asyncio
import signal

import pytest

from otad.resume import INSTALL_STARTS
from simulator import processes
from simulator.settings import HERE
from tests.support.board import PATIENCE, REAL_PARTS, A, B, chain, harmless, journal, keep, nothing_lost, rest, until
from tests.support.slow import SlowInstall

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python
KILLER = """#!/bin/sh
# SWUpdate, whose installs end the otad that asked for them.
case " $* " in *" -c "*) exec {confine} "$@" ;; esac
echo x >> {folder}/writes
kill -9 $PPID
"""
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)


def blobs(mirror):
    """The requests for a blob."""
    return [path for path in mirror.asked if path.startswith("/blobs/")]


def state(board):
    record, _ = journal(board)
    return record.state.value if record else None


async def ended(board, number):
    """otad gets the signal; systemd starts one again that was killed, and leaves alone one that ended as it was told."""
    board.signal(number)
    if number is signal.SIGTERM:
        assert await board.settled(PATIENCE) is A


@SIGNALS
async def test_in_the_middle_of_a_download(bench, mirror, number):
    async with mirror.served() as repository, bench.board(repository) as board:
        kept = keep(board)
        mirror.hold()
        await board.power_on()
        await until(lambda: blobs(mirror), "the download begins")
        part = board.folder / "data" / "updates"
        await until(lambda: any(file.stat().st_size for file in part.glob("*.part")), "bytes come")
        await ended(board, number)
        mirror.let_go()
        assert keep(board) == kept
        if number is signal.SIGTERM:
            assert state(board) == "download"
            await board.wake()
        assert await board.settled(PATIENCE) is B
        assert chain(board)[-1] == ("commit", "done")
        if number is signal.SIGTERM:  # what came is not asked for again
            assert int(blobs(mirror)[-1].partition(" ")[2]) > 0


@SIGNALS
async def test_in_the_middle_of_an_install(bench, mirror, number):
    async with mirror.served() as repository, bench.board(repository) as board:
        kept, slow = keep(board), SlowInstall(board)
        await board.power_on()
        await slow.halfway()
        await ended(board, number)
        if number is signal.SIGTERM:
            assert state(board) == "install"
            assert not list(processes.alive(board.folder))
            assert board.env.load().upgrade_available == "0"
            assert keep(board) == kept
            slow.go()
            await board.wake()
        else:
            slow.go()
        assert await board.settled(PATIENCE) is B
        assert chain(board)[-1] == ("commit", "done")
        assert keep(board) == kept


async def test_a_second_otad(bench, mirror):
    """It leaves the first one alone, and says where it is."""
    async with mirror.served() as repository, bench.board(repository) as board:
        mirror.hold()
        await board.power_on()
        await until(lambda: blobs(mirror), "the download begins")
        second = await asyncio.create_subprocess_exec(
            *board.otad,
            "--config",
            str(board.folder / "otad.toml"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(second.communicate(), PATIENCE)
        assert second.returncode == 1
        assert b"another otad holds" in out
        assert b"systemctl stop otad" in out
        assert not (board.folder / "run" / "ended.json").exists()
        mirror.let_go()
        assert await board.settled(PATIENCE) is B
        assert chain(board)[-1] == ("commit", "done")


async def test_told_to_end_while_it_waits(bench, mirror):
    async with mirror.served() as repository, bench.board(repository, "none") as board:
        kept = keep(board)
        board.configure("resident", "[daemon]\nresident = true\n")
        await board.power_on()
        await rest(board)
        await ended(board, signal.SIGTERM)
        nothing_lost(board, kept)


async def test_killed_whenever_it_installs(bench, mirror):
    """Out of memory, say, and systemd starts it again: the slot is not written for ever."""
    async with mirror.served() as repository, bench.board(repository) as board:
        kept, killer = keep(board), board.folder / "swupdate"
        killer.write_text(KILLER.format(confine=HERE / "confine", folder=board.folder))
        killer.chmod(0o755)
        board.configure("killer", f'[swupdate]\ncommand = ["{killer}"]\n[attempts]\nbackoff = 3600\n')
        await board.power_on()
        assert await board.settled(PATIENCE) is A
        assert len((board.folder / "writes").read_text().split()) == 1 + INSTALL_STARTS
        assert chain(board)[-1] == ("rollback", "done")
        await harmless(board, kept, "interrupted", f"{1 + INSTALL_STARTS} times")
