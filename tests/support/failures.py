"""docs/failures.md, row by row: each test of a bad input says what it does, and otactl what it says of it.

Rules:
 1. A test marked with `fault` is one row. What the device does is what the test asserts; the other cells are what was seen.
 2. A row shows a device's places and names in place of the board's. Numbers, days and hashes differ from run to run: they do
    not count when rows are compared, and a row that is on the page already stays as it is.
 3. The page is written by `make failures`. Without that, each test compares its row with the page.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from otad.errors import Cause
from simulator.fastboard import FastBoard

PAGE = Path(__file__).parents[2] / "docs" / "failures.md"
PROPERTY = "failure"  # of a test's report: its row, as JSON
_TOLD = "told.jsonl"
_HEAD = "| fault | the device | `otactl status` says | who must act |"


class Place(str, Enum):
    """Where it shows, in the page's order."""

    NETWORK = "The network and the server"
    REPOSITORY = "What the repository says"
    RELEASE = "The release"
    DEVICE = "Slots and identity"
    BOOT = "The boot environment"
    DATA = "The data partition and the journal"
    SETTINGS = "The settings"
    HEALTH = "Health checks"


@dataclass(frozen=True)
class Fault:
    """What is wrong, and what the device does about it."""

    place: Place
    what: str
    does: str


def fault(place: Place, what: str, does: str) -> pytest.MarkDecorator:
    """Marks a test, or one of its parameters, as the one that shows this fault."""
    return pytest.mark.fault(Fault(place, what, does))


def tell(board: FastBoard, out: str, cause: Cause) -> None:
    """Keep what otactl printed of `cause`: all of it must be there."""
    said = [_printed(out, sentence) for sentence in (cause.what, cause.remedy)]
    _keep(board, {"code": cause.code, "said": f"{said[0]}. **Next step:** {said[1]}", "who": cause.who.value})


def calm(board: FastBoard, out: str) -> None:
    """Keep what otactl printed of a device on which nothing is wrong."""
    _keep(board, {"code": "", "said": f"{out.splitlines()[0]}.", "who": "nobody"})


def row(fault: Fault, board: FastBoard) -> str:
    """The row of the page: what otactl told first."""
    told = json.loads((board.folder / _TOLD).read_text().splitlines()[0])
    what = f"{fault.what}<br>`{told['code']}`" if told["code"] else fault.what
    cells = (what, fault.does, as_on_a_device(told["said"], board), told["who"])
    return f"| {' | '.join(' '.join(cell.replace('|', '&#124;').split()) for cell in cells)} |"


def as_on_a_device(text: str, board: FastBoard) -> str:
    """`text` with a device's places: as the settings have them by default."""
    folder = re.escape(str(board.folder))
    for found, shown in (
        (rf"{folder}/data/", "/data/"),
        (rf"{folder}/run\b", "/run/otad"),
        (rf"{folder}/slot-a\b", "/dev/mmcblk0p2"),
        (rf"{folder}/slot-b\b", "/dev/mmcblk0p3"),
        (rf"{folder}/fw_env.config\b", "/etc/fw_env.config"),
        (rf"{folder}\b", "/etc/otad"),
        (re.escape(str(board.folder.parent)), "/etc/otad"),
        (r"\b127\.0\.0\.1(:\d+)?", "updates.example.com"),
        (r"\b([0-9a-f]{8})[0-9a-f]{56}\b", r"\1…"),
    ):
        text = re.sub(found, shown, text)
    return text


def alike(line: str) -> str:
    """What rows that say the same have in common."""
    return re.sub(r"\b[0-9a-f]{8}…|\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b|\d+", "#", line)


def rows(page: str) -> dict[tuple[str, str], str]:
    """The rows of the page by place and fault."""
    found, place = {}, ""
    for line in page.splitlines():
        place = line.removeprefix("## ") if line.startswith("## ") else place
        if line.startswith("| ") and line != _HEAD:
            found[place, _name(line)] = line
    return found


def key(fault: Fault) -> tuple[str, str]:
    """As in `rows`."""
    return fault.place.value, fault.what


def rendered(head: str, lines: dict[tuple[str, str], str]) -> str:
    """The page."""
    parts = [head.rstrip()]
    for place in Place:
        of_place = [lines[at] for at in sorted(lines) if at[0] == place.value]
        parts.append("\n".join([f"## {place.value}", "", _HEAD, "|---|---|---|---|", *of_place]))
    return "\n\n".join(parts) + "\n"


def _name(line: str) -> str:
    return line.removeprefix("| ").split(" | ")[0].split("<br>")[0]


def _printed(out: str, sentence: str) -> str:
    """`sentence` as it stands in `out`, where its first letter may have become a capital."""
    at = out.find(sentence[1:])
    assert at > 0, f"otactl does not say {sentence!r}:\n{out}"
    return out[at - 1 : at - 1 + len(sentence)].removesuffix(".")


def _keep(board: FastBoard, told: dict[str, str]) -> None:
    with (board.folder / _TOLD).open("a") as file:
        file.write(json.dumps(told) + "\n")
