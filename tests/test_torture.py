"""A little of `make torture`, in both its ways; and that it is worth something: a missing fsync is found."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from otad.journal.reader import Reader
from simulator.torture import __main__, run
from simulator.torture.disk import Steady
from simulator.torture.moments import come
from simulator.torture.plan import PHASES, Mode, Moment, plan
from simulator.torture.stock import Stock
from tests.support.board import REAL_PARTS

TREE = Path(__file__).parents[1]
CAN = os.geteuid() == 0 and os.access("/dev/fuse", os.R_OK | os.W_OK)
KILLED, LOSSY, SEES = 100, 43, 100  # seeds whose plans are short


def torture(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(TREE), "COLUMNS": "200"}
    command = [sys.executable, "-m", "simulator.torture", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


class TestPlans:
    def test_a_seed_is_a_plan(self) -> None:
        assert plan(7) == plan(7)
        assert plan(7) != plan(12)

    def test_every_kind_of_everything_is_planned(self) -> None:
        plans = [plan(seed) for seed in range(200)]
        strikes = [strike for one in plans for strike in one.strikes]
        assert Counter(one.mode for one in plans) == {Mode.KILL: 120, Mode.LOSSY: 60, Mode.EXT4: 20}
        assert {one.start for one in plans} == set(type(plans[0].start))
        assert {one.nature for one in plans} == set(type(plans[0].nature))
        assert {strike.moment.says for strike in strikes} == {phase.says for phase in PHASES}
        assert {strike.moment.touches for strike in strikes} == {what for phase in PHASES for what, _ in phase.touches} | {""}
        assert {strike.power for strike in strikes} == {True, False}

    def test_a_lossy_disk_is_stopped_before_an_operation_not_after_a_while(self) -> None:
        lossy = [strike for seed in range(50) for strike in plan(seed, Mode.LOSSY).strikes if strike.power]
        assert any(strike.moment.touches for strike in lossy)
        assert all(strike.moment.wait == 0 for strike in lossy if strike.moment.touches)


class TestMoments:
    @pytest.mark.parametrize("touches", sorted({what for phase in PHASES for what, _ in phase.touches}))
    async def test_a_change_of_the_disk_is_seen_whatever_is_looked_for(self, tmp_path: Path, touches: str) -> None:
        async with Steady(tmp_path / "b") as disk:
            name = touches.rpartition(" ")[2].replace("*", "1").replace("?", "a")
            moment = asyncio.create_task(come(Moment(touches=touches), disk, tmp_path / "console", 0, exact=True))
            await asyncio.sleep(0)  # it has looked once
            (disk.point / name).mkdir(parents=True)
            assert touches in await moment


@pytest.mark.slow
class TestKept:
    pytestmark = REAL_PARTS

    async def test_a_seed_that_failed_is_kept_and_says_how_to_run_it_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run, "broken", lambda _: ["it is so"])
        monkeypatch.setattr(__main__, "KEPT", tmp_path)
        with tempfile.TemporaryDirectory(prefix="ot-") as folder:  # short, as the path of SWUpdate's socket must be
            async with Stock.served(Path(folder) / "stock") as stock:
                result = await __main__.one(plan(KILLED, Mode.KILL), stock)
                assert not (stock.folder / str(KILLED)).exists()
        assert result.broken[0] == "it is so"
        kept = tmp_path / str(KILLED)
        facts = json.loads((kept / "run.json").read_text())
        assert (facts["broken"][0], facts["struck"]) == ("it is so", [vars(struck) for struck in result.struck])
        assert plan(facts["seed"], Mode(facts["mode"])) == result.plan
        with closing(Reader(kept / "data" / "otad" / "journal.db")) as journal:
            assert journal.events.latest(1)
        assert (kept / "console").read_text()
        assert not list(kept.glob("slot-?"))


@pytest.mark.slow
@pytest.mark.skipif(not CAN, reason="needs root and /dev/fuse")
class TestBoards:
    pytestmark = REAL_PARTS

    @pytest.mark.parametrize(("seed", "mode"), [(KILLED, Mode.KILL), (LOSSY, Mode.LOSSY)])
    def test_a_board_survives(self, tmp_path: Path, seed: int, mode: Mode) -> None:
        assert plan(seed).mode is mode
        done = torture("-n", "1", "--seed", str(seed), cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads((tmp_path / "build" / "bench.json").read_text())["torture_runs"] == 1
        assert not (tmp_path / "build" / "torture").exists()

    def test_a_missing_fsync_is_found(self, tmp_path: Path) -> None:
        done = torture("--prove", "the slot after SWUpdate", "--seed", str(SEES), "--jobs", "1", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "the slot after SWUpdate" in done.stdout
