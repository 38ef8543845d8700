"""Contenders on a pair of images: made, applied, verified, and what it cost.

Rules:
 1. Both images are hashed beside every apply, for whoever gets a patch must know that it fits and that the result is right. Who
    checks one by itself pays for that alone; nobody checks it twice. What came out is hashed all the same, when it is made.
 2. A patch is kept by the content of the images and what made it: no patch is made twice.
 3. Applying is measured in turns, everyone once in each round: what is compared was measured in the same minutes.
 4. Who cannot take part is told with the reason: a tool that is missing, too little memory, too long.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path

import psutil

from bench.delta.contenders import Contender
from bench.delta.measure import Cost, Failed, run
from otad.publisher.encode import fingerprint
from simulator.qemu.cache import Cache

ROUNDS = 5
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
    """size: bytes that are sent; costs of making, and of applying in each round. None: it did not take part, and `why`."""

    name: str
    title: str
    size: int | None = None
    made: Cost | None = None
    applied: tuple[Cost, ...] = ()
    why: str = ""


def results(cache: Cache, contenders: Iterable[Contender], images: Images, rounds: int = ROUNDS) -> dict[str, Result]:
    """What the contenders do with `images`, by name: made now or before, applied now. Raises Failed when one cannot apply."""
    made = [(contender, *_made(cache, contender, images)) for contender in contenders]
    turns = [[_applied(one, images, patch) if patch else None for one, _, patch in made] for _ in range(rounds)]
    return {
        one.name: replace(result, applied=tuple(cost for turn in turns if (cost := turn[at])))
        for at, (one, result, _) in enumerate(made)
    }


def _made(cache: Cache, contender: Contender, images: Images) -> tuple[Result, Path | None]:
    """What it cost, and the patch; None when there is none."""
    if why := _excuse(contender, images):
        return Result(contender.name, contender.title, why=why), None
    facts = [text.encode() for text in (contender.make, contender.apply, *images.hashes)]
    facts += [file.read_bytes() for file in _programs(contender)]
    facts += [f"{name} {_version(name)}".encode() for name in contender.libraries]
    name = f"delta-made-{images.hashes[0][:8]}-{images.hashes[1][:8]}-{contender.name}"
    kept = cache.entry(name, facts, lambda part: _make(contender, images, part), room=2 * images.new.stat().st_size)
    told = json.loads((kept / "result.json").read_text())
    made = Cost(**told.pop("made")) if told["made"] else None
    return Result(**{**told, "made": made, "applied": ()}), kept / "patch" if made else None


def _programs(contender: Contender) -> list[Path]:
    """All that a patch is made by, ours or installed."""
    tools = (Path(found) for tool in contender.tools if (found := shutil.which(tool)))
    return [*tools, *(file for path in contender.made_of for file in ([path] if path.is_file() else sorted(path.rglob("*.py"))))]


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "is not installed"


def _excuse(contender: Contender, images: Images) -> str:
    missing = [package for tool, package in contender.tools.items() if not shutil.which(tool)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    needed, there = contender.memory * images.old.stat().st_size, psutil.virtual_memory().available
    return f"needs {needed / 2**30:.0f} GiB of memory, {there / 2**30:.0f} are free" if needed > there else ""


def _make(contender: Contender, images: Images, part: Path) -> None:
    """The patch and its cost into `part`, or why there is none."""
    try:
        cost, _ = run(contender.make, part, {**_given(images), "new": str(images.new)}, contender.limit)
        _verify(contender, images, part / "patch")
        told = Result(contender.name, contender.title, _size(part / "patch"), cost)
    except Failed as error:
        told = Result(contender.name, contender.title, why=str(error))
    for path in part.iterdir():
        if path.name != "patch" or told.why:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (part / "result.json").write_text(json.dumps(asdict(told), indent=2))


def _verify(contender: Contender, images: Images, patch: Path) -> None:
    """Raises Failed when something else than the new image comes out."""
    _, said = _apply(contender, f"({contender.apply}) | {HASH}", images, patch)
    if said.split()[0] != images.hashes[1]:
        raise Failed("what it made is not the new image")


def _applied(contender: Contender, images: Images, patch: Path) -> Cost:
    before = ":" if contender.checks_old else f'{HASH} "$old" > /dev/null'
    after = "cat > /dev/null" if contender.checks_new else HASH
    try:
        return _apply(contender, f"{before}; ({contender.apply}) | {after}", images, patch)[0]
    except Failed as error:
        what = f"{contender.title} made a patch and cannot apply it again: {error}"
        raise Failed(f"{what}. Remove {patch.parent}, and it is made anew") from error


def _apply(contender: Contender, script: str, images: Images, patch: Path) -> tuple[Cost, str]:
    """Run in a folder that has nothing but the patch."""
    with tempfile.TemporaryDirectory(dir=patch.parent.parent) as folder:
        there = Path(folder, "patch")  # zstd takes no symbolic link for a file, a folder cannot be linked otherwise
        (there.hardlink_to if patch.is_file() else there.symlink_to)(patch.absolute())
        return run(script, Path(folder), _given(images), contender.limit)


def _given(images: Images) -> dict[str, str]:
    """Variables of a script: nothing of the new image."""
    return {"old": str(images.old), "new": os.devnull, "python": sys.executable, "PYTHONPATH": str(TREE)}


def _size(patch: Path) -> int:
    return sum(file.stat().st_size for file in ([patch] if patch.is_file() else patch.rglob("*")) if file.is_file())
