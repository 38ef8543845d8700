"""Updates by delta on the fast board, and every way in which a delta may fail: another encoding, or the old system."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from otad.bootenv import Slot
from otad.statemachine import State
from simulator.depot import Depot
from simulator.fastboard import FastBoard
from tests.support.board import GOOD_UPDATE, PATIENCE, REAL_PARTS, A, B, chain, check_again, journal, runs
from tests.support.deltas import SAME, Grown, offer

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # whole updates; with one Python


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Depot:
    """1.1.0 is offered; 1.2.0 is there, with a delta from it."""
    depot = Depot.create(tmp_path_factory.mktemp("delta") / "depot")
    offer(depot, "1.1.0")
    made = offer(depot, "1.2.0", "1.1.0")
    assert made
    assert made.length < made.full // 10
    return depot


@asynccontextmanager
async def updated(depot: Depot, folder: Path) -> AsyncIterator[FastBoard]:
    """A board that runs 1.1.0 in slot B as it came, and is offered 1.2.0."""
    depot.roll_out("1.1.0")
    async with depot.served() as repository, FastBoard.create(folder / "b", depot.image(Grown("1.0.0")), repository) as board:
        await board.power_on()
        assert await board.settled(PATIENCE) is B
        depot.roll_out("1.2.0")
        yield board


def downloads(board: FastBoard) -> list[str]:
    """How the system came, each time."""
    return [e["evidence"]["system"] for e in journal(board)[1] if (e["state"], e["outcome"]) == ("download", "done")]


def another(board: FastBoard) -> dict[str, Any]:
    """The one event of an encoding that failed."""
    (event,) = [e for e in journal(board)[1] if e["outcome"] == "another"]
    return dict(event)


def tool(board: FastBoard, name: str, script: str) -> None:
    """A program of this board's own, in front of the real one ($real)."""
    file = board.folder / "bin" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\nreal={shutil.which(name)}\n{script}\n")
    file.chmod(0o755)


async def finished(board: FastBoard) -> None:
    """The update to 1.2.0 is committed."""
    await check_again(board)
    assert board.slot is A
    assert runs(board) == "1.2.0"


async def test_an_update_by_delta(depot: Depot, tmp_path: Path) -> None:
    async with updated(depot, tmp_path) as board:
        await finished(board)
        assert chain(board)[-len(GOOD_UPDATE) :] == GOOD_UPDATE
        first, second = downloads(board)
        assert first.startswith("zstd, ")
        assert second.startswith("delta, ")
        came = [e["bytes"]["download"] for e in journal(board)[1] if e["state"] == "download"]
        assert came[1] < came[0] // 10


@pytest.mark.parametrize("published", [True, False], ids=["as published", "another of that version"])
async def test_the_first_update_of_a_device_from_the_factory(depot: Depot, tmp_path: Path, *, published: bool) -> None:
    depot.roll_out("1.2.0")
    async with depot.served() as repository, FastBoard.create(tmp_path / "b", depot.image(Grown("1.1.0")), repository) as board:
        if not published:
            spoil(board, A)
        await board.power_on()
        assert await board.settled(PATIENCE) is B
        assert runs(board) == "1.2.0"
        assert [way.partition(",")[0] for way in downloads(board)] == (["delta"] if published else ["delta", "zstd"])


async def test_a_root_that_was_written_to_gets_the_whole_payload(depot: Depot, tmp_path: Path) -> None:
    async with updated(depot, tmp_path) as board:
        spoil(board, B)
        await finished(board)
        assert [way.partition(",")[0] for way in downloads(board)] == ["zstd", "delta", "zstd"]
        assert "it failed here before" in downloads(board)[-1]
        event = another(board)
        assert (event["state"], event["cause"]["code"]) == ("verify", "base-changed")


async def test_a_root_that_changes_under_way_gets_the_whole_payload(depot: Depot, tmp_path: Path) -> None:
    async with updated(depot, tmp_path) as board:
        at = board.slots[B].read_bytes().index(SAME[:4096])
        spoils = f"printf x | dd of={board.slots[B]} bs=1 seek={at} conv=notrunc 2>/dev/null"
        tool(board, "fw_setenv", f'[ -z "$(ls {board.folder}/data/updates)" ] || {spoils}\nexec "$real" "$@"')
        await finished(board)
        event = another(board)
        assert (event["state"], event["cause"]["code"]) == ("install", "base-changed")
        assert chain(board)[-5:] == GOOD_UPDATE[2:]


@pytest.mark.parametrize("script", ['exec "$real" -n -1', "exit 1"], ids=["another", "broken"])
async def test_a_compressor_that_cannot_prove_itself_costs_no_download(depot: Depot, tmp_path: Path, script: str) -> None:
    async with updated(depot, tmp_path) as board:
        tool(board, "gzip", script)
        await finished(board)
        assert downloads(board)[-1].startswith("zstd, ")
        assert "gzip" in downloads(board)[-1]
        assert chain(board)[-len(GOOD_UPDATE) :] == GOOD_UPDATE


async def test_a_compressor_that_breaks_under_way_gets_the_whole_payload(depot: Depot, tmp_path: Path) -> None:
    async with updated(depot, tmp_path) as board:
        tool(board, "gzip", f'[ -z "$(ls {board.folder}/data/updates)" ] || exit 1\nexec "$real" "$@"')  # once the patch is here
        await finished(board)
        assert another(board)["cause"]["code"] == "compressor-differs"


async def test_a_delta_that_the_server_lost_gets_the_whole_payload(depot: Depot, tmp_path: Path) -> None:
    async with updated(depot, tmp_path) as board:
        blob = min((depot.out / "blobs").iterdir(), key=lambda file: file.stat().st_size)
        kept = blob.rename(tmp_path / "kept")
        try:
            await finished(board)
        finally:
            kept.rename(blob)
        assert downloads(board)[-1].startswith("zstd, ")
        assert f"/blobs/{blob.name} (HTTP 404)" in downloads(board)[-1]
        assert chain(board)[-len(GOOD_UPDATE) :] == GOOD_UPDATE


def reached(board: FastBoard, state: str) -> bool:
    """The update to 1.2.0 is there; or further, for some are short."""
    record, events = journal(board)
    over = any((e["state"], e.get("version")) == (state, "1.2.0") for e in events)
    return over or (record is not None and record.state is State(state))


@pytest.mark.parametrize("state", ["download", "verify", "install"])
async def test_a_cut_in_an_update_by_delta(depot: Depot, tmp_path: Path, state: str) -> None:
    async with updated(depot, tmp_path) as board:
        board.pass_hours()
        await board.wake()
        while not reached(board, state):
            await asyncio.sleep(0.02)
            board.look()
        await board.cut()
        await board.power_on()
        await board.settled(PATIENCE)
        assert runs(board) == "1.2.0"
        assert [way.partition(",")[0] for way in downloads(board)] == ["zstd", "delta"], "the cut cost the delta"
        assert not [e for e in journal(board)[1] if e["outcome"] == "another"]
        assert (
            sum(e["bytes"]["download"] for e in journal(board)[1] if e["state"] == "download" and e["version"] == "1.2.0")
            < 10_000
        )


def spoil(board: FastBoard, slot: Slot) -> None:
    """As a mount for writing would: a few bytes of the image are others."""
    with board.slots[slot].open("r+b") as file:
        file.seek(board.slots[slot].read_bytes().index(SAME[:4096]))
        file.write(b"written")
