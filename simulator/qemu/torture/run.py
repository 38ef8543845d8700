"""One device: its plan carried out, and what must hold at the end.

Rules:
 1. Every run ends as if the power had never gone: the good release confirmed, the bad one given up; nothing half done. By way
    of recovery too, if no slot comes up for a while.
 2. A brick is a device that does not come to rest; broken is whatever else must not be.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from otad.errors import OtadError
from otad.journal.reader import Reader
from otad.statemachine import State
from simulator.qemu import cardreader
from simulator.qemu.board import Board
from simulator.qemu.field import End, Field
from simulator.qemu.fleet import Fleet
from simulator.qemu.shelf import Moment
from simulator.qemu.tape import BoardError
from simulator.qemu.torture.plan import GOOD, STARTS, Plan

TRIES = 3  # a person who asks again for what is on offer
RECOVERS = "60"  # seconds after which recovery tries the slots again, in place of half an hour
LIMIT = 2 * 3600.0
"""Seconds for one device, which takes five minutes on an idle machine: one that boots for ever is a brick too."""


@dataclass(frozen=True)
class Result:
    """What a run came to; `broken`: what must not be, in words."""

    seed: int
    start: str
    version: str
    cuts: int
    seconds: float
    slot: str = ""
    broken: str = ""
    brick: bool = False


@dataclass
class _Life:
    """What happens to a device, and how often its power was cut so far."""

    field: Field
    plan: Plan
    cuts: int = 0

    async def whole(self) -> End:
        """To its end. Raises BoardError."""
        for mark, wait in self.plan.cuts:
            await self.field.board.power_on()
            if end := await self._until(mark, wait):
                return end
            await self.field.board.cut()
            self.cuts += 1
        return await self._ending()

    async def _until(self, mark: str, wait: float) -> End | None:
        """Until `wait` seconds after the journal says `mark`: None. Or the end, when that comes first."""

        async def moment() -> None:
            await self.field.board.journal.until(mark)
            await asyncio.sleep(wait)

        ending, cut = asyncio.create_task(self.field.settles(asking=True)), asyncio.create_task(moment())
        try:
            await asyncio.wait({ending, cut}, return_when=asyncio.FIRST_COMPLETED)
            return ending.result() if ending.done() else cut.result()
        finally:
            for task in (ending, cut):
                task.cancel()
            await asyncio.gather(ending, cut, return_exceptions=True)

    async def _ending(self) -> End:
        await self.field.board.power_on()
        for _ in range(TRIES):
            end = await self.field.settles(asking=True)
            if end.results and end.results[0][0] == self.plan.version and end.results[0][1] in {"committed", "failed"}:
                break
            self.field.board.type("systemctl reboot")
            await self.field.resets()
        return end


async def run(plan: Plan, moment: Moment, fleet: Fleet, folder: Path) -> Result:
    """One device, from `moment` to its end. Its card and what it said are in `folder` then."""
    began, drive = time.monotonic(), moment.card(folder / "card.qcow2")
    with cardreader.inserted(drive) as card:
        card.store({"otad_recovery_wait": RECOVERS})
    await asyncio.to_thread(fleet.depot.roll_out, plan.version)
    end, broken = None, list[str]()
    async with Board(moment.parts.uboot, drive) as board:
        life = _Life(Field(board, fleet), plan)
        try:
            end = await asyncio.wait_for(life.whole(), LIMIT)
        except BoardError as error:
            broken = [str(error)]
        except asyncio.TimeoutError:
            broken = [f"it did not come to rest within {LIMIT:g} s{board.console.last()}"]
    if end:
        with cardreader.looked_at(drive) as card:
            broken = [*_wrong(end, plan), *_damage(card)]
    seconds = round(time.monotonic() - began)
    told = (plan.seed, plan.start, plan.version, life.cuts, seconds, end.slot if end else "", "; ".join(broken))
    return Result(*told, brick=end is None)


def _wrong(end: End, plan: Plan) -> Iterator[str]:
    slot, version = STARTS[plan.start]
    if plan.version == GOOD:
        slot, version = ("B" if slot == "A" else "A"), GOOD
    wanted = (plan.version, "committed" if plan.version == GOOD else "failed")
    if (end.slot, end.running) != (slot, version):
        yield f"{end.running} runs in {end.slot}, not {version} in {slot}"
    if not end.results or end.results[0] != wanted:
        yield f"the device says of its updates {end.results}, not {wanted}"
    if (end.env["boot_partition"], end.env["upgrade_available"]) != (slot, "0"):
        yield f"slot {slot} runs and is not confirmed: {end.env}"


def _damage(card: cardreader.Inserted) -> Iterator[str]:
    """Of the data partition, and of the journal in it."""
    if found := card.broken("data"):
        yield f"the data partition: {found}"
    with tempfile.TemporaryDirectory() as folder:
        data = card.fetch("data", "/otad", Path(folder) / "data")
        yield from (f"the journal was set aside: {file.name}" for file in data.glob("journal.db.damaged-*"))
        try:
            yield from unrest(data / "journal.db")
        except (sqlite3.Error, OtadError) as error:
            yield f"the journal cannot be read: {error}"


def unrest(journal: Path) -> Iterator[str]:
    """Why a journal is not whole and at rest. Raises sqlite3.Error, OtadError when it cannot be read."""
    with closing(sqlite3.connect(journal)) as db:
        if (said := db.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
            yield f"the journal is damaged: {said}"
            return
    with closing(Reader(journal)) as reader:
        record = reader.load()
    if record is None or record.state is not State.IDLE:
        yield f"the journal says {record.state.value if record else 'nothing'}, not idle"
