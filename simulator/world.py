"""A device in memory, behind the production ports: what the power-cut tests drive the real states, loop and resume over.

Rules:
 1. Every change of something that outlives a power cut is an `effect`; a cut may fall before or after each.
 2. The boot loader is `bootloader.py`; the boot environment is changed by the same variables as the real one (`bootenv.uboot`).
 3. On every effect the promises of the product are checked, not only at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from otad.bootenv import BootStatus, Slot, uboot
from otad.errors import BootEnvironmentError, Cause
from otad.formats.release import Payload, PayloadKind, Release
from otad.loop import drive
from otad.payload import Installed
from otad.ports import Generation, Hold, Ports
from otad.resume import BootClass, classify, resume
from otad.statemachine import Attempt, Kind, Outcome, Record, State, Step
from simulator.bootloader import DEFAULT, Env, Stop, power_on, stored

BOOTS = 40  # more than any history with a few cuts may take to settle


class Cut(Exception):  # not an error: the power goes
    """The power goes now."""


class Nature(Enum):
    """What a release turns out to be."""

    GOOD = "good"
    UNHEALTHY = "unhealthy"  # boots, and its checks fail
    PANICS = "panics"  # the kernel starts and resets
    UNLOADABLE = "unloadable"  # the boot loader cannot load it
    MUTE = "mute"  # boots, and its otad never starts: the deadline unit reboots


@dataclass(frozen=True)
class Offered:
    """The release on offer."""

    version: str
    nature: Nature
    system: bool = True


@dataclass
class World:
    """All that outlives a power cut, and the plan of cuts.

    slots     what each slot holds: a version, "" when empty, "?" when half written
    cuts      {n: "before" | "after"}: where the power goes, counted over all effects
    """

    offered: Offered
    env: Env = DEFAULT
    slots: dict[Slot, str] = field(default_factory=lambda: {Slot.A: "1.0.0", Slot.B: "1.0.0"})
    pointers: dict[Slot, int] = field(default_factory=dict)
    generations: dict[int, Generation] = field(default_factory=dict)
    record: Record | None = None
    refused: set[str] = field(default_factory=set)
    cuts: Mapping[int, str] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)
    chain: list[State] = field(default_factory=list)
    boots: int = 0
    booted: Slot | None = None
    current: int | None = None  # tmpfs
    examined: bool = False  # the checks held in this very boot

    # -- power ------------------------------------------------------------------------------------------------------------

    def effect(self, name: str) -> None:
        """Count an effect, and cut before it if the plan says so."""
        self.effects.append(name)
        if self.cuts.get(len(self.effects)) == "before":
            raise Cut

    def done(self) -> None:
        """The effect has happened; cut if the plan says so."""
        if self.cuts.get(len(self.effects)) == "after":
            raise Cut

    def nature(self, slot: Slot) -> Nature:
        """What the system in a slot is."""
        if self.slots[slot] in {"", "?"}:
            return Nature.UNLOADABLE
        return self.offered.nature if self.slots[slot] == self.offered.version and self.offered.system else Nature.GOOD

    async def live(self) -> Slot | Stop:
        """Power on, and go on through resets, cuts and reboots until the device sleeps; where it ended."""
        for _ in range(BOOTS):
            self.boots += 1
            boot = power_on(self.env, lambda slot: self.nature(slot) is not Nature.UNLOADABLE)
            self.env = stored(self.env, boot)
            if boot.end is Stop.RESET:
                continue
            if boot.end is Stop.RECOVERY or await self._run(Slot(boot.end)):
                return boot.end
        raise AssertionError(f"not settled after {BOOTS} boots: {self}")

    async def _run(self, slot: Slot) -> bool:
        """One boot of Linux in `slot`; True when the device settled in it."""
        self.booted, self.examined, self.current = slot, False, self.pointers.get(slot)
        nature = self.nature(slot)
        if nature is Nature.PANICS or (nature is Nature.MUTE and self.env.upgrade_available == "1"):
            return False
        assert nature is not Nature.MUTE, "a release whose otad never ran was confirmed"
        try:
            return (await self._daemon(slot)).outcome is Outcome.SLEEP
        except Cut:
            return False

    async def _daemon(self, slot: Slot) -> Step:
        """What `otad.daemon` does from its start to its end."""
        boot, boot_id = Environment(self), f"boot-{self.boots}"
        found = boot.status()
        if classify(found) is BootClass.STABLE and (found.unproven or found.tries):
            boot.proven()
        resumed = resume(self.record, boot.status(), boot_id, self.pointers.get(slot))
        assert resumed.refusal is None, resumed
        if resumed.record.state is State.ROLLBACK and resumed.record.attempt and classify(found) is BootClass.FELL:
            self.refused.add(resumed.record.attempt.version)
        if resumed.record != self.record:
            self.save(resumed.record)
        return await drive(resumed.record, ports(self, found), self)

    # -- the journal ------------------------------------------------------------------------------------------------------

    def save(self, record: Record) -> None:
        """One transaction."""
        self.effect(f"save {record.state.value}")
        self.record = record
        self.done()

    def turn(self, before: Record, step: Step, after: Record) -> None:
        """Book of the loop."""
        self.chain.append(before.state)
        if after.state is State.ROLLBACK or step.outcome is Outcome.REJECTED:
            self.refused.add(before.the_attempt.version)
        self.save(after)

    # -- what must always hold --------------------------------------------------------------------------------------------

    @property
    def runs(self) -> str:
        """The version whose set runs now: the generation's if one is active, else the image's."""
        if self.current is not None:
            return self.generations[self.current].version
        return self.slots[self.booted] if self.booted else "?"


@dataclass(frozen=True)
class Environment:
    """BootEnvironment over the model's variables, changed exactly as the real one changes them."""

    world: World

    def status(self) -> BootStatus:
        """As the variables say."""
        return uboot.boot_status(self.world.env._asdict(), self.world.booted)

    def problems(self, found: BootStatus) -> list[str]:
        """The model's scripts are always right."""
        del found
        return []

    def retire(self) -> None:
        """INSTALL's first write."""
        self._store("retire", uboot.RETIRE)

    def arm(self, target: Slot) -> None:
        """Never of partial bytes, never of the booted slot."""
        assert target is not self._booted
        assert self.world.slots[target] not in {"", "?"}, "armed partial bytes"
        self._store("arm", uboot.arm(target, self._booted))

    def confirm(self) -> None:
        """Only of the slot that runs and was healthy in this boot."""
        assert self.world.examined, "confirmed what was not examined in this boot"
        assert self.world.nature(self._booted) is Nature.GOOD, "confirmed a bad release"
        self._store("confirm", uboot.confirm(self._booted))

    def rollback(self, goal: Slot) -> None:
        """Only to a slot that holds something whole."""
        assert self.world.slots[goal] not in {"", "?"}, "rolled back to partial bytes"
        self._store("rollback", uboot.rollback(goal, self._booted))

    def proven(self) -> None:
        """A stable boot."""
        self._store("proven", uboot.PROVEN)

    @property
    def _booted(self) -> Slot:
        assert self.world.booted is not None
        return self.world.booted

    def _store(self, name: str, change: uboot.Change) -> None:
        self.world.effect(name)
        self.world.env = self.world.env._replace(**dict(change))
        self.world.done()


