"""What happens to one device, from its seed alone: where it begins, what is offered, and when the power goes. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

STARTS = {"settled": ("A", "1.0.0"), "committed": ("B", "1.1.0")}
"""{moment: (slot, version that runs)}."""
PANIC = b"[Service]\nExecStartPre=/bin/sh -c 'echo c > /proc/sysrq-trigger'\n"
GOOD = "2.0.0"
RELEASES: Mapping[str, Mapping[str, bytes | None]] = {
    GOOD: {},
    "2.1.0": {"/etc/health": b"its model gives nonsense\n"},
    "2.2.0": {"/boot/Image": None},
    "2.3.0": {"/etc/systemd/system/otad-data.service.d/panic.conf": PANIC},
}
RUNS_OTAD = {GOOD, "2.1.0"}
MARKS = (
    ("systemd.1.: Mounted data.mount", 30.0),
    ("check: admitted", 60.0),
    ("download: done", 20.0),
    ("verify: done", 90.0),
    ("install: done", 10.0),
    ("Stopped application.service", 60.0),
    ("rule 4, validate", 10.0),
    ("validate: (done|failed)", 3.0),
)
"""(what the journal says, how many seconds after it the power goes at most), in order."""
TRIAL = range(5, 8)  # marks after which the trial boots
OWN = 6  # marks that any release comes to; the rest need its otad


@dataclass(frozen=True)
class Plan:
    """One run. cuts: (what the journal says, seconds after it)."""

    seed: int
    start: str
    version: str
    cuts: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, seed: int) -> Plan:
        """The plan of a seed."""
        rng = random.Random(seed)
        version = rng.choices(list(RELEASES), [3, 1, 1, 1])[0]
        marks = MARKS if version in RUNS_OTAD else MARKS[:OWN]
        chosen = sorted(rng.sample(range(len(marks)), rng.randint(1, 3)))
        if chosen == list(TRIAL):
            chosen.pop()  # a trial has three boots: a good release that is cut off in each of them is refused by right
        return cls(seed, rng.choice(list(STARTS)), version, tuple((marks[n][0], rng.uniform(0, marks[n][1])) for n in chosen))
