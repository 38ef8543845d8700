"""What runs on this device now, as the image and the generations say it: known even with a lost journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from otad.bootenv import Slot
from otad.encoding import Base
from otad.ports import Generations


@dataclass(frozen=True)
class Running:
    """version: SemVer, "0.0.0" when nobody knows; release: SHA-256 of its document, None for a factory image; slot."""

    version: str
    release: str | None
    slot: Slot | None


def running(slot: Slot | None, generations: Generations, image: Path) -> Running:
    """From the booted slot's generation, else from the image's own `release.json` ({"product", "version"})."""
    generation = generations.at(slot) if slot else None
    if generation:
        return Running(generation.version, generation.release, slot)
    try:
        version = json.loads(image.read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError, TypeError):
        version = "0.0.0"  # a factory image that does not say what it is: every release is newer
    return Running(str(version), None, slot)


def bases(slot: Slot | None, device: Callable[[Slot], Path], generations: Generations) -> Mapping[str, Base]:
    """What deltas can be applied to, by payload: the image of the slot that runs, when it is known what was installed there."""
    generation = generations.at(slot) if slot else None
    if slot is None or generation is None or generation.system is None:
        return {}
    payload = generation.system.payload
    return {payload: Base(payload, device(slot))}
