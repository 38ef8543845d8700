"""One contender on one pair of images: made, applied, verified, and what it cost.

Rules:
 1. Both images are hashed beside every apply, for whoever gets a patch must know that it fits and that the result is right. Who
    checks one by itself pays for that alone; nobody checks it twice. What came out is hashed all the same, in a run of its own.
 2. A result is kept by the content of the images and what was run: nothing is measured twice.
 3. Who cannot take part is told with the reason: a tool that is missing, too little memory, too long.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bench.delta.contenders import Contender
from bench.delta.measure import Cost, Failed, run
from otad.publisher.encode import fingerprint
from simulator.qemu.cache import Cache

LIMIT = 6 * 3600.0  # s for making or applying: zstd -19 takes most of an hour, and a machine may be busy
TREE = Path(__file__).parents[2]
HASH = "openssl dgst -sha256 -r"


@dataclass(frozen=True)
class Images:
    """A pair, and the SHA-256 of each."""

    old: Path
    new: Path
    hashes: tuple[str, str]

    @classmethod
    def of(cls, old: Path, new: Path) -> Images:
        """Hash both."""
        return cls(old, new, (fingerprint(old)[0], fingerprint(new)[0]))


@dataclass(frozen=True)
class Result:
    """size: bytes that are sent; costs of making and of applying. None: it did not take part, and `why`."""

    name: str
    title: str
    size: int | None = None
    made: Cost | None = None
    applied: Cost | None = None
    why: str = ""


def result(cache: Cache, contender: Contender, images: Images) -> Result:
    """What `contender` does with `images`, measured now or before."""
    if why := _excuse(contender, images):
        return Result(contender.name, contender.title, why=why)
    facts = [text.encode() for text in (contender.make, contender.apply, *images.hashes)]
    facts += [file.read_bytes() for path in contender.made_of for file in _programs(path)]
    name = f"delta-run-{images.hashes[0][:8]}-{images.hashes[1][:8]}-{contender.name}"
    kept = cache.entry(name, facts, lambda part: _measured(contender, images, part), room=2 * images.new.stat().st_size)
    told = json.loads((kept / "result.json").read_text())
    costs = {side: Cost(**told[side]) if told[side] else None for side in ("made", "applied")}
    return Result(**{**told, **costs})


def _programs(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def _excuse(contender: Contender, images: Images) -> str:
    missing = [package for tool, package in contender.tools.items() if not shutil.which(tool)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    needed, there = contender.memory * images.old.stat().st_size, psutil.virtual_memory().available
    return f"needs {needed / 2**30:.0f} GiB of memory, {there / 2**30:.0f} are free" if needed > there else ""


def _measured(contender: Contender, images: Images, part: Path) -> None:
    try:
        told = _run(contender, images, part)
    except Failed as error:
        told = Result(contender.name, contender.title, why=str(error))
    for path in part.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (part / "result.json").write_text(json.dumps(asdict(told), indent=2))


def _run(contender: Contender, images: Images, part: Path) -> Result:
    given = {"old": str(images.old), "new": str(images.new), "PYTHONPATH": str(TREE)}
    made, _ = run(contender.make, part, given, LIMIT)
    size = _size(part / "patch")
    check = ":" if contender.checks_old else f'{HASH} "$old" > /dev/null'
    applied, said = run(f"{check}; ({contender.apply}) | {HASH}", part, {**given, "new": os.devnull}, LIMIT)
    if said.split()[0] != images.hashes[1]:
        raise Failed("what it made is not the new image")
    if contender.checks_new:
        applied, _ = run(f"{check}; ({contender.apply}) | cat > /dev/null", part, {**given, "new": os.devnull}, LIMIT)
    return Result(contender.name, contender.title, size, made, applied)


def _size(patch: Path) -> int:
    return sum(file.stat().st_size for file in ([patch] if patch.is_file() else patch.rglob("*")) if file.is_file())
