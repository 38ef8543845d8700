"""Releases that are worth a delta: most of the image stays, an initrd changes a little inside of its gzip."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from random import Random

from otad.publisher.delta import release
from otad.publisher.delta.release import Outcome
from simulator.depot import Depot, now
from simulator.system import System

SAME = Random(7).randbytes(1_000_000)
MODULES = Random(8).randbytes(400_000)


@dataclass(frozen=True)
class Grown(System):
    """A system with something in it."""

    def write(self, tree: Path) -> None:
        """See System."""
        super().write(tree)
        (tree / "same").write_bytes(SAME)
        initrd = MODULES[:300_000] + self.version.encode() + MODULES[300_000:]
        packed = subprocess.run(["gzip", "-n", "-6"], input=initrd, capture_output=True, check=True).stdout
        (tree / "boot" / "initrd").write_bytes(packed)


def offer(depot: Depot, version: str, base: str | None = None) -> Outcome | None:
    """Roll a release out, with a delta from `base`."""
    depot.add(version, depot.pack(version, depot.image(Grown(version))))
    made = release.add(depot.workspace, base, version, now=now()) if base else None
    depot.roll_out(version)
    return made
