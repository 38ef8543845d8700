"""The last word on a delta has the decoder of the devices: what it makes must be the new payload.

Rules:
 1. Nothing is published that was not decoded here, in the memory that devices allow, from the same old image.
"""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from otad.delta.apply import apply, check
from otad.delta.faults import Fault, Malformed
from otad.delta.format import MEMORY, Header
from otad.delta.patch import Patch
from otad.delta.spool import Spool
from otad.errors import Corrupt
from otad.publisher.delta.make import Payload
from otad.publisher.delta.stretch import Reading
from otad.publisher.encode import Progress, quiet


class _Image:
    """The old image as the decoder reads it."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def read(self, at: int, count: int) -> bytes:
        found = self._reading[at : at + count]
        if len(found) != count:
            raise Malformed(f"it reads {count} bytes at {at}, behind the image")
        return found


def proved(old: Payload, new: Payload, delta: Path, scratch: Path, progress: Progress = quiet) -> Header:
    """Decode `delta`; its header. Raises Corrupt("delta-wrong") when it does not make `new`."""
    try:
        with delta.open("rb") as file, old.image.reading() as reading:
            patch, image = Patch.opened(file, MEMORY), _Image(reading)
            reads = sum(length for _, length in patch.contents.ranges)
            for done in check(patch, image):
                progress("checking what it reads", done, reads)
            with Spool(str(scratch), patch.header.limits.spool) as spool:
                for done in accumulate(map(len, apply(patch, image, spool))):
                    progress("decoding it as a device does", done, new.whole.length)
    except Fault as error:
        raise _wrong(delta, str(error)) from error
    if patch.header.target.sha256 != new.sha256:  # which is what the decoder held its output against
        raise _wrong(delta, f"it makes bytes with the SHA-256 {patch.header.target.sha256}")
    return patch.header


def _wrong(delta: Path, why: str) -> Corrupt:
    return Corrupt(
        "delta-wrong",
        f"the delta that was made does not decode to the new payload: {why}",
        "Nothing was published. Check this machine's memory and disk, then run it again; the same again is a fault of otarepo",
        evidence={"delta": str(delta)},
    )
