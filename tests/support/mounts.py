"""Loop devices and mounts of a test's own, undone at its end."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulator.fastboard import FastBoard

PATIENCE = 60  # seconds


def need_root(*tools: str) -> None:
    """Skip what this user, or this machine, cannot do."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")


def run(*command: str | Path) -> str:
    """What a command prints. Raises CalledProcessError."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def attached(file: Path) -> Iterator[str]:
    """A loop device over `file`; skipped where this machine has none. At the end it is gone, also from other mount namespaces."""
    need_root("losetup", "mkfs.ext4")
    found = subprocess.run(["losetup", "--find", "--show", file], check=False, capture_output=True, text=True)
    if found.returncode:
        pytest.skip(f"no loop device here: {found.stderr.strip()}")
    device = found.stdout.strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device)  # done when nobody uses it: a test beside this one may have copied the mounts
        end = time.monotonic() + PATIENCE
        while run("losetup", "--associated", file):
            assert time.monotonic() < end, f"{device} is in use for more than {PATIENCE} s"
            time.sleep(0.05)


@contextmanager
def mounted(*arguments: str, at: Path) -> Iterator[None]:
    """As `mount ARGUMENTS at`; skipped where this machine does not let us."""
    need_root("mount")
    tried = subprocess.run(["mount", *arguments, at], check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"cannot mount here: {tried.stderr.strip()}")
    try:
        yield
    finally:
        run("umount", "--lazy", at)


def inside(board: FastBoard, script: str) -> None:
    """otad runs in a mount namespace of its own, in which root has run `script`."""
    need_root("unshare")
    board.otad = ("unshare", "--mount", "--propagation", "private", "--", "sh", "-ec", f'{script}; exec "$@"', "sh", *board.otad)
