"""Debian's packages for the board: sources, and packages of another architecture.

Rules:
 1. They come from where this machine's own packages come from: no mirror is named here.
 2. apt's state is private and goes when it is done: the machine's own lists and cache are not touched.
"""

from __future__ import annotations

import subprocess
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
