"""What a path really stands for, and what stands on it: device numbers, mounts, loop devices, the kernel's arguments.

Rules:
 1. Devices are compared by what they are (device number; for a plain file its inode), never by their names.
 2. The texts of the kernel are parsed here, pure; the few looks at the system are below.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LOOPS = Path("/sys/block")
DISKS = Path("/dev/disk")


class Mount(NamedTuple):
    """A line of mountinfo (man 5 proc): "major:minor", mount point, source."""

    device: str
    point: str
    source: str


class Identity(NamedTuple):
    """What a path stands for: a block device by its number (inode 0), a plain file by file system and inode."""

    device: int
    inode: int = 0

    @property
    def is_block(self) -> bool:
        """A block device rather than a plain file."""
        return self.inode == 0

    @property
    def number(self) -> str:
        """Its device, "major:minor", as mountinfo writes it."""
        return f"{os.major(self.device)}:{os.minor(self.device)}"


def boot_argument(cmdline: str, name: str) -> str | None:
    """The last value of `name=` on a kernel command line, as the kernel takes it; None when it is not there."""
    words = re.findall(r'(?:[^\s"]|"[^"]*")+', cmdline)
    values = [word.replace('"', "").partition("=")[2] for word in words if word.replace('"', "").startswith(f"{name}=")]
    return values[-1] if values else None


def parse_mounts(text: str) -> list[Mount]:
    """The mounts of a mountinfo text; the kernel writes blanks and backslashes in names as three octal digits.

    Raises ValueError for a line of another form.
    """
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        try:
            mounts.append(Mount(fields[2], _unescape(fields[4]), _unescape(kind[1])))
        except IndexError as error:
            raise ValueError(f"{line[:80]!r} is no line of mountinfo") from error
    return mounts


def _unescape(name: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), name)


def root_path(argument: str) -> Path:
    """The device that a `root=` argument names, through udev's links where it names a label or an id."""
    tag, equals, value = argument.partition("=")
    if not equals:
        return Path(argument)
    return DISKS / f"by-{tag.lower()}" / (value.lower() if tag == "PARTUUID" else value)


def identity_of(path: Path) -> Identity | None:
    """What `path` is, symbolic links followed; None when it is not there, or is neither block device nor plain file."""
    try:
        found = path.stat()
    except OSError:
        return None
    if stat.S_ISBLK(found.st_mode):
        return Identity(found.st_rdev)
    return Identity(found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def loops_over(file: Identity) -> Iterator[tuple[str, str]]:
    """Loop devices over a plain file: their "major:minor" and their path."""
    for backing in LOOPS.glob("loop*/loop/backing_file"):
        loop = backing.parents[1]
        with suppress(FileNotFoundError):  # detached since it was listed
            if identity_of(Path(backing.read_text().strip())) == file:
                yield (loop / "dev").read_text().strip(), f"/dev/{loop.name}"
