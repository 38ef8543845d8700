"""One start, twice: U-Boot's model, and the real U-Boot with the scripts of `recipes/`. What boots, and what was saved.

Rules:
 1. The scripts are those of the recipes, except that each `saveenv` first says what it saves, that nothing sleeps, and that what
    is loaded says what it is and switches the power off.
 2. Everything else is U-Boot's own: its environment in two copies on a card, its boot counter, its choice of altbootcmd.
 3. A store is seen twice, on the console and on the card, and both must say the same. The boot counter's own says nothing on the
    console; of three stores it is the one that the card holds no more.
"""

from __future__ import annotations

import re
import subprocess
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from otad.bootenv import Slot
from otad.bootenv.uboot import parse
from simulator.bootloader import Boot, Env, Stop, power_on
from simulator.qemu.uboot import RECIPES

SIZE = 0x4000
COPIES = (0x400000, 0x440000)
HEADER = 5  # bytes of a copy before its variables: CRC-32, and the serial number that tells which copy is newer
PARTITIONS = {Slot.A: "2", Slot.B: "3"}
TIMEOUT = 300.0
"""Seconds that one start may take. U-Boot at its prompt waits for ever: on a device that is a brick."""


@dataclass(frozen=True)
class Start:
    """What U-Boot finds when the power comes.

    data      the data variables; one that is missing is unset, which U-Boot must not tell from an empty one
    loads     the slots whose kernel can be loaded
    recovery  whether there is a recovery image
    """

    data: Mapping[str, str]
    loads: frozenset[Slot]
    recovery: bool

    def modelled(self) -> Boot:
        """What the model makes of it."""
        return power_on(Env.of(self.data), self.loads.__contains__, recovery=self.recovery)

    def variables(self, board: Mapping[str, str]) -> dict[str, str]:
        """The whole environment for the real U-Boot, with what is the `board`'s own."""
        lines = (RECIPES / "otad-scripts.env").read_text().splitlines()
        scripts = parse("\n".join(line for line in lines if not line.startswith("#")))
        says = f'echo "stores {",".join(f"${name}" for name in Env._fields)},"; saveenv'
        told = {name: re.sub(r"sleep \d+; ", "", text.replace("saveenv", says)) for name, text in scripts.items()}
        return {**self.data, **told, **board}


@dataclass(frozen=True)
class Seen:
    """What the real U-Boot did. A store that could not be seen is None."""

    end: Slot | Stop
    stores: tuple[Env | None, ...]
    unloadable: Slot | None

    def differs(self, boot: Boot) -> str:
        """In words; empty when it did as modelled."""
        stores = all(real in {None, model} for real, model in zip_longest(self.stores, boot.stores, fillvalue="none"))
        same = stores and (self.end, self.unloadable) == (boot.end, boot.unloadable)
        return "" if same else f"U-Boot: {self}\n model: {boot}"


def insert(card: Path, variables: Mapping[str, str]) -> None:
    """Give `card` an environment: one good copy, and one that never was."""
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    command = ["mkenvimage", "-r", "-s", f"{SIZE:#x}", "-o", "-", "-"]
    image = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    with card.open("r+b") as file:
        file.seek(COPIES[0])
        file.write(image)


def seen(console: str, card: Path) -> Seen:
    """What a run said on its console and left on its card. Raises AssertionError when the two do not agree."""
    told = [Env(*line.split(",")[: len(Env._fields)]) for line in re.findall(r"^stores (.*?)\r?$", console, re.MULTILINE)]
    copies = _copies(card)
    kept, number = [_data(copy) for copy in copies], _serial(copies[0]) - 1
    assert number in {len(told), len(told) + 1}, f"{number} stores on the card:\n{console}"
    stores: list[Env | None] = [*told]
    if number > len(told):
        stores.insert(0, kept[0] if number == 1 else kept[1] if number == len(COPIES) else None)
    assert number == 0 or kept[0] == stores[-1], f"the card holds {kept[0]}:\n{console}"
    loaded = re.findall(r"^loads (\d)", console, re.MULTILINE)
    ends = re.findall(r"^(?:boots (\w+)|(resetting))", console, re.MULTILINE)
    assert len(ends) == 1, f"neither booted nor reset:\n{console}"
    ((booted, _reset),) = ends
    end = Stop.RESET if not booted else Stop.RECOVERY if booted == "recovery" else Slot(booted)
    tried = next((slot for slot, number in PARTITIONS.items() if loaded and number == loaded[-1]), None)
    return Seen(end, tuple(stores), tried if end is Stop.RESET else None)


def _copies(card: Path) -> list[bytes]:
    """The good copies, the newest first."""
    whole = card.read_bytes()
    both = [whole[offset : offset + SIZE] for offset in COPIES]
    good = [copy for copy in both if zlib.crc32(copy[HEADER:]) == int.from_bytes(copy[:4], "little")]
    return sorted(good, key=_serial, reverse=True)


def _serial(copy: bytes) -> int:
    """What tells which copy is newer: mkenvimage begins with 1, and each store counts on."""
    return copy[HEADER - 1]


def _data(copy: bytes) -> Env:
    return Env.of(parse(copy[HEADER:].split(b"\0\0")[0].decode().replace("\0", "\n")))
