"""A device of production parts that checks: its settings, engines, the state CHECK, book and journal. Nothing is installed."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from otad.assembly import Origin, assembled
from otad.bootenv import Slot
from otad.bootenv.uboot import UBoot
from otad.config_files import load
from otad.formats.event import Event
from otad.journal import Journal
from otad.payload.generations import Generations
from otad.slots import Slots
from otad.statemachine import Record, State, advance
from otad.states import check

RUNS = "2.0.0"
_SETTINGS = """
[repository]
url = "{url}"
development = true
[device]
product = "cam"
id = "device-1"
hwrevision = "{folder}/hwrevision"
[slots]
a = "{folder}/a"
b = "{folder}/b"
[paths]
data = "{folder}/data"
updates = "{folder}/updates"
run = "{folder}/run"
trust_anchor = "{folder}/root.json"
release = "{folder}/release.json"
cmdline = "{folder}/cmdline"
"""


class CheckingDevice:
    """Runs 2.0.0 of the product "cam" in slot A, on "board 1", in the channel stable. All of it lies in `folder`."""

    def __init__(self, folder: Path, url: str, anchor: bytes) -> None:
        self.settings = folder / "otad.toml"
        self.settings.write_text(_SETTINGS.format(url=url, folder=folder))
        self._boot = Record(State.CHECK, Slot.A, "boot-1")
        for name in ("data", "updates", "run"):
            (folder / name).mkdir()
        (folder / "root.json").write_bytes(anchor)
        (folder / "hwrevision").write_text("board 1\n")
        (folder / "release.json").write_text(json.dumps({"product": "cam", "version": RUNS}))
        (folder / "cmdline").write_text(f"otad.slot=A root={folder / 'a'}")
        for slot in ("a", "b"):
            (folder / slot).touch()

    async def check(self) -> Event:
        """One check, as the daemon makes it and keeps it; the event that the fleet is told."""
        config = load(self.settings)
        slots = Slots(config.slots, config.paths)
        generations = Generations(config.paths.data, config.paths.run)
        with contextlib.closing(Journal.open(config.paths.data / "journal.db")) as journal:
            origin = Origin(UBoot(config.boot.fw_env, slots.booted), slots, generations, journal, "device-1")
            async with assembled(config, origin, lambda: None) as assembly:
                assembly.book.record = self._boot
                step = await check.run(self._boot, assembly.ports)
                assembly.book.turn(self._boot, step, advance(self._boot, step))
            return Event.from_json(json.dumps(journal.events.latest(1)[0]))
