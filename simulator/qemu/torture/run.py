"""One device: its plan carried out, and what must hold at the end.

Rules:
 1. Every run ends as if the power had never gone: the good release confirmed, the bad one given up; nothing half done.
 2. A brick is a device that does not settle; broken is whatever else must not be.
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


async def run(plan: Plan, moment: Moment, fleet: Fleet, folder: Path) -> Result:
    """One device, from `moment` to its end. Its card and what it said are in `folder` then."""
    began, drive = time.monotonic(), moment.card(folder / "card.qcow2")
    await asyncio.to_thread(fleet.depot.roll_out, plan.version)
    cuts, end = 0, None
    broken: list[str] = []
    async with Board(moment.parts.uboot, drive) as board:
        field = Field(board, fleet)
        try:
            for mark, wait in plan.cuts:
                await board.power_on()
                end = await _until(field, mark, wait)
                if end:
                    break
                await board.cut()
                cuts += 1
            end = end or await _ending(field, plan)
        except BoardError as error:
            broken = [str(error)]
    if end:
        with cardreader.looked_at(drive) as card:
            broken = [*_wrong(end, plan), *_damage(card)]
    seconds = round(time.monotonic() - began)
    told = (plan.seed, plan.start, plan.version, cuts, seconds, end.slot if end else "", "; ".join(broken))
    return Result(*told, brick=end is None)


async def _until(field: Field, mark: str, wait: float) -> End | None:
    """Until `wait` seconds after the journal says `mark`: None. Or the end, when that comes first."""

    async def moment() -> None:
        await field.board.journal.until(mark)
        await asyncio.sleep(wait)

    ending, cut = asyncio.create_task(field.settles(asking=True)), asyncio.create_task(moment())
    try:
        await asyncio.wait({ending, cut}, return_when=asyncio.FIRST_COMPLETED)
        return ending.result() if ending.done() else None
    finally:
        for task in (ending, cut):
            task.cancel()
        await asyncio.gather(ending, cut, return_exceptions=True)


async def _ending(field: Field, plan: Plan) -> End:
    await field.board.power_on()
    for _ in range(TRIES):
        end = await field.settles(asking=True)
        if end.results and end.results[0][0] == plan.version and end.results[0][1] in {"committed", "failed"}:
            break
        field.board.type("systemctl reboot")
        await field.resets()
    return end


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
        with closing(sqlite3.connect(data / "journal.db")) as db:
            if (said := db.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
                yield f"the journal is damaged: {said}"
                return
        with closing(Reader(data / "journal.db")) as reader:
            record = reader.load()
        if record is None or record.state is not State.IDLE:
            yield f"the journal says {record.state.value if record else 'nothing'}, not idle"
