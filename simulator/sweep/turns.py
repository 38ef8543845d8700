"""Turns: the product runs, one start of the daemon or one turn of its loop at a time, on a world.

Rules:
 1. What runs is the product's: `prove`, `resume`, `TransitionBook`, `Orders`, `Probation`, `revert`, `drive`, states, journal.
 2. `start` is what `otad.daemon.run` does from its beginning until the machine runs.
 3. Nothing waits: an event loop that has nothing left to do means that the daemon waits for the clock.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from typing import NoReturn

from otad.book import TransitionBook
from otad.bootenv import BootClass, BootStatus, classify
from otad.bootfacts import prove
from otad.errors import BootEnvironmentError, Cause, OtadError
from otad.journal.record import decode, encode
from otad.loop import drive
from otad.resume import Resumed, resume
from otad.statemachine import Outcome, Record, State, Step
from simulator.sweep.device import BOOT, Device, Running
from simulator.sweep.environment import Environment
from simulator.sweep.generations import Generations
from simulator.sweep.life import Life, live
from simulator.sweep.properties import Broken, on_turned
from simulator.sweep.scenario import Scenario
from simulator.sweep.world import Rebooted, World


class End(Enum):
    """How a turn ended."""

    TURNED = "turned"  # the daemon goes on with its next turn
    SLEEPS = "sleeps"  # it has ended because nothing needs it
    WAITS = "waits"  # it runs on, and waits for the clock
    ENDED = "ended"  # the process has ended; systemd starts it again
    REBOOTS = "reboots"


class Turned(Exception):  # not an error
    """One turn is over."""


class Idle(Exception):  # not an error
    """Nothing is left to do until the clock says so."""


class Instant(selectors.SelectSelector):
    """Never waits: the loop would, so nothing is left to do."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing comes from outside."""
        if timeout is None or timeout > 0:
            raise Idle
        return []


class OneTurn:
    """Book of the loop: the product's, and then the turn is over."""

    def __init__(self, book: TransitionBook, world: World) -> None:
        self._book = book
        self._world = world

    def turn(self, before: Record, step: Step, after: Record) -> NoReturn:
        """As the product's."""
        self._world.met.add((before.state, step.outcome))
        self._book.turn(before, step, after)
        on_turned(before, after, self._world.running)
        if step.cause and step.cause.code == "internal":
            raise Broken("otad never stumbles", step.cause.what)
        raise Turned


class Turns:
    """Runs turns in one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.world = World(scenario)
        self._loop = asyncio.SelectorEventLoop(Instant())

    def close(self) -> None:
        """End the event loop and the journal."""
        self._loop.close()
        self.world.kept.close()

    def start(self, device: Device, running: Running, script: Sequence[int]) -> End:
        """The daemon starts, in a boot that runs."""
        world = self.world
        world.begin(device, running, script)
        try:
            found, status, unsafe = self._proved()
            journal = world.kept.holding(device.memory)
            there = Generations(world).at(running.slot)
            before = journal.load()
            resumed = resume(before, status, BOOT, there.number if there else None)
            world.met.add(resumed.rule)
            life = live(world, journal, found, unsafe or resumed.refusal)
            life.book.open(before, resumed, classify(status))
        except OtadError:
            return self._ended(End.ENDED)
        refused = encode(resumed.record) if resumed.refusal else ""
        world.running = world.running._replace(awake=True, refused=refused)
        return End.TURNED

    def turn(self, device: Device, running: Running, script: Sequence[int]) -> End:
        """The daemon, which runs, does one turn."""
        world = self.world
        world.begin(device, running, script)
        refusal = _REFUSED if running.refused else None
        life = live(world, world.kept.holding(device.memory), running.found, refusal)
        record = decode(running.refused) if running.refused else device.memory.load()
        if record is None:
            raise Broken("a daemon that runs has a record", str(device.memory))
        if refusal:
            life.book.open(None, Resumed(record, 0, refusal), BootClass.UNKNOWN)
        life.book.record = record
        world.cancel, world.hold = life.cancel, life.hold
        if record.state is State.IDLE:
            (lambda: None, life.revert, life.hold)[world.choose("", "a person asks for a rollback", "a person pauses updates")]()
        end = self._driven(record, life)
        if running.refused:
            world.running = world.running._replace(refused=encode(life.book.record))
        return self._ended(end)

    def _driven(self, record: Record, life: Life) -> End:
        """One turn of the loop."""
        task = self._loop.create_task(drive(record, life.ports, OneTurn(life.book, self.world)))
        self.world.end = task.cancel
        try:
            step = self._loop.run_until_complete(task)
        except Turned:
            return End.TURNED
        except Idle:
            task.cancel()
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)
            return End.WAITS
        except Rebooted:
            self.world.met.add((record.state, Outcome.BOOT))
            return End.REBOOTS
        except (asyncio.CancelledError, OtadError):
            return End.ENDED
        except Broken:
            raise
        except Exception as error:
            raise Broken("otad never crashes", f"{record.state.value}: {error!r}") from error
        if step.outcome is not Outcome.SLEEP:
            raise Broken("a turn ends by a transition, a reboot or sleep", str(step))
        return End.SLEEPS

    def _ended(self, end: End) -> End:
        self.world.running = self.world.running._replace(awake=end in {End.TURNED, End.WAITS})
        return end

    def _proved(self) -> tuple[BootStatus | None, BootStatus | None, Cause | None]:
        try:
            return *prove(Environment(self.world), self._found), None
        except BootEnvironmentError as error:
            return None, None, error.cause

    def _found(self, status: BootStatus) -> BootStatus:
        """In tmpfs: as this boot began."""
        world = self.world
        if world.running.found is None:
            world.running = world.running._replace(found=status)
        return world.running.found or status


_REFUSED = Cause("refused", "", "")
