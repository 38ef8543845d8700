"""A release of a device as Debian packages make it: fetched, unpacked, edited, and made an ext4 image.

The same packages give the same image, byte for byte. Packages that were fetched stay in the cache, for mirrors drop old ones.
"""

from __future__ import annotations

import inspect
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from bench.delta import edits, initrd, tree
from otad.publisher import image
from simulator.qemu import debian
from simulator.qemu.cache import Cache
from simulator.qemu.tools import need

ARCHITECTURE = "arm64"
EPOCH = initrd.EPOCH


@dataclass(frozen=True)
class Suite:
    """Where packages come from: a release of Debian, as published last or with all updates since."""

    name: str
    updates: bool


@dataclass(frozen=True)
class Size:
    """How big an image is, which packages are in it and `without` which of those that they ask for, and which kernel modules."""

    mib: int
    packages: tuple[str, ...]
    without: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Release:
    """What is in an image: packages of `suite`, but from `later` those named in `newer` (how they begin); our own `edition`."""

    name: str
    suite: Suite
    edition: int = 1
    later: Suite | None = None
    newer: tuple[str, ...] = ()
    compressed: bool = True

    def made(self, cache: Cache, size: Size) -> Path:
        """The ext4 image. Raises NotReady when a tool, the packages or room are missing."""
        need({**tree.TOOLS, "mkfs.ext4": "e2fsprogs"})
        debs = [deb for deb in _fetched(cache, self.suite, size) if not self._is_newer(deb)]
        if self.later:
            debs += [deb for deb in _fetched(cache, self.later, size) if self._is_newer(deb)]
        texts = [inspect.getsource(module) for module in (tree, edits, initrd, image)]
        entry = cache.entry(
            f"delta-{size.mib}-{self.name}",
            [fact.encode() for fact in (repr((self, size)), *(deb.name for deb in debs), *texts)],
            lambda part: self._make(debs, size, part),
            room=(3 * size.mib) << 20,
        )
        return entry / "root.img"

    def _is_newer(self, deb: Path) -> bool:
        return deb.name.startswith(self.newer)

    def _make(self, debs: list[Path], size: Size, part: Path) -> None:
        root, log, begun = part / "tree", part / "build.log", time.time()
        tree.unpack(debs, root, log)
        tree.kernel(root, size.modules, log)
        edits.apply(root, self.edition)
        if not self.compressed:
            tree.without_compressed(root)
        tree.settle(root, begun, EPOCH)
        (part / "packages.txt").write_text("".join(f"{deb.name}\n" for deb in sorted(debs)))
        identity = image.Identity(product="bench", version=f"{self.edition}.0.0")
        image.from_directory(root, part / "root.img", identity, image.Make(size.mib << 20, EPOCH))
        shutil.rmtree(root)


def _fetched(cache: Cache, suite: Suite, size: Size) -> list[Path]:
    """The .deb files, in order of their names."""

    def make(part: Path) -> None:
        folder = debian.packages(size.packages, suite.name, ARCHITECTURE, part, part / "fetch.log", updates=suite.updates)
        (part / "debs").mkdir()
        for deb in folder.glob("*.deb"):
            deb.rename(part / "debs" / deb.name)
        shutil.rmtree(part / "apt")

    name = f"delta-debs-{size.mib}-{suite.name}{'-updates' if suite.updates else ''}"
    origins = debian.origins_of(suite.name, updates=suite.updates)
    folder = cache.entry(name, [repr((suite, size.packages, origins)).encode()], make, room=size.mib << 20)
    return sorted(deb for deb in (folder / "debs").iterdir() if not deb.name.startswith(size.without))
