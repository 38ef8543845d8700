"""What the boot loader knows, in neutral words, and the one Protocol of every boot back end.

Rules:
 1. A back end translates its own names into `BootStatus`; nothing outside this folder knows a U-Boot variable.
 2. Each of the five changes is ONE atomic store, read back and compared. A cut leaves the old values or the new ones.
 3. otad is the only writer while Linux runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Slot(str, Enum):
    """One of the two root file systems."""

    A = "A"
    B = "B"

    @property
    def other(self) -> Slot:
        """The slot that is not this one."""
        return Slot.B if self is Slot.A else Slot.A


@dataclass(frozen=True)
class BootStatus:
    """What happened at this boot and what the next one will do.

    booted    the slot that runs now; None when it cannot be told
    selected  the slot that the boot loader takes next
    trial     the selected slot is on trial: its boots are counted and run out
    tries     boots of the trial so far
    fallback  known good slot that the boot loader may fall back to, once
    failed    slot that the boot loader (or a rollback) gave up
    unproven  stable boots since the last one that otad proved good
    """

    booted: Slot | None
    selected: Slot
    trial: bool = False
    tries: int = 0
    fallback: Slot | None = None
    failed: Slot | None = None
    unproven: int = 0


class BootClass(str, Enum):
    """What kind of boot this is."""

    UNKNOWN = "unknown"  # environment unreadable, or nobody can tell which slot runs
    TRIAL = "trial"
    ARMED = "armed"  # a trial was armed and has not been booted
    FELL = "fell"  # the boot loader gave a slot up and fell back to this one
    PENDING = "pending"  # a rollback was written, its boot has not come
    MOVED = "moved"  # another slot is selected, without a trial
    STABLE = "stable"


def classify(boot: BootStatus | None) -> BootClass:
    """The kind of boot. `boot` is None when the environment cannot be read."""
    if boot is None or boot.booted is None:
        return BootClass.UNKNOWN
    here = boot.selected is boot.booted
    if boot.trial:
        if here:
            return BootClass.TRIAL
        return BootClass.FELL if boot.tries > 0 else BootClass.ARMED
    if here:
        return BootClass.FELL if boot.failed else BootClass.STABLE
    return BootClass.PENDING if boot.failed else BootClass.MOVED


class BootEnvironment(Protocol):
    """The boot loader's variables. Every method raises BootEnvironmentError naming the tool, its exit status and its words.

    The methods block (one short process each); `status` reads, the others write once and read back.
    """

    def status(self) -> BootStatus:
        """Read the variables and the booted slot as they are now."""

    def problems(self, found: BootStatus) -> list[str]:
        """Why updates cannot be trusted to fall back here, in words; empty when all is well.

        `found` is the status as this boot began, before anything was written: it tells whether the boot loader
        really keeps its counts in the environment that we read.
        """

    def retire(self) -> None:
        """The inactive slot is about to be written: it is no fallback any more."""

    def arm(self, target: Slot) -> None:
        """Select `target` for trial boots, with fresh counters; the booted slot becomes the fallback."""

    def confirm(self) -> None:
        """The booted slot is good: end its trial."""

    def rollback(self, goal: Slot, keep: Slot | None = None) -> None:
        """Select `goal`, no trial, `keep` or nothing as the fallback; note the booted slot as failed if it is not the goal."""

    def proven(self) -> None:
        """This stable boot reached user space: clear the counts."""
