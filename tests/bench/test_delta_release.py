"""Images of releases, made of packages that are built here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from bench.delta import tree
from bench.delta.pairs import PAIRS, Pair
from bench.delta.release import Release, Size, Suite
from otad.publisher import image
from otad.publisher.delta import ext4
from simulator.qemu import debian
from simulator.qemu.cache import Cache
from simulator.qemu.tools import NotReady, need
from tests.publisher.delta.trees import write

SIZE = Size(16, ("base", "linux-image-6.1"), without=("unwanted",))
POINT, TODAY = Suite("bookworm", updates=False), Suite("bookworm", updates=True)


def deb(folder: Path, name: str, version: str, files: dict[str, bytes]) -> None:
    stage = folder / f"{name}-{version}"
    control = f"Package: {name}\nVersion: {version}\nArchitecture: arm64\nMaintainer: nobody\nDescription: {name}\n"
    write(stage, {**files, "DEBIAN/control": control.encode()})
    command = ["dpkg-deb", "--build", "--root-owner-group", str(stage), str(folder)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1500000000"})


def fetch(names: Iterable[str], suite: str, architecture: str, folder: Path, log: Path, *, updates: bool = True) -> Path:
    """In place of apt: two releases of a kernel and of a base."""
    assert (suite, architecture, tuple(names)) == ("bookworm", "arm64", SIZE.packages)
    debs = folder / "apt" / "archives"
    kernel = "6.1.0-2" if updates else "6.1.0-1"
    modules = {
        f"usr/lib/modules/{kernel}/kernel/crypto/x.ko": b"no module",
        f"usr/lib/linux-image-{kernel}/nvidia/board.dtb": b"tree",
    }
    deb(debs, "linux-image-6.1", kernel, {**modules, f"boot/vmlinuz-{kernel}": kernel.encode() * 1000})
    base = {"etc/a.conf": b"one\ntwo\n", "bin/busybox": b"box", "usr/share/doc/base/NEWS": b"news", "lib/libc.so.6": b"libc"}
    deb(debs, "base", f"1.{updates:d}", {**base, "usr/share/x.gz": b"packed"})
    deb(debs, "unwanted", "1", {"usr/bin/unwanted": b""})
    log.touch()
    return debs


@pytest.fixture(autouse=True)
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        need(tree.TOOLS)
    except NotReady as error:
        pytest.skip(str(error))
    monkeypatch.setattr(debian, "packages", fetch)
    monkeypatch.setattr(debian, "origins", lambda: ["http://localhost/debian/ bookworm main"])


def made(folder: Path, release: Release) -> Path:
    return release.made(Cache(folder), SIZE)


def files(made: Path) -> set[str]:
    return {file.path for file in ext4.read(made.read_bytes()).files if not file.directory}


def test_the_same_packages_give_the_same_image(tmp_path: Path) -> None:
    one, two = (made(tmp_path / name, Release("factory", POINT)) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert image.identity(one) == image.Identity(product="bench", version="1.0.0")
    found = files(one)
    assert {"/boot/vmlinuz-6.1.0-1", "/boot/initrd.img-6.1.0-1", "/usr/bin/busybox", "/usr/share/x.gz"} <= found
    assert not [path for path in found if "doc" in path or "unwanted" in path]
    assert (one.parent / "packages.txt").read_text() == "base_1.0_arm64.deb\nlinux-image-6.1_6.1.0-1_arm64.deb\n"


def test_only_the_newer_packages_are_newer(tmp_path: Path) -> None:
    kernel = made(tmp_path, Release("kernel", POINT, later=TODAY, newer=("linux-image",)))
    assert (kernel.parent / "packages.txt").read_text() == "base_1.0_arm64.deb\nlinux-image-6.1_6.1.0-2_arm64.deb\n"


def test_an_edition_of_our_own_and_nothing_compressed(tmp_path: Path) -> None:
    plain = made(tmp_path, Release("plain", TODAY, edition=2, compressed=False))
    assert not [path for path in files(plain) if "initrd" in path or path.endswith(".gz")]
    said = subprocess.run(["debugfs", "-R", "cat /etc/a.conf", plain], capture_output=True, text=True, check=True).stdout
    assert said == "one\n# Site settings, edition 2\ntwo\n"


def test_a_pair_of_the_same_packages_is_refused(tmp_path: Path) -> None:
    """Whose apt knows no updates would get wonderful figures."""
    pair = Pair("minor", Release("factory", POINT), Release("updated", POINT, edition=2), "")
    with pytest.raises(NotReady, match=r"the pair minor are of the same packages.*Run apt-get update"):
        pair.made(Cache(tmp_path), SIZE)


def test_every_pair_is_of_two_releases() -> None:
    assert all(pair.old != pair.new for pair in PAIRS)
    assert len({pair.name for pair in PAIRS}) == len(PAIRS)
    named = {release.name: release for pair in PAIRS for release in (pair.old, pair.new)}
    assert all(named[release.name] == release for pair in PAIRS for release in (pair.old, pair.new)), "one image, one name"
