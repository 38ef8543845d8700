"""What a script costs: CPU and peak memory of all its processes.

Rules:
 1. CPU is user + system time of every process of the script, as the kernel tells it (wait4).
 2. Peak memory is the larger of two: the kernel's peak of the largest single process (ru_maxrss), and the most that all of them
    held together (PSS, which counts shared pages once) at a moment when somebody looked, twice a second.
 3. A script that takes too long is ended with all its processes, and is told as such.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.delta import measured

INTERVAL = 0.5  # s between two looks
LAST_WORDS = 20


class Failed(Exception):  # not an error of ours: the table says it
    """A contender did not do it: why."""


@dataclass(frozen=True)
class Cost:
    """CPU seconds, and MiB at the peak."""

    cpu: float
    mib: float


def run(script: str, folder: Path, variables: Mapping[str, str], limit: float) -> tuple[Cost, str]:
    """Run a script for bash in `folder`, for at most `limit` seconds; its cost, and what it printed. Raises Failed."""
    told, tells = os.pipe()
    with os.fdopen(told) as facts, (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", measured.__file__, str(tells), script],
            cwd=folder,
            env={**os.environ, **variables},
            stdout=out,
            stderr=log,
            pass_fds=[tells],
            start_new_session=True,
        )
        os.close(tells)
        watch = _Watch(process.pid, limit)
        try:
            process.wait()
        finally:  # nothing of it stays, whatever ended it
            _kill(process.pid)
            most = watch.ended()
        if watch.late:
            raise Failed(f"not done after {limit:.0f} s")
        cpu, kib, status = facts.read().split()
        if status != "0":
            log.seek(0)
            raise Failed(f"exited {status}: {' '.join(log.read().split()[-LAST_WORDS:])}")
        out.seek(0)
        return Cost(round(float(cpu), 2), round(max(most, int(kib) << 10) / 2**20, 1)), out.read()


class _Watch:
    """Looks at a process and its children, from a thread."""

    def __init__(self, pid: int, limit: float) -> None:
        self.late = False
        self._pid = pid
        self._until = time.monotonic() + limit
        self._most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def ended(self) -> int:
        """Stop looking; the most bytes that were held."""
        self._over.set()
        self._thread.join()
        return self._most

    def _look(self) -> None:
        while not self._over.wait(INTERVAL):
            self._most = max(self._most, _held(self._pid))
            if time.monotonic() > self._until and not self.late:
                self.late = True
                _kill(self._pid)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):  # it has ended
        os.killpg(group, signal.SIGKILL)


def _held(pid: int) -> int:
    """Bytes of all processes below `pid`."""
    held = 0
    with suppress(psutil.NoSuchProcess):  # ended between two lines
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                held += process.memory_full_info().pss
    return held
