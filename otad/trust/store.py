"""What is trusted, on the data partition: `/data/otad/trust/`.

    roots/<version>.root.json                  every root that was accepted, and a copy of the image's anchor
    timestamp.json  snapshot.json  targets.json  releases.json  rollouts.json
    floor                                      see `clock.Floor`; no .json: those are roles
    documents/<sha256>                         target files, by what they are

Rules:
 1. A file is whole or absent: written beside, fsynced, renamed, folder fsynced. A cut leaves the old bytes or the new ones.
 2. Roots are kept as they are accepted. The other roles are kept together, timestamp.json after what it leads to: a cut in
    between leaves a set that does not fit together, which the next refresh completes; it never passes for a whole one.
 3. What stands here is verified again each time it is read, from the anchor on; what fails is fetched again, and a root, a
    document or a floor that fails is set aside (`<name>.aside`, one per name). Damage costs a download, never a visit.
 4. Everything is bounded: one file a role, DOCUMENTS documents, each capped. Of roots there are as many as the offline keys
    signed: all of them are the way from an image's anchor to the newest one, and one a year is many.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from otad import durable
from otad.errors import RetryLater, Who
from otad.trust.clock import Floor

DOCUMENTS = 64
LIMIT = 2 * 2**20  # bytes of any one file: 300 releases with grants are 81 kB

_log = logging.getLogger(__name__)


class Store:
    """The files, as bytes. What they are worth is judged by those who read them.

    folder  made when first written to
    anchor  the image's root.json, read only
    """

    def __init__(self, folder: Path, anchor: Path) -> None:
        self._folder = folder
        self._anchor = anchor

    def anchor(self) -> bytes | None:
        """The image's root; None when there is none that can be read."""
        return _read(self._anchor)

    def roots(self) -> list[int]:
        """Versions of the stored roots, ascending."""
        names = (path.name.partition(".") for path in (self._folder / "roots").glob("*.root.json"))
        return sorted(int(version) for version, _, _ in names if version.isdecimal())

    def root(self, version: int) -> bytes | None:
        """A stored root; None when there is none that can be read."""
        return _read(self._folder / _root(version))

    def role(self, name: str) -> bytes | None:
        """The stored metadata of a role other than root; None when there is none that can be read."""
        return _read(self._folder / role_file(name))

    def floor(self) -> Floor | None:
        """The stored floor; a damaged one is set aside: timestamp.json says nearly the same."""
        data = _read(self._folder / "floor")
        if data is None:
            return None
        try:
            return Floor.model_validate_json(data)
        except ValidationError as error:
            self._set_aside("floor", str(error))
            return None

    def document(self, sha256: str) -> bytes | None:
        """The target file with this hash; None when it is not here or not whole."""
        data = _read(self._folder / "documents" / sha256)
        if data is None or hashlib.sha256(data).hexdigest() == sha256:
            return data
        self._set_aside(f"documents/{sha256}", "its bytes have another SHA-256")
        return None

    def keep_root(self, version: int, data: bytes) -> None:
        """Keep an accepted root. Raises RetryLater("data-unwritable") as every `keep_` does."""
        self._write(_root(version), data)

    def keep_document(self, sha256: str, data: bytes) -> None:
        """Keep a target file whose hash was checked; the ones longest unchanged make room."""
        self._write(f"documents/{sha256}", data)
        others = [path for path in (self._folder / "documents").iterdir() if path.name != sha256]
        for path in sorted(others, key=lambda path: path.stat().st_mtime)[: -(DOCUMENTS - 1)]:
            _remove(path)

    def keep_roles(self, roles: Mapping[str, bytes], floor: Floor) -> None:
        """Keep what a whole refresh accepted: `roles` in the order in which they lead to each other, so last first."""
        for name in reversed(list(roles)):
            self.keep_role(name, roles[name])
        self.keep_floor(floor)

    def keep_role(self, name: str, data: bytes) -> None:
        """Keep the metadata of one role."""
        self._write(role_file(name), data)

    def keep_floor(self, floor: Floor) -> None:
        """Keep the floor, if it has moved."""
        if self.floor() != floor:
            self._write("floor", floor.model_dump_json().encode())

    def forget_online(self) -> None:
        """Root rotated the online keys: what they signed does not bind any more (TUF 5.3.11).

        floor goes last: it holds the keys that tell that this is to be done.
        """
        for name in ("timestamp.json", "snapshot.json", "floor"):
            _remove(self._folder / name)

    def set_aside_root(self, version: int, why: str) -> None:
        """A stored root that does not hold."""
        self._set_aside(_root(version), why)

    def _set_aside(self, name: str, why: str) -> None:
        path = self._folder / name
        try:
            path.replace(path.with_name(f"{path.name}.aside"))
        except OSError as error:  # read only, most likely: it is not used either way
            why = f"{why} (it stays where it is: {error.strerror})"
        _log.warning("%s is set aside and will be fetched again: %s", path, why)

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        try:
            self._folder.mkdir(exist_ok=True)  # no parents: without its partition, /data is the root file system
            path.parent.mkdir(exist_ok=True)
            durable.write(path, data)
        except OSError as error:
            raise _unwritable(path, error) from error


def role_file(name: str) -> str:
    """The file of a role, here and in a URL: a delegated role's name may be any text, also a path."""
    return f"{quote(name, safe='')}.json"


def _root(version: int) -> str:
    return f"roots/{version}.root.json"


def _read(path: Path) -> bytes | None:
    """A file's bytes; None when it is absent, unreadable (said in the log) or larger than anything that was ever kept."""
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s cannot be read and is taken as absent: %s", path, error.strerror)
        return None
    if len(data) > LIMIT:
        _log.warning("%s is larger than %d bytes and is taken as absent", path, LIMIT)
        return None
    return data


def _remove(path: Path) -> None:
    """Remove a file for good, if it is there."""
    try:
        durable.remove(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> RetryLater:
    return RetryLater(
        "data-unwritable",
        f"cannot keep trusted metadata in {path}: {error.strerror}",
        f"Make {path.parent} writable, with a few megabytes free (df, mount)",
        who=Who.FIELD,
        evidence={"errno": str(error.errno)},
    )
