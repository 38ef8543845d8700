"""What happens to one board, from its seed alone: where it starts, what is offered to it, and when it is struck. Pure.

Rules:
 1. Same seed, same plan. A moment is an event and a wait, not a time of day: so a replay comes close on any machine.
 2. Phases are chosen, not hit by chance: most of an update's seconds are a few long waits, most of its dangers are short.
 3. Strikes come in the order of the phases, or a later one would wait for what has passed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum


class Mode(Enum):
    """How the power goes; see the package."""

    KILL = "kill"
    LOSSY = "lossy"
    EXT4 = "ext4"


class Start(Enum):
    """What the device went through before."""

    FACTORY = "factory"  # nothing in slot B
    UPDATED = "updated"  # committed once, runs B
    FALLEN = "fallen"  # came back from a bad release, runs A


class Nature(Enum):
    """What the release on offer turns out to be."""

    GOOD = "good"
    UNHEALTHY = "unhealthy"
    PANICS = "panics"
    UNLOADABLE = "unloadable"


@dataclass(frozen=True)
class Moment:
    """An instant: `wait` seconds after an event since the power came.

    says     the event: otad says this on the console (a regular expression); "": the power came
    touches  the event: the `nth` operation of the disk like this, "write slot-?". A lossy disk stops exactly before it
    """

    says: str = ""
    touches: str = ""
    nth: int = 1
    wait: float = 0.0

    def __str__(self) -> str:
        event = f"{self.touches} #{self.nth}" if self.touches else repr(self.says) if self.says else "power on"
        return f"{event} +{self.wait * 1000:.0f} ms" if self.wait else event


@dataclass(frozen=True)
class Strike:
    """What is done at a moment: the power is cut (what was not synced stays with `odds`), or otad alone is killed."""

    moment: Moment
    power: bool = True
    odds: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """One run."""

    seed: int
    mode: Mode
    start: Start
    nature: Nature
    strikes: tuple[Strike, ...]


@dataclass(frozen=True)
class Phase:
    """A stretch of an update.

    says     what otad says when it begins; "": the power comes
    seconds  how long it usually lasts
    touches  what it does to the disk, and how often at most
    never    releases that do not come there
    """

    says: str
    seconds: float
    touches: tuple[tuple[str, int], ...] = ()
    never: tuple[Nature, ...] = ()


SILENT = (Nature.PANICS, Nature.UNLOADABLE)  # their otad never runs
BAD = (*SILENT, Nature.UNHEALTHY)
PHASES = (
    Phase("", 8.0, (("*", 2500), ("sync *", 200), ("name *", 100))),  # the whole update
    Phase(
        "",
        1.5,
        (("* data/otad/journal.db*", 40), ("sync data/otad/journal.db", 12), ("* data/otad/identity", 2), ("* ubootenv.bin", 3)),
    ),
    Phase("idle: due|, check$", 0.2, (("* data/otad/trust*", 60), ("name data/otad/trust*", 30))),
    Phase(
        "check: admitted|, download$",
        0.3,
        (("* data/updates/*", 200), ("* data/updates/*.ledger*", 8), ("name data/updates/*", 5)),
    ),
    Phase("download: done|, verify$", 1.2),
    Phase("verify: done|, install$", 1.3, (("write slot-?", 1000), ("sync slot-?", 2))),
    Phase(
        "verify: done|, install$",
        1.3,
        (("* data/otad/generations*", 6), ("* data/otad/slots*", 6), ("name data/otad/slots/*", 2)),
    ),
    Phase("install: done|, reboot$", 0.4, (("* ubootenv.bin", 6), ("write ubootenv.bin", 3), ("sync data/otad/journal.db", 20))),
    Phase(", validate$", 0.5, (("* data/otad/journal.db*", 60), ("sync data/otad/journal.db", 12)), SILENT),
    Phase("validate: done|, commit$", 0.1, (("* ubootenv.bin", 8), ("name data/*", 60)), BAD),
    Phase("validate: failed|, rollback$", 0.2, (("* ubootenv.bin", 8), ("* data/otad/evidence*", 4)), (Nature.GOOD,)),
)
SHORT = 0.03  # seconds: "just after"
POWER = 0.85  # of the strikes; the others kill otad alone
NATURES = {Nature.GOOD: 5, Nature.UNHEALTHY: 2, Nature.PANICS: 2, Nature.UNLOADABLE: 1}
MODES = (Mode.KILL, Mode.LOSSY, Mode.KILL, Mode.LOSSY, Mode.KILL, Mode.EXT4, Mode.LOSSY, Mode.KILL, Mode.KILL, Mode.KILL)
"""Of the seeds, by their last digit."""


def plan(seed: int, mode: Mode | None = None) -> Plan:
    """The plan of a seed, in its own mode or in that one."""
    rng = random.Random(seed)
    mode = mode or MODES[seed % len(MODES)]
    start = rng.choice(list(Start))
    nature = rng.choices(list(NATURES), list(NATURES.values()))[0]
    phases = [phase for phase in PHASES if nature not in phase.never]
    chosen = sorted(rng.choices(range(len(phases)), k=rng.randint(2, 4)))
    return Plan(seed, mode, start, nature, tuple(strike(phases[phase], mode, rng) for phase in chosen))


def strike(phase: Phase, mode: Mode, rng: random.Random) -> Strike:
    """A strike somewhere in a phase."""
    power, odds = rng.random() < POWER, rng.choice((0.0, rng.random(), rng.random(), 1.0))
    return Strike(moment(phase, rng, exact=mode is Mode.LOSSY and power), power, odds, rng.getrandbits(32))


def moment(phase: Phase, rng: random.Random, *, exact: bool) -> Moment:
    """A moment in a phase: at an operation of the disk, right after it began, or anywhere in it."""
    if phase.touches and rng.random() < (0.75 if exact else 0.3):
        touches, often = rng.choice(phase.touches)
        nth = int(often ** rng.random())  # the first few as likely as the many
        return Moment(touches=touches, nth=nth, wait=0.0 if exact else rng.uniform(0, SHORT))
    return Moment(says=phase.says, wait=rng.uniform(0, rng.choice((SHORT, phase.seconds))))
