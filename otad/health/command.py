"""Check "command": a program that exits 0 when all is well.

[[health.checks]]
type = "command"
name = "camera"
options = { command = ["/usr/lib/product/camera-test", "--quick"] }
"""

from __future__ import annotations

from otad import commands, outside
from otad.config import Command, HealthCheck, Section
from otad.health import EVIDENCE_BYTES, Around, Finding, options


class Options(Section):
    """The program and its arguments; no shell."""

    command: Command


class CommandCheck:
    """See `make`."""

    def __init__(self, name: str, command: Command, timeout: float) -> None:
        self.name = name
        self._command = command
        self._timeout = timeout

    async def run(self) -> Finding:
        """Run it once; its last lines are evidence, in time or not."""
        ended = await outside.run(self._command, self._timeout, EVIDENCE_BYTES)
        evidence = {"command": " ".join(self._command), "status": str(ended.status), "output": ended.output}
        return Finding(self.name, ended.status == 0, self._words(ended), evidence)

    def _words(self, ended: commands.Ended) -> str:
        if ended.status is None:
            how = f"did not end in {self._timeout:g} s and was killed"
        elif ended.status < 0:
            how = f"was killed by signal {-ended.status}"
        else:
            how = f"exited {ended.status}"
        last = ended.output.rpartition("\n")[2][-200:]
        return f"{self._command[0]} {how}: {last}" if last else f"{self._command[0]} {how}"


def make(settings: HealthCheck, _around: Around) -> CommandCheck:
    """The check of these settings. Raises ConfigError."""
    return CommandCheck(settings.name, options(settings, Options).command, settings.timeout)
