"""Ports: what a state may use. Nothing else reaches the outside.

Rules:
 1. One Protocol per neighbour, with the few calls that states make; the engines behind them may do more.
 2. Every call may be made twice: a state that was cut is run again.
 3. Failures are otad.errors; a state turns them into outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from otad.bootenv import BootEnvironment, BootStatus, Slot
from otad.errors import Cause
from otad.formats.release import Payload, Release
from otad.payload import Installed
from otad.statemachine import Attempt, Outcome, Record, Step


@dataclass(frozen=True)
class Hold:
    """Why a release may not go on now: HELD keeps what was done, CANCELLED drops it. `retry_after` in seconds, if known."""

    outcome: Outcome
    cause: Cause
    retry_after: float | None = None


@dataclass(frozen=True)
class Generation:
    """The applications and models that go with one release; each slot points at one.

    system    what the slot's image must read back as; carried over when the release brought none, None when nobody knows
    previous  the generation that it was derived from in place, when it brought no system image
    """

    number: int
    release: str
    version: str
    payloads: tuple[Payload, ...] = ()
    system: Installed | None = None
    previous: int | None = None


class Orders(Protocol):
    """What people and the clock want of an idle device."""

    async def next(self, record: Record) -> Step:
        """Wait until something is due: DUE, REVERT with its attempt, or SLEEP when nothing needs the process."""

    async def interrupted(self, record: Record) -> Step:
        """Wait until a person stops the state that runs: CANCELLED, or HELD by a pause. For ever, if nobody does."""

    def wanted(self) -> str | None:
        """The one version that a person asked for; None: whatever is best."""

    def paused(self) -> Cause | None:
        """Who paused updates on this device, as a cause; None when nobody did."""


class Offers(Protocol):
    """What the repository has for this device."""

    async def best(self, wanted: str | None) -> Attempt | Hold:
        """Refresh the metadata; an attempt at the best admitted release, or why there is none. Raises RetryLater, Rejected."""

    async def still(self, attempt: Attempt) -> Hold | None:
        """Ask again on fresh metadata, with window, pause and inhibitors; None when it may go on."""

    async def release(self, attempt: Attempt) -> Release:
        """The trusted release document of an attempt."""


@dataclass(frozen=True)
class Fetched:
    """moved: bytes that came; ways: name of a payload -> how it comes, and why not otherwise, in words."""

    moved: int
    ways: Mapping[str, str] = field(default_factory=dict)


class Delivery(Protocol):
    """Brings a release's payloads here: chooses encodings, fetches, proves, installs.

    What could not be decoded in this attempt (`attempt.failed`) is not chosen again.
    """

    async def fetch(self, attempt: Attempt, release: Release) -> Fetched:
        """Every payload into the cache. Raises RetryLater, Rejected, Corrupt."""

    async def prove(self, attempt: Attempt, release: Release, slot: Slot) -> None:
        """Hashes, signatures, hardware, room: everything that can be known before the slot is touched.

        Raises Undecodable when another encoding is there; RetryLater, Rejected, Corrupt.
        """

    async def install(self, attempt: Attempt, release: Release, slot: Slot) -> tuple[Installed, ...]:
        """Every payload into place, durably. `slot`: the target, or the booted one when there is no system image.

        Raises Undecodable when another encoding is there; RetryLater, Rejected, Corrupt.
        """

    def forget(self) -> None:
        """Drop what the cache holds. Never raises: what stays is dropped another time."""


class Slots(Protocol):
    """The two root file systems."""

    def guard(self, target: Slot, status: BootStatus, need: int) -> None:
        """Refuse a target that runs, is selected, armed, mounted, missing or smaller than `need` bytes."""

    async def holds(self, slot: Slot, image: Installed) -> bool:
        """Read the slot and compare it with what was installed there."""


class Generations(Protocol):
    """`/data/otad/generations/` and the slots' pointers into it."""

    def create(self, attempt: Attempt, release: Release, installed: Sequence[Installed]) -> Generation:
        """The generation of this attempt; the same one when called again. What a release does not name is carried over."""

    def at(self, slot: Slot) -> Generation | None:
        """What a slot points at."""

    def number(self, number: int) -> Generation | None:
        """One generation, if it still exists."""

    def point(self, slot: Slot, number: int) -> None:
        """Make a slot point at a generation, durably and atomically."""

    def unpoint(self, slot: Slot) -> None:
        """The slot's content is about to become unknown."""

    def activate(self, number: int | None) -> None:
        """Make this generation the current one (None: no generation), in tmpfs only: a cut boots what the slot points at."""

    def collect(self) -> None:
        """Drop generations that no slot needs. Never raises."""


class Health(Protocol):
    """Whether what runs is good."""

    async def examine(self, attempt: Attempt) -> Cause | None:
        """Run the checks through the soak time; None when all hold. Ends before otad-deadline would act."""


class Host(Protocol):
    """The system around us."""

    async def stop(self) -> None:
        """Stop the configured units in order, each within its time-out; one that will not stop is logged and left."""

    async def start(self) -> None:
        """Start them again."""

    async def sync(self) -> None:
        """Everything written so far reaches the medium."""

    async def reboot(self) -> None:
        """Ask for a reboot and wait for it. Raises OtadError when it does not come."""


class Witness(Protocol):
    """What is kept and told of what happened."""

    async def say(self, seconds: float) -> None:
        """Send what is owed to the fleet, for at most `seconds`."""

    async def collect(self, attempt: Attempt | None, cause: Cause | None, *, this_boot: bool) -> Mapping[str, str]:
        """Keep the failed boot's logs; what of them is worth reporting, as short named facts."""


@dataclass(frozen=True)
class Ports:
    """Everything that a state may use.

    refusal  why no update may begin in this boot (environment unreadable, journal unwritable); None: it may
    found    the boot status as this boot began, before anything was written
    """

    boot: BootEnvironment
    slots: Slots
    generations: Generations
    orders: Orders
    offers: Offers
    delivery: Delivery
    health: Health
    host: Host
    witness: Witness
    found: BootStatus | None = None
    refusal: Cause | None = None
