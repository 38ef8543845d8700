"""The system around us: the applications' units, the disks' caches, the reboot.

Rules:
 1. Units are stopped in the order of the settings and started in the reverse one; one that will not stop is killed by the reboot.
 2. A reboot is asked for once; if it has not come in `REBOOT_SECONDS`, it is forced, and then said to have failed.
"""

from __future__ import annotations

import asyncio
import logging
import os

from otad import commands
from otad.config import Reboot
from otad.errors import OtadError

REBOOT_SECONDS = 120.0
FORCE_SECONDS = 30.0
_WORDS = 500  # bytes of what a command says
WAKE = "otad-check"  # there is one next check, so one timer
log = logging.getLogger(__name__)


class SystemdHost:
    """Host port over systemctl (or whatever `systemctl` is set to on a simulated board)."""

    def __init__(self, settings: Reboot) -> None:
        self._settings = settings

    async def stop(self) -> None:
        """Stop the units one after the other, each for at most `stop_timeout` seconds."""
        for unit in self._settings.stop:
            status, words = await self._systemctl("stop", unit, seconds=self._settings.stop_timeout)
            if status != 0:
                log.warning("unit %s did not stop: %s; going on", unit, words)

    async def start(self) -> None:
        """Start the units, last stopped first. One that runs already is left alone (systemctl(1), start)."""
        for unit in reversed(self._settings.stop):
            status, words = await self._systemctl("start", unit, seconds=self._settings.stop_timeout)
            if status != 0:
                log.error("unit %s did not start again: %s", unit, words)

    async def sync(self) -> None:
        """Flush every file system to its device (see `man 2 sync`). In a thread: a slow medium takes longer than the watchdog."""
        await asyncio.to_thread(os.sync)

    async def reboot(self) -> None:
        """Reboot, and wait for it. Raises OtadError when none came, not even by force."""
        words = ""
        for arguments, seconds in ((("reboot",), REBOOT_SECONDS), (("reboot", "--force"), FORCE_SECONDS)):
            status, words = await self._systemctl(*arguments, seconds=seconds)
            if status == 0:
                await asyncio.sleep(seconds)  # systemd stops us before this ends
                words = f"systemctl {' '.join(arguments)} said yes, but nothing happened in {seconds:g} s"
        raise OtadError("reboot-failed", f"the device cannot be rebooted: {words}", "Reboot it by hand: `systemctl reboot`")

    async def wake(self, seconds: float) -> None:
        """Have otad started again in `seconds`, by a transient timer, in place of the one that was set before."""
        await self._systemctl("stop", f"{WAKE}.timer", seconds=FORCE_SECONDS)
        timer = ("systemd-run", "--collect", "--quiet", f"--unit={WAKE}", f"--on-active={max(int(seconds), 1)}s")
        status, words = await _run((*timer, "systemctl", "start", "otad"), FORCE_SECONDS)
        if status != 0:
            log.warning("no timer could be set for the next check: %s; otad.timer looks every 4 hours", words)

    async def _systemctl(self, *arguments: str, seconds: float) -> tuple[int, str]:
        return await _run((*self._settings.systemctl, *arguments), seconds)


async def _run(command: tuple[str, ...], seconds: float) -> tuple[int, str]:
    """Exit status and last words of one command; a time-out counts as status 124, a missing tool as 127."""
    ended = await commands.run(command, seconds, _WORDS)
    return (124, f"no answer in {seconds:g} s") if ended.status is None else (ended.status, ended.output)
