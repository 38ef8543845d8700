"""What systemd is told of this process, and what the hardware watchdog has to tell.

Rules:
 1. systemd is fed by a task of the event loop, three times per WatchdogSec: a loop that hangs feeds nothing and is killed.
 2. A loop that turns while its state is stuck is no better: between two signs of progress at most `SILENCE` may pass, unless
    the machine rests. Then feeding ends, systemd restarts the daemon, and `resume` goes on from the record.
 3. Without NOTIFY_SOCKET (started by hand, in a test) all of it is quiet.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sdnotify import SystemdNotifier

SILENCE = 2 * 3600.0
"""Seconds: longer than any wait that the settings bound by default (SWUpdate's hour, a download's retries)."""

CARDRESET = 0x20  # WDIOF_CARDRESET, linux/watchdog.h: "card previously reset the CPU"
_log = logging.getLogger(__name__)


class Watchdog:
    """systemd's ear (sd_notify(3)). `environ` is read once; close it at the end."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        silence: float = SILENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.period = _period(environ)
        self._silence = silence
        self._clock = clock
        self._progress = clock()
        self._resting = False
        self._systemd = SystemdNotifier() if environ.get("NOTIFY_SOCKET") else None

    def ready(self) -> None:
        """The daemon serves."""
        self._tell("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status otad`."""
        self._tell(f"STATUS={' '.join(text.split())}")

    def stopping(self, seconds: float) -> None:
        """The daemon ends, and may need this long to end safely."""
        self._tell(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def beat(self) -> None:
        """Something moved: bytes, a check, a transition."""
        self._progress = self._clock()

    def turn(self, *, resting: bool) -> None:
        """The machine took a step; `resting`: it now waits for something to do, and may do so for ever."""
        self._resting = resting
        self.beat()

    @property
    def alive(self) -> bool:
        """False once a state that should move has been silent too long."""
        return self._resting or self._clock() - self._progress < self._silence

    async def feed(self) -> None:
        """Feed systemd as long as the loop turns and the machine is alive. Runs until cancelled."""
        if self.period is None:
            return
        while self.alive:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.period / 3)
        _log.critical("nothing has moved for %d s: systemd restarts otad, which goes on from its journal", self._silence)

    def close(self) -> None:
        """Say nothing more."""
        if self._systemd and self._systemd.socket:
            self._systemd.socket.close()
        self._systemd = None

    def _tell(self, state: str) -> None:
        if self._systemd:
            self._systemd.notify(state.encode().decode("latin-1"))  # sdnotify encodes Latin-1; systemd reads UTF-8


def _period(environ: Mapping[str, str]) -> float | None:
    """WatchdogSec in seconds; None when systemd wants no feeding, or wants it of another process (sd_watchdog_enabled(3))."""
    microseconds, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdigit() or int(microseconds) == 0 or pid != str(os.getpid()):
        return None
    return int(microseconds) / 1e6


def caused_this_boot(devices: Path = Path("/sys/class/watchdog")) -> bool | None:
    """True when a hardware watchdog reset the board, False when one says that it did not; None when none can tell.

    Tells a hang from a power cut (Linux: Documentation/watchdog/watchdog-api.rst, "bootstatus").
    """
    told = [int(file.read_text(), 0) for file in sorted(devices.glob("watchdog*/bootstatus"))]
    return any(status & CARDRESET for status in told) if told else None
