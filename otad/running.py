"""What runs on this device now, as the image and the generations say it: known even with a lost journal."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from otad.bootenv import Slot
from otad.encoding import Base
from otad.formats.release import Payload
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
    return Running(factory(image), None, slot)


def factory(image: Path) -> str:
    """The version that the image itself says; "0.0.0" if it does not: every release is newer."""
    try:
        return str(json.loads(image.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return "0.0.0"


async def bases(
    slot: Slot | None, device: Callable[[Slot], Path], generations: Generations, left: Callable[[], Awaitable[Payload | None]]
) -> Mapping[str, Base]:
    """What deltas can be applied to, by payload: the image in the slot that runs.

    `left` gives the system that it left the factory with, as published: asked where nothing was ever installed. It is taken at
    its word, for a delta looks at the image itself before it is applied.
    """
    if slot is None:
        return {}
    generation = generations.at(slot)
    if generation and generation.system:
        payload: str | None = generation.system.payload
    else:
        payload = published.sha256 if (published := await left()) else None
    return {payload: Base(payload, device(slot))} if payload else {}
