"""Whether the daemon is awake: it holds an flock on `<run>/otad.lock` while it lives.

Rules:
 1. The kernel drops the lock with the process, however it ends: there is no stale state to clean up.
 2. Asking wakes nobody. It takes a shared lock for an instant, so `take` tries again for a moment before it gives up.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from otad.errors import OtadError, Who

NAME = "otad.lock"
PATIENCE = 2.0
"""Seconds that `take` waits for a probe, or for a predecessor that is just ending."""


def take(run: Path) -> int:
    """Hold the lock until the returned descriptor is closed. Blocks up to PATIENCE. Raises OtadError when another otad runs."""
    run.mkdir(parents=True, exist_ok=True)
    handle = os.open(run / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(0.02)
                continue
            os.close(handle)
            raise OtadError(
                "already-running",
                f"another otad holds {run / NAME}",
                "Use that one (`otactl status`), or stop it first: systemctl stop otad",
                who=Who.FIELD,
            ) from None
        return handle


def held(run: Path) -> bool:
    """True while a daemon is awake. Raises PermissionError if the lock file may not be read."""
    try:
        handle = os.open(run / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
