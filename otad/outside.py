"""A command of the site, outside of otad's own sandbox.

Rules:
 1. What otad.service forbids itself (docs/hardening.md), and so SWUpdate, does not bind what the site wrote: there it runs as
    a transient unit, as systemd starts any service, with systemd's environment and not otad's.
 2. Whatever ends `run` (exit, time-out, cancellation), the command has been killed; and it does not outlive otad.
 3. Where nothing is sandboxed (a shell, a simulated board) it is an ordinary child.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence

from otad import commands

SANDBOX = "OTAD_SANDBOX"
"""Set by otad.service."""

_KILL_SECONDS = 10.0
_SPARE_SECONDS = 30  # after which systemd ends the unit, should nobody do it before


async def run(command: Sequence[str], timeout: float, keep: int) -> commands.Ended:
    """As `commands.run`. A command that systemd-run cannot start has an exit status other than 0, and says why."""
    if SANDBOX not in os.environ:
        return await commands.run(command, timeout, keep)
    unit, ended = f"otad-command-{uuid.uuid4().hex}.service", None
    try:
        ended = await commands.run(transient(unit, command, timeout), timeout, keep)
    finally:
        if ended is None or ended.status is None:
            await commands.run(("systemctl", "kill", "--signal=KILL", unit), _KILL_SECONDS, keep)
    return ended


def transient(unit: str, command: Sequence[str], timeout: float) -> tuple[str, ...]:
    """systemd-run(1) with `command` as `unit`: waits for its end, passes on what it writes and its exit status."""
    bounds = (f"--property=RuntimeMaxSec={timeout + _SPARE_SECONDS:.0f}", "--property=BindsTo=otad.service")
    how = ("--quiet", "--wait", "--pipe", "--collect", "--service-type=exec", f"--unit={unit}", *bounds)
    return "systemd-run", *how, "--", *(word.replace("$", "$$") for word in command)  # systemd would put variables in
