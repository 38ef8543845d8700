"""Debian's packages for the board: sources, and packages of another architecture.

Rules:
 1. They come from where this machine's own packages come from: no mirror is named here.
 2. apt's state is private and goes when it is done: the machine's own lists and cache are not touched.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from simulator.qemu.tools import NotReady, need, run


def origins() -> list[str]:
    """Where this machine gets Debian from, as `URI SUITE COMPONENT`, in apt's own order. Raises NotReady when apt knows none."""
    need({"apt-get": "apt"})
    command = [
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Identifier: Packages",
        "Origin: Debian",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    if not found:
        raise NotReady("apt knows no Debian package lists here: run apt-get update; on another system the board cannot be built")
    return list(dict.fromkeys(found))


def source(package: str, folder: Path, log: Path) -> Path:
    """Fetch and unpack the source of `package` below `folder`; its tree."""
    need({"dpkg-source": "dpkg-dev"})
    apt = _apt(folder / "apt", [f"deb-src {origin}" for origin in origins()])
    run([*apt, "update"], folder, log)
    run([*apt, "source", "--download-only", package], folder, log)
    (description,) = folder.glob("*.dsc")
    run(["dpkg-source", "-x", description.name, "tree"], folder, log)
    return folder / "tree"


def packages(names: Iterable[str], suite: str, architecture: str, folder: Path, log: Path, *, updates: bool = True) -> Path:
    """Fetch `names` and what they depend on, with all `updates` or as last released; the folder of the .deb files."""
    apt = _apt(folder / "apt", [f"deb {origin}" for origin in origins_of(suite, updates=updates)])
    (folder / "apt" / "status").touch()  # nothing is installed
    foreign = {
        "Dir::State::status": f"{folder}/apt/status",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
    }
    apt += [word for name, value in foreign.items() for word in ("-o", f"{name}={value}")]
    run([*apt, "update"], folder, log)
    run([*apt, "install", "--yes", "--download-only", "--no-install-recommends", *names], folder, log)
    return folder / "apt" / "cache" / "archives"


def origins_of(suite: str, *, updates: bool = True) -> list[str]:
    """The origins of `suite` where this machine has those of its own: http://... bookworm-security main, for bookworm.

    Raises NotReady as `origins` does.
    """
    every = [re.sub(r" [a-z]+", f" {suite}", origin, count=1) for origin in origins()]
    return [origin for origin in every if updates or f" {suite} " in origin]


def _apt(state: Path, sources: list[str]) -> list[str]:
    """apt-get with its state in `state`."""
    for made in ("lists/partial", "cache/archives/partial"):
        (state / made).mkdir(parents=True)
    (state / "sources.list").write_text("".join(f"{line}\n" for line in sources))
    settings = {
        "Dir::Etc::SourceList": f"{state}/sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": f"{state}/lists",
        "Dir::Cache": f"{state}/cache",
        "APT::Sandbox::User": "",  # fetch as who we are
    }
    return ["apt-get", "-q", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
