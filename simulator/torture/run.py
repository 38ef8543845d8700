"""One run: a board, an update, the strikes of its plan, and what is left at the end.

Rules:
 1. After every cut, before the power comes again, every promise is looked at; one that does not hold ends the run.
 2. At the end nothing strikes any more: in a bounded number of wakes the device runs the good release, or the old one and
    refuses the bad one; it sleeps, and nothing of the update is left behind.
 3. A good release whose trial was cut off three times fell back by right: three boots are all that it has.
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
from otad.statemachine import State
from simulator import processes
from simulator.bootloader import Stop
from simulator.fastboard import SLOT_SIZE, BoardError, FastBoard
from simulator.torture.disk import Ext4, Lossy, Steady
from simulator.torture.moments import come
from simulator.torture.plan import Mode, Nature, Plan, Start, Strike
from simulator.torture.promises import BALLAST, Board, broken, look
from simulator.torture.stock import OFFERS, Stock

PATIENCE = 120.0  # seconds that a device may take for anything, on a slow and busy machine
WAKES = 6  # how often it may have to be woken to come to an end
TRIES = 3  # boots of a trial


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

    @property
    def _home(self) -> Slot:
        return Slot.B if self.plan.start is Start.UPDATED else Slot.A

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
        """No strike any more: the device comes to its end by itself."""
        offered = OFFERS[self.plan.nature].version
        for _ in range(WAKES):
            if board.slot is None:
                await self._power_on(board)
            await board.wake()
            await board.settled(PATIENCE)
            found = await asyncio.to_thread(look, board, self._stock)
            if self._over(board, found, offered):
                break
            board.pass_hours()
        else:
            raise Broken(f"no end after {WAKES} wakes: {found.events[-1]}")
        left = list(processes.alive(board.folder))
        self._at_rest(board, found, (f"processes {left} are left",) if left else ())

    def _over(self, board: FastBoard, found: Board, offered: str) -> bool:
        """Whether the release was committed, or is refused when it is offered again."""
        running = json.loads(board.release)["version"]
        last = found.events[-1]
        if running == offered and (last["state"], last["outcome"]) == ("commit", "done"):
            self.result.outcome = "committed"
            return True
        if running == offered and last.get("cause", {}).get("code") == "current":
            self.result.outcome = "committed"
            return True
        if last["state"] == "check" and last.get("cause", {}).get("code") == "refused":
            self.result.outcome = "refused" if self.plan.nature is not Nature.GOOD else "refused after three cut trials"
            return True
        return False

    def _at_rest(self, board: FastBoard, found: Board, wrong: tuple[str, ...]) -> None:
        """What must hold at the end. Raises Broken."""
        running, record, env = json.loads(board.release)["version"], found.record, found.env
        committed = self.result.outcome == "committed"
        here, there = board.boots[-1], self._home
        checks = {
            f"{running} runs, which was never good": committed == (self.plan.nature is Nature.GOOD) or self._trials >= TRIES,
            f"slot {here} runs, which the release did not end in": here is (there.other if committed else there),
            f"the journal ends in {record}": record is not None and record.state is State.IDLE and record.attempt is None,
            f"home is not what runs: {record}": record is not None and record.home is here,
            f"the environment is not at rest: {env}": (env.upgrade_available, env.otad_rollback) == ("0", ""),
            "another slot is selected than runs": found.selected is here,
            "the cache holds more than one release brings": _bytes(board.folder / "data" / "updates") < 2 * SLOT_SIZE,
        }
        wrong += tuple(words for words, holds in checks.items() if not holds) + tuple(broken(found))
        if wrong:
            raise Broken(*wrong)

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


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
