"""Evidence: why a boot failed, kept in one bounded archive for an attempt, and in short for the report.

Rules:
 1. What is missing (no journalctl, no pstore, no room) is said in the evidence; it never fails the rollback that collects it.
 2. One archive is at most about MAX_BYTES, KEEP archives stay; the oldest go first.
 3. What was collected in the boot that failed stays: afterwards the log of that boot ends in its shutdown, or is gone. Collecting
    there again replaces the archive, atomically: a cut leaves the old one or the new one.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from otad import blocking, commands, durable
from otad.errors import Cause

KEEP = 5
MAX_BYTES = 1 << 20  # before compression
_LOG_BYTES = 512 * 1024
_LOG_LINES = 200
_LOG_SECONDS = 20.0
_PSTORE_BYTES = 64 * 1024  # of each record of the kernel's last words
_SHORT_BYTES = 3072
_SUFFIX = ".tar.gz"


@dataclass(frozen=True)
class Collector:
    """Collects into `folder` (`/data/otad/evidence`), with the system's own tools.

    journalctl  the command; its output of one boot is asked for
    pstore      where the kernel's last words turn up after a panic (Documentation/ABI/testing/pstore); systemd-pstore moves
                them to /var/lib/systemd/pstore
    """

    folder: Path
    journalctl: tuple[str, ...] = ("journalctl",)
    pstore: tuple[Path, ...] = (Path("/sys/fs/pstore"), Path("/var/lib/systemd/pstore"))

    async def collect(self, attempt: str, cause: Cause | None, *, this_boot: bool = False) -> dict[str, str]:
        """Keep what tells why `attempt` failed: its cause, the log of this boot or the one before, the kernel's last words.

        Returns what is worth reporting: "log" (its last lines), "pstore" (names), "archive" (where all of it is).
        """
        path = self.folder / f"{attempt}{_SUFFIX}"
        if not this_boot and (kept := await blocking.run(_kept, path)):
            return _short(kept) | {"archive": str(path)}
        whole, log = await self._log("0" if this_boot else "-1")
        files = {"log.txt": log.encode(errors="replace")}
        if cause:
            files["cause.json"] = json.dumps(cause.to_dict(), indent=2).encode()
        files |= await blocking.run(_records, self.pstore)
        if this_boot and not whole:  # the next boot may know more
            return _short(files)
        return _short(files) | {"archive": await blocking.run(_keep, path, files)}

    async def _log(self, boot: str) -> tuple[bool, str]:
        """Whether journalctl did its work, and what it said."""
        arguments = (f"--boot={boot}", f"--lines={_LOG_LINES}", "--no-pager", "--output=short-iso")
        ended = await commands.run((*self.journalctl, *arguments), _LOG_SECONDS, _LOG_BYTES)
        if ended.status == 0:
            return True, ended.output
        status = f"did not end in {_LOG_SECONDS:g} s" if ended.status is None else f"exited {ended.status}"
        return False, f"{ended.output}\n({self.journalctl[0]} {status})".strip()


def _short(files: Mapping[str, bytes]) -> dict[str, str]:
    """What is worth reporting of an archive's files."""
    short = {"log": files["log.txt"][-_SHORT_BYTES:].decode(errors="ignore")}
    if names := [name for name in files if name.startswith("pstore/")]:
        short["pstore"] = ", ".join(names)
    return short


def _kept(path: Path) -> dict[str, bytes]:
    """The files of an archive; nothing when there is none that can be read."""
    try:
        with tarfile.open(path) as tar:
            members = [(member.name, tar.extractfile(member)) for member in tar]
            files = {name: file.read(MAX_BYTES) for name, file in members if file}
    except (OSError, tarfile.TarError, EOFError, zlib.error):
        return {}
    return files if "log.txt" in files else {}


def _records(folders: tuple[Path, ...]) -> dict[str, bytes]:
    """The records of pstore, each cut to its end."""
    found: dict[str, bytes] = {}
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        try:
            with path.open("rb") as file:
                file.seek(-min(_PSTORE_BYTES, path.stat().st_size), os.SEEK_END)
                found[f"pstore/{path.name}"] = file.read(_PSTORE_BYTES)
        except OSError as error:
            found[f"pstore/{path.name}"] = f"cannot be read: {error.strerror}".encode()
    return found


def _keep(path: Path, files: Mapping[str, bytes]) -> str:
    """Where the archive is, or why there is none."""
    try:
        path.parent.mkdir(mode=0o750, exist_ok=True)
        _drop(path.parent, KEEP - 1, path)
        durable.write(path, _archive(files), 0o640)
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    return str(path)


def _archive(files: Mapping[str, bytes]) -> bytes:
    """A tar file, compressed: readable wherever an engineer takes it."""
    packed = io.BytesIO()
    room = MAX_BYTES
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            kept = data[-room:] if room else b""
            member.size = len(kept)
            room -= len(kept)
            tar.addfile(member, io.BytesIO(kept))
    return packed.getvalue()


def _drop(folder: Path, keep: int, but: Path) -> None:
    """Remove the oldest archives (by their attempt's ULID, which rises with time), and what a cut left behind."""
    for left in folder.glob("*.new"):
        left.unlink()
    others = sorted(path for path in folder.glob(f"*{_SUFFIX}") if path != but)
    for path in others[: max(0, len(others) - keep)]:
        path.unlink()
