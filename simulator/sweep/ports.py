"""The product's ports over a world: what a state may use, each call in a line or two.

Rules:
 1. Properties are asked before what must not be done is done.
 2. What the fleet, a link, a tool or a person decides is chosen, never computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from otad.bootenv import BootStatus, Slot
from otad.errors import Cause, Corrupt, OtadError, Rejected, RetryLater, Undecodable
from otad.formats.release import Payload, PayloadKind, Release
from otad.payload import Installed
from otad.ports import Fetched, Hold
from otad.statemachine import Attempt, Kind, Outcome
from simulator.sweep import properties
from simulator.sweep.device import NAMES, Content
from simulator.sweep.scenario import Nature
from simulator.sweep.world import Rebooted, World

CAMPAIGN = "c"
DELTA = "d"  # the blob of an encoding that may fail


@dataclass(frozen=True)
class Neighbours:
    """Slots, Offers, Delivery, Health and Host. One class, for each has a line or two to say in a world that has no inside."""

    world: World

    # Slots
    def guard(self, target: Slot, status: BootStatus, need: int) -> None:
        """As otad.slots: nothing that runs, is selected, or could save a trial."""
        del need
        if target in {status.booted, status.selected} or status.trial:
            raise RetryLater("target-refused", f"slot {target.value} is in use")

    async def holds(self, slot: Slot, image: Installed) -> bool:
        """By version, and by every bit."""
        content = self.world.device.slot(slot)
        return content.whole and not content.rotten and content.version == image.payload

    # Offers
    async def best(self, wanted: str | None) -> Attempt | Hold:
        """The release on offer, if this device does not run it, refuse it, or wait with it."""
        del wanted
        world, version = self.world, self.world.scenario.version
        await world.moment("the check", stoppable=True)
        if world.kept.paused():
            return Hold(Outcome.HELD, Cause("paused", "", ""))
        world.fail(("the repository cannot be reached", RetryLater("unreachable", "no link")))
        if properties.runs(world.device, world.running) == version:
            return Hold(Outcome.CANCELLED, Cause("current", "", ""))
        for campaign, release, _, refused, waits in world.device.memory.attempts:
            if (campaign, release) == (CAMPAIGN, version) and (refused or waits):
                return Hold(Outcome.CANCELLED if refused else Outcome.HELD, Cause("refused", "", ""))
        target = world.running.slot.other if world.scenario.system else None
        there = world.device.generation(world.device.pointer(target)) if target else None
        staged = there.number if there and there.release == version else None
        return Attempt(self._new(), Kind.UPDATE, CAMPAIGN, version, version, target, staged)

    async def still(self, attempt: Attempt) -> Hold | None:
        """Whether it may go on: the fleet's decision. The way back is never held."""
        if attempt.kind is Kind.REVERT:
            return None
        if self.world.kept.paused():
            return Hold(Outcome.HELD, Cause("paused", "", ""))
        chosen = self.world.choose("", "the fleet pauses the roll-out", "the fleet stops the roll-out")
        if not chosen:
            return None
        return Hold((Outcome.HELD, Outcome.CANCELLED)[chosen - 1], Cause("held", "", ""))

    async def release(self, attempt: Attempt) -> Release:
        """With a system image, or with an application."""
        return _release(attempt.version, system=attempt.target is not None)

    # Delivery
    async def fetch(self, attempt: Attempt, release: Release) -> Fetched:
        """It comes, or the link fails."""
        del attempt, release
        await self.world.moment("the download", stoppable=True, holdable=True)
        self.world.fail(
            ("the link fails", RetryLater("unreachable", "no link")),
            ("the server's bytes are wrong", Corrupt("blob", "rotten")),
            ("no encoding can be used here", Rejected("no-encoding", "none")),
        )
        return Fetched(0)

    async def prove(self, attempt: Attempt, release: Release, slot: Slot) -> None:
        """It is what was signed, or the cache is corrupt."""
        del release, slot
        await self.world.moment("the proof", stoppable=True)
        self.world.fail(
            ("the cache is corrupt", Corrupt("cache", "rotten")),
            *_undecodable(attempt),
            ("the release is not for this device", Rejected("hardware", "another")),
        )

    async def install(self, attempt: Attempt, release: Release, slot: Slot) -> tuple[Installed, ...]:
        """Writes in two steps, so that a cut may leave half."""
        if attempt.target is None:
            await self.world.moment("the install", stoppable=True)
            return ()
        world = self.world
        properties.on_write(world.device, world.running, slot)
        world.content(slot, Content(whole=False), f"half of slot {slot.value} written")
        if world.scenario.named(release.version) is Nature.DEADLY:
            world.end()
        await world.moment("the install", stoppable=True)
        world.fail(
            ("swupdate fails", RetryLater("swupdate", "it exited 1")),
            *_undecodable(attempt),
            ("swupdate refuses the bundle", Rejected("swupdate", "it exited 1")),
        )
        properties.on_write(world.device, world.running, slot)
        world.content(slot, Content(release.version), f"slot {slot.value} written")
        if world.scenario.named(release.version) is Nature.ARMS:
            armed = {"boot_partition": slot.value, "upgrade_available": "1", "bootcount": "0"}
            world.effect(f"the bundle arms {slot.value}", world.device.storing(armed))
        await world.moment("the read-back", stoppable=True)
        return (Installed(release.version, "0" * 64, 1),)

    def forget(self) -> None:
        """No cache here."""

    # Health
    async def examine(self, attempt: Attempt) -> Cause | None:
        """By what runs; checks may be wrong, and a person may have it undone."""
        del attempt
        world = self.world
        await world.moment("the health checks")
        if world.scenario.of(world.device.slot(world.running.slot)) is Nature.CRASHES:
            raise Rebooted
        if not world.scenario.runs_well(world.device, world.running) or world.choose(
            "", "a check fails, or a person has it undone"
        ):
            return Cause("unhealthy", "", "")
        world.running = world.running._replace(examined=True)
        return None

    async def glance(self) -> Cause | None:
        """In probation."""
        world = self.world
        if world.scenario.sickens(world.device, world.running) or world.choose("", "a check fails in probation"):
            return Cause("unhealthy", "", "")
        return None

    # Host
    async def stop(self) -> None:
        """The applications."""
        self.world.effect("applications stopped", running=self.world.running._replace(apps=False))

    async def start(self) -> None:
        """They run, of the generation that is current."""
        self.world.effect("applications started", running=self.world.running._replace(apps=True))

    async def sync(self) -> None:
        """Every effect of this world is durable at once; it takes a while all the same."""
        await self.world.moment("sync")

    async def reboot(self) -> None:
        """It comes, unless it does not."""
        self.world.fail(("the reboot does not come", OtadError("reboot-failed", "nothing happened")))
        raise Rebooted

    def _new(self) -> str:
        """An id that no attempt on this device has."""
        device = self.world.device
        record = device.memory.load()
        used = {made.attempt for made in device.made} | ({record.attempt.id} if record and record.attempt else set())
        return next(name for name in NAMES if name not in used)


@dataclass(frozen=True)
class Witness:
    """The witness, apart: its `collect` is not the generations'."""

    world: World

    async def say(self, seconds: float) -> None:
        """Nobody listens, for a while."""
        del seconds
        await self.world.moment("the last words")

    async def collect(self, attempt: Attempt | None, cause: Cause | None, *, this_boot: bool) -> Mapping[str, str]:
        """Nothing is kept."""
        del attempt, cause, this_boot
        await self.world.moment("collecting logs")
        return {}


def _undecodable(attempt: Attempt) -> tuple[tuple[str, OtadError], ...]:
    """The delta fails, and the whole payload is there: once in an attempt."""
    if DELTA in attempt.failed:
        return ()
    return (("the delta cannot be applied", Undecodable(Cause("base-changed", "", ""), DELTA)),)


@cache
def _release(version: str, *, system: bool) -> Release:
    kind = PayloadKind.SYSTEM if system else PayloadKind.APP
    payload = Payload(kind=kind, name="x", sha256="0" * 64, length=1, disk=1)
    return Release(product="p", version=version, hardware=("b 1",), payloads=(payload,))
