"""A release's system bundle: packed and signed here, and looked into before a release names it.

Rules:
 1. A bundle is complete before it has its name; the same image, version and RSA key give the same bytes.
 2. What a release says of a bundle is read from the bundle: its raw size, and that every named board would take it in both slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from otad.bootenv import Slot
from otad.errors import Rejected, Who
from otad.formats import swu
from otad.publisher import drafts
from otad.publisher.cms import BundleSigner
from otad.publisher.encode import Progress, fingerprint, quiet

IMAGE = "rootfs.img"


@dataclass(frozen=True)
class System:
    """What an image is: its version, and the boards ("jetson-nano 1.0") that take it.

    `devices` is what each slot is called in the bundle. The default, `target`, is whatever otad lets SWUpdate write; absolute
    names (/dev/mmcblk0p2) are for devices on which SWUpdate runs by itself.
    """

    version: str
    hardware: Sequence[str]
    devices: Mapping[Slot, str] = field(default_factory=lambda: dict.fromkeys(Slot, swu.TARGET))


def pack(image: Path, out: Path, system: System, signer: BundleSigner, progress: Progress = quiet) -> None:
    """Write the signed bundle of `image`, for both slots, to `out`."""
    sha256, length = fingerprint(image, progress)
    description = swu.describe(system.version, system.hardware, IMAGE, sha256, system.devices)
    with drafts.draft(out.parent) as new, image.open("rb") as data:
        swu.pack(description, signer.sign(description), [(IMAGE, data, length)], new.file)
        new.keep(out)


def check(bundle: Path, hardware: Sequence[str]) -> int:
    """Bytes of the raw image in `bundle`. Raises Rejected when one of `hardware` would not take it, for either slot."""
    with bundle.open("rb") as file:
        head = swu.head(iter(lambda: file.read(1 << 16), b""))
    for entry in hardware:
        board, _, revision = entry.partition(" ")
        for slot in Slot:
            found = swu.parse(head.description.decode(), board, slot)
            if not found.accepts(revision):
                what = f"{bundle} does not take the hardware {entry!r} (it takes {', '.join(found.revisions)} of {board})"
                raise Rejected("bundle-hardware", what, "Pack it with that --hardware, or leave it out", who=Who.INTEGRATOR)
            if [(image.filename, image.compressed) for image in found.images] != [(head.entry, None)]:
                what = f"{bundle} has to hold exactly one raw, uncompressed image for each slot"
                raise Rejected("bundle-image", what, "Pack it with `otarepo image`: encodings compress it", who=Who.INTEGRATOR)
    return head.length
