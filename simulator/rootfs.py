"""The root file system of a device with a real systemd: a minimal Debian, and in it otad as `make install` puts it.

Rules:
 1. Debian and the Python packages are made once for what they are made of: the folder's name is the hash of that.
 2. Only a whole one has that name, so one that was interrupted is made anew; of two makers the second waits.
 3. otad and its settings are not part of it: `with_otad` is a copy, made from this very checkout.
 4. Python packages are those that the tests run with, so both must be the same Python.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

from simulator.settings import HARDWARE

CHECKOUT = Path(__file__).parents[1]
SUITE, PYTHON = "bookworm", (3, 11)
PACKAGES = ("dbus", "libubootenv-tool", "python3-minimal", "python3-systemd", "swupdate", "systemd", "systemd-sysv")
RECIPE = 1  # to be raised with each change of what `base` does
SITE = "/usr/lib/python3/dist-packages"
# A device has no package manager to run again, and an image a tenth smaller is written a tenth faster.
SPARE = ("usr/share/perl", "usr/share/perl5", "usr/share/info", "var/cache", "var/lib/apt", "var/lib/dpkg/info")
LEAVE_OUT = ("doc", "info", "locale", "man", "lintian", "zoneinfo")

FINISH = (
    ["systemd-sysusers"],
    ["systemctl", "preset-all", "--preset-mode=enable-only"],
    ["systemctl", "mask", "swupdate.service", "swupdate.socket", "swupdate-progress.service"],  # otad starts it itself
)

Distributions = dict[str, importlib.metadata.Distribution]


class Unavailable(Exception):
    """Such a root file system cannot be made here; the message says why."""


def base(cache: Path) -> Path:
    """Debian with the packages that otad needs, below `cache`; made when it is not there. Raises Unavailable."""
    if sys.version_info[:2] != PYTHON:
        raise Unavailable(f"needs the Python of Debian {SUITE}, {'.'.join(map(str, PYTHON))}, to run the tests")
    if not shutil.which("mmdebstrap"):
        raise Unavailable("needs mmdebstrap")
    wanted = _requirements("otad", {})
    made = cache / _digest(wanted)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_dir():
            new = cache / "new"
            shutil.rmtree(new, ignore_errors=True)
            _debian(new)
            for distribution in wanted.values():
                _copy(distribution, new)
            _compile(new)
            new.rename(made)
    return made


def with_otad(root: Path, to: Path) -> Path:
    """A copy of `root` with otad as a package would bring it, its units enabled. `make install` must work here."""
    subprocess.run(["cp", "-a", root, to], check=True)
    places = (f"DESTDIR={to}", "PYTHON_TARGET=/usr/bin/python3", f"pythondir={SITE}")
    subprocess.run(["make", "--silent", "install", *places], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
    for finish in FINISH:
        subprocess.run(["chroot", to, *finish], check=True, capture_output=True)
    etc = to / "etc"
    (etc / "machine-id").write_text("")  # a read-only root: systemd gives it one at every boot
    (etc / "hwrevision").write_text(f"{HARDWARE}\n")
    (etc / "fw_env.config").symlink_to("otad/fw_env.config")
    (to / "data").mkdir()
    _compile(to)
    return to


def _requirements(name: str, found: Distributions) -> Distributions:
    """What `name` needs, and what that needs, without extras; not `name` itself."""
    for line in importlib.metadata.requires(name) or ():
        requirement = Requirement(line)
        if requirement.name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[requirement.name] = importlib.metadata.distribution(requirement.name)
        _requirements(requirement.name, found)
    return found


def _digest(wanted: Distributions) -> str:
    made_of = [RECIPE, SUITE, PACKAGES, SPARE, LEAVE_OUT, sorted((name, one.version) for name, one in wanted.items())]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]


def _debian(new: Path) -> None:
    without = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEAVE_OUT]
    options = [
        "--variant=apt",
        "--dpkgopt=force-unsafe-io",
        '--aptopt=Acquire::Languages "none"',
        *without,
        f"--include={','.join(PACKAGES)}",
    ]
    done = subprocess.run(["mmdebstrap", "--quiet", *options, SUITE, new], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"mmdebstrap exited {done.returncode}: {done.stderr.strip()[-500:]}")
    for name in SPARE:
        shutil.rmtree(new / name, ignore_errors=True)


def _copy(distribution: importlib.metadata.Distribution, root: Path) -> None:
    """Its files; not the commands, which name this machine's Python, nor byte code, which names this machine's paths."""
    for file in distribution.files or ():
        if ".." not in file.parts and file.suffix != ".pyc":
            to = root / SITE.lstrip("/") / file
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(distribution.locate_file(file), to)  # type: ignore[arg-type]  # a path


def _compile(root: Path) -> None:
    """A root file system that is mounted read-only cannot keep byte code that is made later."""
    found = subprocess.run(
        ["chroot", root, "python3", "-m", "compileall", "-q", "-j0", SITE], capture_output=True, text=True, check=False
    )
    if found.returncode and not re.search(r"SyntaxError|IndentationError", found.stdout):
        raise Unavailable(f"the Python of the root file system cannot run here: {found.stderr.strip()[-500:]}")
