"""ext4 images: made from a directory the same way every time, and asked what release they say they are.

Rules:
 1. The same tree, size, release and e2fsprogs give the same bytes: UUID and hash seed come from product and version, times from
    SOURCE_DATE_EPOCH (change and access times always; modification times stay those of the files, on which Python's .pyc rest).
 2. The features are those of ext4 before e2fsprogs 1.47: U-Boot and the kernels of Jetsons read them.
 3. Files lie in one piece: all that the file system notes of itself stands in front, and nothing is repeated further on. A delta
    makes a compressed file again only in one piece; of a slot that is only ever written whole, no spare superblock is of use.
 4. The tree itself is not touched: release.json is written into the image, and read back, for debugfs exits 0 on failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from otad.errors import OtadError, Rejected, Who
from otad.formats import Model, Name, SemVer, encode
from otad.publisher import drafts

BLOCK = 4096
"""Bytes: what deltas tell apart. mkfs.ext4 would take 1024 for what is below 512 MiB."""
SMALL = 64 << 20
"""Bytes: below, mkfs.ext4 chooses. A journal has at least 1024 blocks, and would take the room of the files."""
IDENTITY = "/usr/lib/otad/release.json"
FEATURES = (
    "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,"
    "sparse_super2,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
)
LAYOUT = "num_backup_sb=0,packed_meta_blocks=1,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0"
FIRST_INODE = 11  # lost+found; those before it are the file system's own, of which only 2, the root, has times that matter
ROOT_INODE = 2


class Identity(Model):
    """What an image says it is, in `/usr/lib/otad/release.json`."""

    product: Name
    version: SemVer


@dataclass(frozen=True)
class Make:
    """How to make an image: bytes, and the moment (seconds since 1970) that it shows as its own."""

    size: int
    epoch: int


def source_date_epoch() -> int:
    """SOURCE_DATE_EPOCH (reproducible-builds.org), else 2020-01-01: never the clock."""
    return int(os.environ.get("SOURCE_DATE_EPOCH", "1577836800"))


def from_directory(tree: Path, out: Path, identity: Identity, make: Make) -> None:
    """Write an ext4 image of `tree`, that says it is `identity`, to `out`.

    Owners are those of the tree's files: run it as root or under fakeroot. Raises OtadError when a tool is missing or fails.
    """
    seed = uuid.uuid5(uuid.NAMESPACE_URL, f"otad:{identity.product}:{identity.version}")
    with drafts.draft(out.parent) as new:
        new.file.truncate(make.size)
        image = str(new.path)
        options = f"{LAYOUT},hash_seed={seed}"
        blocks = () if make.size < SMALL else ("-b", str(BLOCK))
        _run(
            ["mkfs.ext4", "-q", "-F", *blocks, "-m", "0", "-O", FEATURES, "-U", str(seed), "-E", options, "-d", str(tree), image],
            make.epoch,
        )
        _write_identity(new.path, identity, make.epoch)
        _settle_times(new.path, make.epoch)
        new.keep(out)


def identity(image: Path) -> Identity | None:
    """What the ext4 `image` says it is; None when it says nothing, is no ext4, or debugfs is not installed."""
    if not shutil.which("debugfs"):
        return None
    text = _run(["debugfs", "-R", f"cat {IDENTITY}", str(image)])
    try:
        return Identity.model_validate_json(text) if text else None
    except ValidationError as error:
        what = f"{IDENTITY} in {image} cannot be used: {error.errors()[0]['msg']}"
        raise Rejected("image-identity", what, "Correct it", who=Who.INTEGRATOR) from error


def _write_identity(image: Path, wanted: Identity, epoch: int) -> None:
    folders = [str(folder) for folder in reversed(PurePosixPath(IDENTITY).parents)]
    with drafts.draft(image.parent) as text:
        text.file.write(encode(wanted.model_dump()) + b"\n")
        text.file.flush()
        # debugfs that is told to make a folder that exists leaves an inode without a name behind
        make = [f"mkdir {folder}" for folder in folders if not _run(["debugfs", "-R", f"stat {folder}", str(image)])]
        own = [f"sif {IDENTITY} {field}" for field in ("mode 0100644", "uid 0", "gid 0", f"mtime @{epoch}")]
        _run(["debugfs", "-w", "-f", "-", str(image)], epoch, [*make, f"rm {IDENTITY}", f'write "{text.path}" {IDENTITY}', *own])
    if identity(image) != wanted:
        what = f"debugfs could not write {IDENTITY} into the image"
        raise OtadError("image-identity", what, "Give the image more --size", who=Who.INTEGRATOR)


def _settle_times(image: Path, epoch: int) -> None:
    """mkfs.ext4 copies change and access times from the tree, where nobody can set the one and reading moves the other."""
    facts = dict(line.split(":", 1) for line in _run(["dumpe2fs", "-h", str(image)]).splitlines() if ":" in line)
    used = int(facts["Inode count"]) - int(facts["Free inodes"])  # a new file system uses its inodes in order
    inodes = (ROOT_INODE, *range(FIRST_INODE, used + 1))
    _run(
        ["debugfs", "-w", "-f", "-", str(image)],
        epoch,
        [f"sif <{n}> {time} @{epoch}" for n in inodes for time in ("ctime", "atime")],
    )


def _run(command: list[str], epoch: int | None = None, script: Sequence[str] = ()) -> str:
    """Run a tool of e2fsprogs, at `epoch` by its clock, with `script` on stdin. Raises OtadError with what it said."""
    clock = {} if epoch is None else {"E2FSPROGS_FAKE_TIME": str(epoch)}
    try:
        done = subprocess.run(
            command,
            input="\n".join(script),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "LC_ALL": "C", **clock},
        )
    except FileNotFoundError as error:
        raise OtadError("tool-missing", f"{command[0]} is not installed", "Install e2fsprogs", who=Who.INTEGRATOR) from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()[-1:] or [""]
        what = f"{command[0]} exited {error.returncode}: {said[0]}"
        raise OtadError("image-failed", what, "Check the tree, and that --size holds it", who=Who.INTEGRATOR) from error
    return done.stdout
