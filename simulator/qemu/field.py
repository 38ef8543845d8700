"""A device in the field: a board, the fleet that it belongs to, and what a story of the two needs.

Rules:
 1. Time is told by what the device says: from the last word before it went down to the first after it is up again.
 2. A story ends when the application runs and otad sleeps; then slot, journal and environment are looked at, on the device.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from otad.bootenv.uboot import parse
from simulator.qemu.board import BANNER, Board
from simulator.qemu.card import Files
from simulator.qemu.fleet import Fleet

ASLEEP = "systemctl show -p ActiveState otad.service | grep -qx ActiveState=inactive"
ASK = "{ otactl check --no-wait; test $? -ne 4; }"  # an otad that ends at this very moment does not answer
STAYS = "! systemctl is-system-running | grep -qx stopping"
RESTS = f"until {ASLEEP} && {STAYS}; do sleep 3; done; echo re''sts"
WHY = r"otad recovery: (slot .*\d)\r?\n"


@dataclass(frozen=True)
class End:
    """How a story ended.

    slot     that runs; "recovery" when none comes up
    running  the version that runs, as the image says
    history  what the device has tried, the newest first; nothing when it cannot remember
    env      the boot environment, or why recovery runs; what is not set is empty
    at       the second (of the event loop's clock) at which the application started last, or recovery
    """

    slot: str
    running: str
    history: list[dict[str, Any]]
    env: dict[str, str]
    at: float

    @property
    def results(self) -> list[tuple[str, str]]:
        """(version, how it ended), the newest first."""
        return [(one["version"], one["result"]) for one in self.history]


@dataclass
class Field:
    """`board` and its `fleet`.

    gone_s  seconds that the application had not run when the power came first
    """

    board: Board
    fleet: Fleet
    gone_s: float = 0

    async def offers(self, version: str, files: Files | None = None) -> None:
        """The fleet offers a release."""
        await asyncio.to_thread(self.fleet.offer, version, files)

    async def takes(self) -> None:
        """Somebody on the device asks for what is on offer."""
        await self.board.holds(ASK)
        await self.board.ended("check", "admitted")

    async def resets(self) -> float:
        """U-Boot begins anew; when."""
        return (await self.board.until(BANNER)).at

    async def falls_back(self) -> None:
        """U-Boot has had enough of the trial, and takes the other slot."""
        await self.board.until("Bootlimit .* exceeded. Using altbootcmd")

    async def settles(self, *, asking: bool = False) -> End:
        """From the next boot on, through any number of boots, until otad sleeps. `asking`: for what is on offer, once."""
        ask = f"until {ASK}; do sleep 1; done; " if asking else ""
        while True:
            slot = await self.board.booted()
            self.board.type(ask + RESTS)
            if (await self.board.until(f"{BANNER}|rests"))[0] == "rests":
                break
            ask = ""
        version = (await self.board.run("cat /usr/lib/otad/release.json")).out
        history = await self.board.run("otactl history --json")
        env = (await self.board.run("fw_printenv")).out
        up = self.board.journal.all("Started application.service")[-1].at
        return End(
            slot,
            json.loads(version)["version"],
            json.loads(history.out) if history.status == 0 else [],
            defaultdict(str, parse(env)),
            up,
        )

    async def gives_up(self) -> End:
        """No slot comes up: recovery runs, and says why."""
        why = await self.board.until(WHY)
        return End("recovery", "", [], {"otad_recovery_cause": why[1]}, why.at)

    async def page(self) -> str:
        """What somebody on the network reads of recovery, who asks until he is answered."""
        url = f"http://127.0.0.1:{await self.board.reach(80)}/"
        while True:
            try:
                return await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read().decode())
            except OSError:
                await asyncio.sleep(1)

    def cause(self, version: str) -> dict[str, Any]:
        """Why a release came back, as the fleet was told."""
        told = [event for event in self.fleet.told("rollback", version) if event["outcome"] == "done"]
        return dict(told[-1]["cause"]) if told else {}

    def evidence(self, version: str) -> dict[str, str]:
        """What the fleet was told with it."""
        told = [event for event in self.fleet.told("rollback", version) if event["outcome"] == "done"]
        return dict(told[-1]["evidence"]) if told else {}

    @property
    def stopped(self) -> float:
        """When the application was stopped first."""
        return self.board.journal.all("Stopped application.service")[0].at

    def down_s(self, end: End) -> float:
        """Seconds that the application did not run, from the first power-up to the end; those without power do not count."""
        stops = [said.at for said in (*self.board.console.all(BANNER), *self.board.journal.all("Stopped application.service"))]
        starts = [said.at for said in self.board.journal.all("Started application.service")]
        down, since = self.gone_s, min(stops)
        for start in (*starts, end.at):
            down += start - since
            since = min((stop for stop in stops if stop > start), default=start)
        return down
