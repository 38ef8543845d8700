"""One run: a board, an update, the strikes of its plan, and what is left at the end.

Rules:
 1. After every cut, before the power comes again, every promise is looked at; one that does not hold ends the run.
 2. At the end nothing strikes any more: in a bounded number of wakes the device is where it must end (`end.py`), and sleeps.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from otad.bootenv import Slot
from otad.journal import JournalError
from otad.journal.reader import Reader
from simulator import processes
from simulator.bootloader import Stop
from simulator.fastboard import BoardError, FastBoard
from simulator.torture.disk import Ext4, Lossy, Steady
from simulator.torture.end import End
from simulator.torture.moments import come
from simulator.torture.plan import Mode, Plan, Strike
from simulator.torture.promises import BALLAST, Board, broken, look
from simulator.torture.stock import Stock

PATIENCE = 300.0  # seconds that a device may take for anything, on a slow and busy machine
WAKES = 6  # how often it may have to be woken to come to an end
ALL_LOST = 0.0


class Broken(Exception):
    """A promise that did not hold. Its words."""


@dataclass
class Struck:
    """A strike: when it was to fall, what it fell on ("asleep": the device had come to rest), in which state, what was lost."""

    moment: str
    what: str
    power: bool = True
    state: str = ""
    lost: list[str] = field(default_factory=list)


@dataclass
class Result:
    """How a run ended: `outcome` in a word or two; `broken`, what did not hold; `brick` when nothing good boots any more."""

    plan: Plan
    struck: list[Struck] = field(default_factory=list)
    outcome: str = ""
    broken: tuple[str, ...] = ()
    brick: bool = False
    seconds: float = 0.0

    @property
    def why(self) -> str:
        """What broke, without the console that may follow."""
        return "; ".join(words.partition("\n")[0] for words in self.broken)


class Run:
    """One board under torture, in the new folder `place`."""

    def __init__(self, plan: Plan, stock: Stock, place: Path, deaf: tuple[str, ...] = (), keep: Path | None = None) -> None:
        self.plan = plan
        self.place = place
        self.result = Result(plan)
        self._stock = stock
        self._keep = keep
        self._disk = _disk(plan.mode, place / "b", deaf)
        self._console = place / "b.console"
        self._heard = 0  # bytes of the console that came before the last power on or strike
        self._trials = 0  # boots of a trial that were cut off

    async def whole(self) -> Result:
        """All of it. What is broken is in the result."""
        began = time.monotonic()
        self.place.mkdir()
        async with self._disk:
            board = await self._stock.board(self._disk.point, self.plan.start, self.plan.nature)
            (self._disk.point / BALLAST).write_bytes(b"not ours")
            await self._disk.settle()
            async with board:
                await self._judged(board)
                await board.cut()
                if self.result.broken and self._keep:
                    self._kept(self._keep)
        self.result.seconds = time.monotonic() - began
        return self.result

    async def _judged(self, board: FastBoard) -> None:
        try:
            for strike in self.plan.strikes:
                if not await self._strike(board, strike):
                    break
            await self._end(board)
        except Broken as error:
            self.result.broken = tuple(str(line) for line in error.args)
        except (BoardError, subprocess.CalledProcessError) as error:
            self.result.broken, self.result.brick = (str(error),), True

    # -- strikes ----------------------------------------------------------------------------------------------------------

    async def _strike(self, board: FastBoard, strike: Strike) -> bool:
        """Let it fall; False when the device had come to rest before."""
        self._heard = self._console.stat().st_size if self._console.exists() else 0
        if board.slot is None:
            await self._power_on(board)
        what = await self._until(board, strike)
        struck = Struck(str(strike.moment), what or "asleep")
        self.result.struck.append(struck)
        if not strike.power and what:
            struck.power, struck.state = False, self._now(board)
            with suppress(BoardError):  # it has just ended by itself
                board.signal(signal.SIGKILL)
            return True
        await board.cut()
        struck.lost = await self._disk.cut(strike.odds, strike.seed)
        found = await self._promised(board)
        self._trials += found.trial and found.env.bootcount != "0"
        struck.state = found.state
        return what is not None

    async def _until(self, board: FastBoard, strike: Strike) -> str | None:
        """Wait for the moment; what it was, or None when the device came to rest before."""
        moment = asyncio.create_task(come(strike.moment, self._disk, self._console, self._heard, exact=strike.power))
        rest = asyncio.create_task(board.settled(PATIENCE))
        try:
            await asyncio.wait({moment, rest}, return_when=asyncio.FIRST_COMPLETED)
            if not moment.done() and rest.exception():  # the disk may have gone under it, and be heard of later
                await asyncio.wait({moment}, timeout=0.2)
            if moment.done():
                return moment.result()
            rest.result()
            return None
        finally:
            for task in (moment, rest):
                task.cancel()
            await asyncio.gather(moment, rest, return_exceptions=True)

    # -- looking ----------------------------------------------------------------------------------------------------------

    async def _power_on(self, board: FastBoard) -> None:
        """On again: a whole image must run."""
        booted = await board.power_on()
        if isinstance(booted, Stop):
            self.result.brick = True
            raise Broken(f"the board ended in {booted.value}")

    async def _promised(self, board: FastBoard) -> Board:
        """Look at the board without power. Raises Broken."""
        found = await asyncio.to_thread(look, board, self._stock)
        wrong = await asyncio.to_thread(lambda: tuple(broken(found)))
        if wrong:
            raise Broken(*wrong)
        return found

    async def _end(self, board: FastBoard) -> None:
        """No strike any more: the device comes to its end by itself; and stays there when all that was not synced is lost."""
        for _ in range(WAKES):
            if board.slot is None:
                await self._power_on(board)
            await board.wake()
            here = await board.settled(PATIENCE)
            assert isinstance(here, Slot)
            found = await asyncio.to_thread(look, board, self._stock)
            end = End(self.plan, found, json.loads(board.release)["version"], here, self._trials)
            if end.committed or end.refused:
                break
            board.pass_hours()
        else:
            raise Broken(f"no end after {WAKES} wakes: {found.state}, {found.events[-1]['state']} {found.events[-1]['outcome']}")
        self.result.outcome = "committed" if end.committed else "refused"
        wrong = *end.broken(), *broken(found), *(f"process {pid} is left" for pid in processes.alive(board.folder))
        if wrong:
            raise Broken(*wrong)
        await board.cut()
        await self._disk.cut(ALL_LOST, self.plan.seed)
        left = await self._promised(board)
        pairs = (found.env, left.env), (found.slots, left.slots), (found.record, left.record)
        if undone := tuple(f"a last cut undid {was}: {now}" for was, now in pairs if was != now):
            raise Broken(*undone)

    def _now(self, board: FastBoard) -> str:
        """The state that otad is in, as the journal says; empty while it is being written."""
        with suppress(JournalError), closing(Reader(board.folder / "data" / "otad" / "journal.db")) as journal:
            record = journal.load()
            return record.state.value if record else "new"
        return ""

    def _kept(self, to: Path) -> None:
        """Keep what is left of the board, but for its slots' bytes."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self._disk.point, to, symlinks=True, ignore=shutil.ignore_patterns("slot-?", "run", "console"))
        shutil.copyfile(self._console, to / "console")
        (to / "run.json").write_text(json.dumps(self.facts(), indent=2, default=str) + "\n")

    def facts(self) -> dict[str, object]:
        """For people: the plan, what fell, what broke."""
        return {
            "seed": self.plan.seed,
            "mode": self.plan.mode.value,
            "start": self.plan.start.value,
            "nature": self.plan.nature.value,
            "struck": [vars(struck) for struck in self.result.struck],
            "outcome": self.result.outcome,
            "broken": self.result.broken,
        }


def _disk(mode: Mode, point: Path, deaf: tuple[str, ...]) -> Ext4 | Lossy | Steady:
    match mode:
        case Mode.KILL:
            return Steady(point)
        case Mode.LOSSY:
            return Lossy(point, deaf)
        case Mode.EXT4:
            return Ext4(point)
