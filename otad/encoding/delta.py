"""delta: a patch for what this device has of an earlier payload. See `otad/delta/` and docs/delta-format.md.

Rules:
 1. The patch's own hash is checked first, each time it is opened: no library sees a byte that was not signed for.
 2. A patch is refused before it is fetched when its base is not here, or a compressor that it needs does not make here what it
    made where the patch comes from.
 3. What comes out is held against the payload's own hash and length, block by block, before it leaves.
 4. Whatever is wrong is Corrupt, naming what is: the patch, the base, a compressor, the disk. Another encoding will do.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from otad.delta import apply as applying
from otad.delta.codecs import missing
from otad.delta.faults import Changed, Fault, Malformed, NoRoom, Unpackable, Unreadable
from otad.delta.patch import Patch
from otad.delta.places import Readable, opened
from otad.delta.spool import Spool
from otad.encoding import Base, Decoder, Source
from otad.encoding.blob import reading
from otad.errors import Corrupt, Who
from otad.formats.encodings import Encoding

_PIECE = 1 << 20
_CAUSES: dict[type[Fault], tuple[str, str, Who]] = {
    Malformed: ("patch-malformed", "Make the delta again, or publish the release without it", Who.INTEGRATOR),
    Changed: ("base-changed", "Mount the root read-only, always: one mount for writing changes it", Who.OS_BUILDER),
    Unpackable: ("compressor-differs", "Add that compressor to the image, or publish a delta that needs none", Who.INTEGRATOR),
    NoRoom: ("no-room-for-spool", "Free space on the data partition (du -x --max-depth=2)", Who.FIELD),
    Unreadable: ("spool-unreadable", "Check the data partition's medium (`journalctl -k`)", Who.FIELD),
}


class Delta:
    """A patch over a base. Remembers which compressors were proved: a process that sleeps when nothing is due asks again."""

    type = "delta"
    proves = True

    def __init__(self) -> None:
        self._lacking: dict[str, str | None] = {}

    def refuses(self, encoding: Encoding, base: Base | None) -> str | None:
        """See Decoder."""
        if base is None:
            return f"its base, the payload {str(encoding.base)[:12]}, is not what this device has"
        return next(filter(None, map(self._lacks, encoding.needs)), None)

    def check(self, source: Source) -> Iterator[int]:
        """See Decoder. Hashes all that the patch reads of the base."""
        with _opened(source) as (patch, image):
            for why in filter(None, map(self._lacks, patch.header.needs)):
                raise Unpackable(why)
            with _spool(source, patch):
                yield from applying.check(patch, image)

    def stream(self, source: Source) -> Generator[bytes, None, None]:
        """See Decoder."""
        with _opened(source) as (patch, image), _spool(source, patch) as spool:
            yield from applying.apply(patch, image, spool)

    def _lacks(self, need: str) -> str | None:
        if need not in self._lacking:
            self._lacking[need] = missing(need)
        return self._lacking[need]


@contextmanager
def _opened(source: Source) -> Iterator[tuple[Patch, Readable]]:
    """The patch and the image that it is for; what is wrong with them, also later, as Corrupt."""
    try:
        with reading(source.blob), source.blob.open("rb", buffering=0) as blob:
            _hashed(blob, source.blob.name)
            patch = Patch.opened(blob, source.memory)
            if patch.header.target != (source.length, source.sha256):
                raise Malformed(f"it makes the payload {patch.header.target.sha256[:12]}, and {source.sha256[:12]} is wanted")
            with opened(_base(source, patch), patch.header.source.length) as old:
                yield patch, old
    except Fault as fault:
        raise _corrupt(source, fault) from fault


def _hashed(blob: BinaryIO, name: str) -> None:
    digest = hashlib.sha256()
    while piece := blob.read(_PIECE):
        digest.update(piece)
    if digest.hexdigest() != name:
        raise Malformed("its bytes are not those that were signed")


def _base(source: Source, patch: Patch) -> Path:
    wanted, base = patch.header.source.payload, source.base
    if base is None or base.payload != wanted:
        raise Changed(f"it is for the payload {wanted[:12]}, and {base.payload[:12] if base else 'none'} is here")
    return base.path


def _spool(source: Source, patch: Patch) -> Spool:
    return Spool(os.fspath(source.blob.parent), patch.header.limits.spool, source.reserve)


def _corrupt(source: Source, fault: Fault) -> Corrupt:
    code, remedy, who = _CAUSES[type(fault)]
    base, blob = str(source.base.path if source.base else ""), source.blob.name
    what = f"the delta {blob[:12]} over {base} cannot be applied: {fault}"
    remedy = f"Another encoding is taken, if there is one. {remedy}"
    return Corrupt(code, what, remedy, who=who, evidence={"blob": blob, "base": base})


DECODER: Decoder = Delta()
