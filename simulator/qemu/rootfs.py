"""The board's root file system: Debian for arm64 with otad installed as a user would, without running a foreign binary.

Rules:
 1. Packages are only unpacked. What their scripts would do, and this board needs, is done here, by this machine's own tools.
 2. Nothing in it is a secret or of one run: keys and addresses come later (`image.py`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from otad.publisher import image
from simulator.qemu import debian, initrd
from simulator.qemu.cache import Cache
from simulator.qemu.tools import NotReady, need, run
from simulator.qemu.uboot import RECIPES

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
OVERLAY = HERE / "overlay"  # what is this board's own, whichever otad is in it
SUITE = "bookworm"
PACKAGES = (
    *("base-files", "base-passwd", "bash", "busybox-static", "coreutils", "dash", "dbus", "e2fsprogs", "grep", "iproute2"),
    *("kmod", "libubootenv-tool", "linux-image-arm64", "login", "mount", "netbase", "procps", "python3", "sed", "swupdate"),
    *("systemd", "systemd-sysv", "tar", "udev", "util-linux"),
)
MODULES = (
    *("crc32c_generic", "sdhci-pci", "mmc_block", "ext4", "virtio_pci", "virtio_net", "virtio_console", "i6300esb", "af_packet"),
)
MASKED = (
    *("binfmt-support.service", "proc-sys-fs-binfmt_misc.automount", "serial-getty@ttyAMA0.service", "getty@tty1.service"),
    *("swupdate.service", "swupdate.socket", "swupdate-progress.service", "e2scrub_reap.service", "e2scrub_all.timer"),
    *("systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "apt-daily.timer", "apt-daily-upgrade.timer"),
)
ENABLED = ("systemd-networkd.service", "board-shell.service", "application.service", "otad-data.service")
UNWANTED = (
    *("lib/modules", "usr/lib/linux-image-*", "lib/udev/hwdb.d", "usr/lib/*/perl", "usr/lib/*/perl-base", "usr/share/perl"),
    *("usr/lib/*/gconv", "usr/lib/*/libperl.so.*", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"),
    *("var/cache/apt", "var/lib/apt"),
)
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    **initrd.TOOLS,
    "systemctl": "systemd",
    "systemd-sysusers": "systemd",
    "mkfs.ext4": "e2fsprogs",
    "make": "make",
}
INSTALLS = ("Makefile", "pyproject.toml", "tools/install-python", "tools/install-system", "tools/requirements.lock")
ROOM = 3 << 30
SIZE = 336 << 20
"""Bytes of the image: a slot has room for more."""


def made(cache: Cache, project: Path = PROJECT, name: str = "board-root") -> Path:
    """The image of slot A as it leaves the factory, release 1.0.0, with the otad of the checkout `project`. Raises NotReady."""
    folders = (project / "otad", project / "systemd", project / "man", OVERLAY)
    sources = [path for folder in folders for path in sorted(folder.rglob("*"))]
    files = [*sources, *(project / file for file in INSTALLS)]
    files += [HERE / "initrd-init", HERE / "initrd.py", RECIPES / "fw_env.config", Path(__file__)]
    used = [path for path in files if path.is_file() and path.suffix != ".pyc"]
    names = [os.path.relpath(path, project).encode() for path in used]
    texts = [path.read_bytes() for path in used]
    return cache.entry(name, [*names, *texts, *_origins()], lambda part: _make(cache, project, part), room=ROOM) / "root.img"


def _origins() -> Iterator[bytes]:
    return (origin.encode() for origin in debian.origins())


def debian_tree(cache: Cache) -> Path:
    """Debian unpacked, and nothing done to it."""

    def make(part: Path) -> None:
        sources = part / "sources.list"
        sources.write_text("".join(f"deb {origin}\n" for origin in debian.origins()))
        command: list[str | Path] = [
            "mmdebstrap",
            "--architectures=arm64",
            "--variant=extract",
            f"--include={','.join(PACKAGES)}",
        ]
        run([*command, SUITE, part / "tree", sources], part, part / "build.log")
        for device in (part / "tree" / "dev").iterdir():  # the kernel makes its own; a copy of /dev/full would have no end
            shutil.rmtree(device) if device.is_dir() and not device.is_symlink() else device.unlink()

    return cache.entry("board-debian", [repr((SUITE, PACKAGES)).encode(), *_origins()], make, room=ROOM) / "tree"


def _make(cache: Cache, project: Path, part: Path) -> None:
    if os.geteuid():
        raise NotReady("only root can make the board's root file system: its files belong to several users; use sudo")
    need(TOOLS)
    tree, log = part / "tree", part / "build.log"
    run(["cp", "-a", debian_tree(cache), tree], part, log)
    initrd.write(tree, MODULES, {"init": HERE / "initrd-init"}, tree / "boot" / "initrd", log)
    initrd.kernel(tree).rename(tree / "boot" / "Image")
    for unwanted in (path for name in UNWANTED for path in tree.glob(name)):
        shutil.rmtree(unwanted) if unwanted.is_dir() else unwanted.unlink()
    _otad(project, tree, part, log)
    _users(tree, log)
    shutil.copytree(OVERLAY, tree, dirs_exist_ok=True)
    shutil.copy(RECIPES / "fw_env.config", tree / "etc")
    (tree / "data").mkdir()
    _services(tree, log)
    _bytecode(tree, log)
    identity = image.Identity(product="demo", version="1.0.0")
    image.from_directory(tree, part / "root.img", identity, image.Make(SIZE, image.source_date_epoch()))
    shutil.rmtree(tree)


def _users(tree: Path, log: Path) -> None:
    for name in ("passwd", "group"):
        shutil.copy(tree / "usr" / "share" / "base-passwd" / f"{name}.master", tree / "etc" / name)
    run(["systemd-sysusers", f"--root={tree}"], tree, log)


def _otad(project: Path, tree: Path, part: Path, log: Path) -> None:
    """The package's dependencies as wheels for arm64, the rest by `make install`."""
    packages = tree / "usr" / "lib" / "python3" / "dist-packages"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    lines = (project / "tools" / "requirements.lock").read_text().splitlines()
    pins = part / "pins.txt"
    pins.write_text(
        "".join(f"{line.removesuffix(chr(92)).strip()}\n" for line in lines if not line.lstrip().startswith(("--", "#")))
    )
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", part / "wheels", "-c", pins, "sdnotify", "libconf"], part, log)
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", part / "wheels", project], part, log)
    foreign = ["--platform", "manylinux_2_28_aarch64", "--platform", "manylinux2014_aarch64", "--python-version", "3.11"]
    (wheel,) = (part / "wheels").glob("otad-*.whl")
    install = [*pip, "install", "--target", packages, *foreign, "--only-binary=:all:", "--no-compile", "-c", pins]
    run([*install, "--find-links", part / "wheels", wheel], part, log)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    run(["make", "install", f"DESTDIR={tree}", "PYTHON_TARGET=/usr/bin/python3"], project, log)


def _services(tree: Path, log: Path) -> None:
    run(["systemctl", f"--root={tree}", "preset-all"], tree, log)
    run(["systemctl", f"--root={tree}", "enable", *ENABLED], tree, log)
    run(["systemctl", f"--root={tree}", "mask", *MASKED], tree, log)
    run(["systemctl", f"--root={tree}", "set-default", "multi-user.target"], tree, log)


def _bytecode(tree: Path, log: Path) -> None:
    """Nobody can write it on the board: its root file system is read-only."""
    folders = [tree / "usr" / "lib" / name for name in ("python3", "python3.11")]
    compile_: list[str | Path] = [
        "/usr/bin/python3.11",
        "-m",
        "compileall",
        "-q",
        "-s",
        tree,
        "--invalidation-mode",
        "unchecked-hash",
    ]
    with log.open("ab") as file:
        subprocess.run([*compile_, *folders], check=False, stdout=file)  # a few of Python's own tests do not compile
