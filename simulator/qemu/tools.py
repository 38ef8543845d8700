"""The programs that build and run the board: whether they are here, and what they said when they failed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

PACKAGES = "tools/packages-qemu.txt"
LAST_LINES = 20


class NotReady(Exception):  # not an error of the board: it cannot be built here, and the message says what to do
    """The board cannot be built or started: what is missing, and the next step."""


def need(tools: Mapping[str, str]) -> None:
    """Raises NotReady unless each program of {program: Debian package} is here."""
    missing = {tool: package for tool, package in tools.items() if not shutil.which(tool)}
    if missing:
        raise NotReady(
            f"not on this machine: {', '.join(missing)}; install them (tools/packages {PACKAGES}), "
            f"on Debian: apt-get install {' '.join(dict.fromkeys(missing.values()))}"
        )


def mortal(command: Sequence[str | Path], signal: str = "KILL") -> list[str | Path]:
    """`command`, which gets `signal` when whoever starts it dies, however that comes (setpriv(1), prctl(2))."""
    return ["setpriv", "--pdeathsig", signal, *command]


def run(command: Sequence[str | Path], folder: Path, log: Path) -> None:
    """Run a program in `folder`; its output is appended to `log`. Raises NotReady with the last lines when it fails."""
    with log.open("ab") as file:
        status = subprocess.run(
            mortal(command, "TERM"), cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, check=False
        ).returncode
    if status:
        last = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        raise NotReady("\n".join([f"{' '.join(map(str, command))} exited {status}; the end of {log}:", *last]))
