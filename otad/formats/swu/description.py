"""sw-description: what a bundle would do. Written for both slots, and read as SWUpdate 2022.12 reads it. Pure.

Rules:
 1. `describe` names every board as a group of its own, so that SWUpdate itself refuses another board; SWUpdate compares
    hardware-compatibility with the revision only.
 2. `parse` finds each section where SWUpdate looks (`parser/parser.c`): board.set.mode, set.mode, board, then the root; the
    first that has it counts.
 3. What a section or an image says beyond the keys known here is reported by name, so that it can be refused, never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import libconf

from otad.bootenv import Slot
from otad.errors import Rejected, Who

TARGET = "target"
SET = "stable"
DEVICES: Mapping[Slot, str] = {Slot.A: TARGET, Slot.B: TARGET}
SECTIONS = ("bootenv", "uboot", "scripts", "partitions", "files", "embedded-script")
IMAGE_KEYS = frozenset({"name", "version", "filename", "device", "type", "sha256", "compressed", "installed-directly"})
BOARD = re.compile(r"[A-Za-z*][-A-Za-z0-9_*]*")  # a name in libconfig's grammar
REGEX = "#RE:"


@dataclass(frozen=True)
class Image:
    """One entry of `images`. `type` is the handler; `direct`: streamed to the device, not copied first.

    `compressed` is "zlib", "zstd" or None, and `sha256` covers the file as it lies in the bundle; `extra` names its keys that
    are not known here (offset, path, ref, install-if-different, ...).
    """

    filename: str
    sha256: str
    device: str = TARGET
    type: str = "raw"
    compressed: str | None = None
    direct: bool = True
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Description:
    """What SWUpdate would do on one board for one slot.

    revisions  of this board that it accepts: literals, or "#RE:" and a POSIX extended regular expression; empty: another board's
    sections   those beside images that act: of `SECTIONS`
    """

    version: str
    revisions: tuple[str, ...]
    images: tuple[Image, ...]
    sections: tuple[str, ...]

    def accepts(self, revision: str) -> bool:
        """Whether SWUpdate's `hwid_match` holds for `revision`."""
        return any(_matches(pattern, revision) for pattern in self.revisions)


def describe(version: str, hardware: Sequence[str], filename: str, sha256: str, devices: Mapping[Slot, str] = DEVICES) -> str:
    """The sw-description of a bundle with one raw image `filename` (SHA-256 in hex), for each "board revision" of `hardware`.

    Raises Rejected when a board's name cannot stand in a sw-description.
    """
    revisions: dict[str, list[str]] = {}
    for entry in hardware:
        board, revision = _split(entry)
        revisions.setdefault(board, []).append(revision)
    modes = {slot.value: {"images": (_image(filename, sha256, device),)} for slot, device in devices.items()}
    boards = {board: {"hardware-compatibility": found, SET: modes} for board, found in revisions.items()}
    return str(libconf.dumps({"software": {"version": version, **boards}}))


def parse(text: str, board: str, slot: Slot) -> Description:
    """What the bundle with this sw-description would do on `board` for `slot`. Raises Rejected when it cannot be told."""
    software = _group(_load(text), "software", "sw-description")
    groups = list(_places(software, board, slot))
    return Description(
        version=str(_find(groups, "version") or ""),
        revisions=tuple(_strings(_find(groups, "hardware-compatibility"), "hardware-compatibility")),
        images=tuple(_read_image(entry) for entry in _entries(_find(groups, "images"))),
        sections=tuple(name for name in SECTIONS if _find(groups, name) is not None),
    )


def _split(hardware: str) -> tuple[str, str]:
    parts = hardware.split()
    if len(parts) != 2 or not BOARD.fullmatch(parts[0]) or parts[0] in ("version", SET):  # noqa: PLR2004  "board revision"
        raise Rejected(
            "hardware-name",
            f"{hardware!r} cannot be named in a sw-description: it takes a board of letters, digits, - and _, and a revision",
            'Name it as in the device\'s /etc/hwrevision, for instance "jetson-nano 1.0"',
            who=Who.INTEGRATOR,
        )
    return parts[0], parts[1]


def _image(filename: str, sha256: str, device: str) -> dict[str, object]:
    return {"filename": filename, "device": device, "type": "raw", "sha256": sha256, "installed-directly": True}


def _load(text: str) -> Mapping[str, Any]:
    if "@include" in text:
        raise _unreadable("it includes another file")
    try:
        loaded: Mapping[str, Any] = libconf.loads(text)
    except (RuntimeError, ValueError) as error:  # its ConfigParseError, RecursionError; odd numbers and escapes
        raise _unreadable(str(error)) from error
    return loaded


def _places(software: Mapping[str, Any], board: str, slot: Slot) -> Iterator[Mapping[str, Any]]:
    """The groups in which SWUpdate looks for a section, best first."""
    for path in ((board, SET, slot.value), (SET, slot.value), (board,), ()):
        group: Any = software
        for name in path:
            group = group.get(name)
            if not isinstance(group, Mapping):
                break
            if "ref" in group:
                raise _unreadable("it refers with `ref`, which otad does not follow")
        else:
            yield group


def _find(groups: Iterable[Mapping[str, Any]], name: str) -> Any:
    return next((group[name] for group in groups if name in group), None)


def _group(parent: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    group = parent.get(name)
    if not isinstance(group, Mapping):
        raise _unreadable(f"{where} has no group {name}")
    return group


def _strings(value: Any, name: str) -> Sequence[str]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(entry, str) for entry in value):
        raise _unreadable(f"{name} is not a list of strings")
    return value


def _entries(value: Any) -> Sequence[Mapping[str, Any]]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(entry, Mapping) for entry in value):
        raise _unreadable("images is not a list of groups")
    return value


def _read_image(entry: Mapping[str, Any]) -> Image:
    compressed = entry.get("compressed", False)
    return Image(
        filename=str(entry.get("filename", "")),
        sha256=str(entry.get("sha256", "")),
        device=str(entry.get("device", "")),
        type=str(entry.get("type", "raw")),
        compressed=("zlib" if compressed is True else str(compressed)) if compressed else None,
        direct=entry.get("installed-directly") is True,
        extra=tuple(sorted(entry.keys() - IMAGE_KEYS)),
    )


def _matches(pattern: str, revision: str) -> bool:
    if not pattern.startswith(REGEX):
        return pattern == revision
    try:
        return re.search(pattern[len(REGEX) :], revision) is not None
    except re.error:
        return False


def _unreadable(why: str) -> Rejected:
    return Rejected(
        "bundle-description",
        f"the bundle's sw-description cannot be used: {why}",
        "Build the bundle with `otarepo image`, for this board",
        who=Who.INTEGRATOR,
    )