@dataclass(frozen=True)
class Neighbours:
    """The other ports. One class, for each has a line or two to say in a world that has no inside."""

    world: World

    # Slots
    def guard(self, target: Slot, status: BootStatus, need: int) -> None:
        """As otad.slots: nothing that runs, is selected, or could save a trial."""
        del need
        if target in {status.booted, status.selected} or status.trial:
            raise BootEnvironmentError("target-refused", f"slot {target.value} is in use")

    async def holds(self, slot: Slot, image: Installed) -> bool:
        """By version."""
        return self.world.slots[slot] == image.payload

    # Generations
    def create(self, attempt: Attempt, release: Release, installed: Sequence[Installed]) -> Generation:
        """Named by the attempt, so that running again gives the same."""
        number = int(attempt.id)
        running = self.world.pointers.get(self.world.booted) if self.world.booted else None
        previous = None if attempt.target else running
        made = Generation(number, attempt.release, release.version, (), installed[0] if attempt.target else None, previous)
        self.world.effect("create")
        self.world.generations[number] = made
        self.world.done()
        return made

    def at(self, slot: Slot) -> Generation | None:
        """By the pointer."""
        number = self.world.pointers.get(slot)
        return None if number is None else self.world.generations[number]

    def number(self, number: int) -> Generation | None:
        """By number."""
        return self.world.generations.get(number)

    def point(self, slot: Slot, number: int) -> None:
        """One rename."""
        self.world.effect("point")
        self.world.pointers[slot] = number
        self.world.done()

    def unpoint(self, slot: Slot) -> None:
        """One unlink."""
        self.world.effect("unpoint")
        self.world.pointers.pop(slot, None)
        self.world.done()

    def activate(self, number: int | None) -> None:
        """In tmpfs: a cut forgets it."""
        self.world.current = number

    def collect(self) -> None:
        """Nothing to gain in memory."""

    # Orders
    async def next(self, record: Record) -> Step:
        """One check for what is on offer, then sleep."""
        del record
        done = self.world.offered.version in self.world.refused or self.world.runs == self.world.offered.version
        return Step(Outcome.SLEEP if done else Outcome.DUE)

    async def interrupted(self, record: Record) -> Step:
        """Nobody is near."""
        del record
        nobody: asyncio.Future[Step] = asyncio.get_running_loop().create_future()
        return await nobody

    def wanted(self) -> None:
        """Nothing in particular."""

    def paused(self) -> Cause | None:
        """Never."""
        return None

    # Offers
    async def best(self, wanted: str | None) -> Attempt | Hold:
        """The release on offer."""
        del wanted
        offered, booted = self.world.offered, self.world.booted
        target = booted.other if offered.system and booted else None
        return Attempt(str(self.world.boots), Kind.UPDATE, "c", offered.version, offered.version, target)

    async def still(self, attempt: Attempt) -> Hold | None:
        """Always."""
        del attempt
        return None

    async def release(self, attempt: Attempt) -> Release:
        """With a system image, or with an application."""
        kind = PayloadKind.SYSTEM if attempt.target else PayloadKind.APP
        payload = Payload(kind=kind, name="x", sha256="0" * 64, length=1, disk=1)
        return Release(product="p", version=attempt.version, hardware=("b 1",), payloads=(payload,))

    # Delivery
    async def fetch(self, attempt: Attempt, release: Release) -> int:
        """It came."""
        del attempt, release
        return 0

    async def prove(self, attempt: Attempt, release: Release, slot: Slot) -> None:
        """It is good."""

    async def install(self, attempt: Attempt, release: Release, slot: Slot) -> tuple[Installed, ...]:
        """Writes in two steps, so that a cut may leave half; never what runs, is selected or armed."""
        world = self.world
        if attempt.target:
            status = Environment(world).status()
            assert slot is not status.booted, "wrote the booted slot"
            assert slot is not status.selected, "wrote the selected or armed slot"
            assert status.fallback is not slot, "wrote the fallback"
            for content in ("?", release.version):
                world.effect("write")
                world.slots[slot] = content
                world.done()
        return (Installed(release.version, "0" * 64, 1),)

    def forget(self) -> None:
        """No cache here."""

    # Health
    async def examine(self, attempt: Attempt) -> Cause | None:
        """By the release's nature."""
        if self.world.offered.nature is Nature.GOOD or attempt.kind is Kind.REVERT:
            self.world.examined = True
            return None
        return Cause("unhealthy", "its check fails", "")

    # Host
    async def stop(self) -> None:
        """Applications have no inside here."""

    async def start(self) -> None:
        """Likewise."""

    async def sync(self) -> None:
        """Every effect of this world is durable at once."""

    async def reboot(self) -> None:
        """The power goes, by our own will."""
        self.world.effect("reboot")
        raise Cut


@dataclass(frozen=True)
class Evidence:
    """The witness, apart: its `collect` is not the generations'."""

    async def say(self, seconds: float) -> None:
        """Nobody listens."""

    async def collect(self, attempt: Attempt | None, cause: Cause | None, *, this_boot: bool) -> Mapping[str, str]:
        """Nothing is kept."""
        del attempt, cause, this_boot
        return {}


def ports(world: World, found: BootStatus) -> Ports:
    """The ports of a world."""
    all_ = Neighbours(world)
    return Ports(Environment(world), all_, all_, all_, all_, all_, all_, all_, Evidence(), found=found)


def with_cuts(world: World, cuts: Mapping[int, str]) -> World:
    """A fresh copy of a world, with another plan of cuts."""
    return replace(
        world,
        cuts=cuts,
        slots=dict(world.slots),
        pointers=dict(world.pointers),
        generations=dict(world.generations),
        refused=set(world.refused),
        effects=[],
        chain=[],
    )
