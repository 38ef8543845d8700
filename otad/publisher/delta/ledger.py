"""What each part of a delta costs: the plain data behind `otarepo delta --explain`. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One operation of a delta.

    path       the file that it makes; "" for what is nobody's: the bundle's head, metadata and free blocks of the image
    operation  "zero", "copy", "delta", "raw", "unpack" or "pack": as in otad/delta/ops.py
    makes      bytes of the target
    costs      bytes of the patch: its share of its segment's compressed streams. All lines add up to the patch without its head
    """

    path: str
    operation: str
    makes: int
    costs: int


@dataclass(frozen=True)
class Ledger:
    """What became of one pair. `notes`: what was not understood, in words: "the old image is no ext4: ..."."""

    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
