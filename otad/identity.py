"""Who this device is in the fleet: the configured id, else one made at first start and bound to the board.

Rules:
 1. 128 random bits: nobody can guess an id, or choose its place in a roll-out's queue.
 2. The id belongs to the board, not to the disk: where the board's facts differ from those that it was made on, the disk was
    cloned, and a new id is made. A fact that cannot be read here or there says nothing.
 3. It is on the disk, durably, before anybody sees it. A damaged file is replaced.
 4. Whenever the device shows up as a new one although it had an id, that is said (`trouble`).
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from otad import durable
from otad.errors import Cause, RetryLater, Who

ID_BYTES = 16
_SOURCES = {"serial": "proc/device-tree/serial-number", "emmc": "sys/block/mmcblk0/device/cid"}
_log = logging.getLogger(__name__)


class _Damaged(Exception):
    """A file that holds no identity."""


@dataclass(frozen=True)
class _Identity:
    """An id (32 hex digits), and the facts of the board that it was made on."""

    id: str
    board: Mapping[str, str]

    def fits(self, board: Mapping[str, str]) -> bool:
        """True unless a fact that is known on both sides differs."""
        return all(self.board.get(name, value) == value for name, value in board.items())


@dataclass(frozen=True)
class DeviceId:
    """`name` in the fleet; `trouble`: why it is a new one, although the disk had one."""

    name: str
    trouble: Cause | None = None


def device_id(configured: str | None, file: Path, root: Path = Path("/")) -> DeviceId:
    """The device's id. `root` is where /proc and /sys are.

    Raises RetryLater("identity-unreadable", "identity-unwritable"): an id that cannot be kept is not given out. The folder of
    `file` is not made here: without its partition it would be on the root file system.
    """
    if configured:
        return DeviceId(configured)
    board, trouble = _board(root), None
    try:
        kept = _read(file)
    except _Damaged as error:
        kept, trouble = None, _new(f"{file} was damaged ({error})")
    if kept and kept.fits(board):
        if not board.keys() <= kept.board.keys():  # a fact that could not be read before: bound to it from now on
            _write(file, _Identity(kept.id, {**kept.board, **board}))
        return DeviceId(kept.id)
    if kept:
        trouble = _new(f"{file} was made on another board: this disk is a copy of that board's, or was moved here")
    made = _Identity(secrets.token_hex(ID_BYTES), board)
    _write(file, made)
    if trouble:
        _log.warning("%s", trouble)
    return DeviceId(made.id, trouble)


def _new(why: str) -> Cause:
    return Cause(
        "identity-new",
        f"this device has a new id: {why}",
        "Tell whoever runs the fleet, who knows it by its old id; or give it a name in [device] id",
        Who.INTEGRATOR,
    )


def _board(root: Path) -> dict[str, str]:
    """What is known of the board: its serial number and its eMMC's CID, those that can be read."""
    facts = {}
    for name, place in _SOURCES.items():
        try:
            value = (root / place).read_text(encoding="ascii", errors="replace").strip("\0 \n")
        except OSError:
            continue  # this board has none
        if value:
            facts[name] = value
    return facts


def _read(file: Path) -> _Identity | None:
    """What `file` holds; None when there is none. Raises _Damaged, RetryLater."""
    try:
        return _parse(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        what = f"cannot read this device's id in {file}: {error.strerror}"
        raise RetryLater("identity-unreadable", what, f"Look at {file} and its partition (dmesg)") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _Damaged(str(error)) from error


def _parse(data: bytes) -> _Identity:
    """Raises ValueError, KeyError, TypeError, AttributeError or RecursionError for what is no identity."""
    kept = json.loads(data)
    if len(bytes.fromhex(kept["id"])) != ID_BYTES:
        raise ValueError(f"the id is not {ID_BYTES} bytes")
    return _Identity(kept["id"], {str(name): str(value) for name, value in kept["board"].items()})


def _write(file: Path, identity: _Identity) -> None:
    """Old file or new file, whole, also after a cut."""
    try:
        durable.write(file, json.dumps({"id": identity.id, "board": dict(identity.board)}).encode())
    except OSError as error:
        raise RetryLater(
            "identity-unwritable",
            f"cannot keep this device's id in {file}: {error.strerror}",
            f"Mount the data partition writable at {file.parent.parent}, or set [device] id",
        ) from error
