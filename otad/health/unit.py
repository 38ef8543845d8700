"""Check "unit": systemd units are active, and stay so without being restarted.

[[health.checks]]
type = "unit"
name = "services"
options = { units = ["product.service", "docker.service"] }
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from otad import commands
from otad.config import HealthCheck, Section
from otad.health import EVIDENCE_BYTES, Around, Finding, options

_PROPERTIES = "Id,LoadState,ActiveState,SubState,Result,NRestarts"
_STATUS_SECONDS = 5.0


class Options(Section):
    """Names of the units; a service that starts and ends needs RemainAfterExit=yes to stay active."""

    units: Annotated[tuple[str, ...], Field(min_length=1)]


def parse(shown: str) -> list[dict[str, str]]:
    """The properties of each unit, as `systemctl show` prints them: NAME=VALUE lines, an empty line between units."""
    blocks = shown.strip().split("\n\n")
    return [dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line) for block in blocks if block]


def judge(unit: Mapping[str, str], restarts: int) -> str | None:
    """What is wrong with a unit that had restarted `restarts` times when it was first seen, in words; None: nothing."""
    name = unit.get("Id", "?")
    if unit.get("LoadState") != "loaded":
        return f"{name} is {unit.get('LoadState', 'unknown')}"
    if unit.get("ActiveState") != "active":
        return f"{name} is {unit.get('ActiveState')} ({unit.get('SubState')}, result {unit.get('Result')})"
    more = _restarts(unit) - restarts
    return f"{name} restarted {more} times while it was watched" if more > 0 else None


def _restarts(unit: Mapping[str, str]) -> int:
    """NRestarts counts automatic restarts; units other than services have none (systemd.service(5), Restart=)."""
    text = unit.get("NRestarts", "")
    return int(text) if text.isdecimal() else 0


class UnitCheck:
    """See `make`."""

    def __init__(self, name: str, units: Sequence[str], systemctl: Sequence[str], timeout: float) -> None:
        self.name = name
        self._units = tuple(units)
        self._systemctl = tuple(systemctl)
        self._timeout = timeout
        self._first: dict[str, int] = {}  # unit -> restarts when it was first seen active

    async def run(self) -> Finding:
        """Ask systemd for all units at once."""
        ended = await self._ask("show", f"--property={_PROPERTIES}", seconds=self._timeout, keep=64 * 1024)
        shown = parse(ended.output)
        if ended.status != 0 or len(shown) != len(self._units):
            status = "did not answer in time" if ended.status is None else f"exited {ended.status}"
            return Finding(self.name, ok=False, words=f"{self._systemctl[0]} {status}", evidence={"output": ended.output})
        wrong = [words for words in map(self._judge, shown) if words]
        if not wrong:
            return Finding(self.name, ok=True, words=f"{', '.join(self._units)}: active")
        told = await self._ask("status", "--no-pager", "--lines=10", seconds=_STATUS_SECONDS, keep=EVIDENCE_BYTES)
        return Finding(self.name, ok=False, words="; ".join(wrong), evidence={"status": told.output})

    def _judge(self, unit: Mapping[str, str]) -> str | None:
        name = unit.get("Id", "?")
        if unit.get("ActiveState") == "active":
            self._first.setdefault(name, _restarts(unit))
        return judge(unit, self._first.get(name, 0))

    async def _ask(self, *arguments: str, seconds: float, keep: int) -> commands.Ended:
        return await commands.run((*self._systemctl, *arguments, "--", *self._units), seconds, keep)


def make(settings: HealthCheck, around: Around) -> UnitCheck:
    """The check of these settings. Raises ConfigError."""
    return UnitCheck(settings.name, options(settings, Options).units, around.systemctl, settings.timeout)
