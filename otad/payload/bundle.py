"""Which bundles this device takes: known from their head, before a byte is written. Pure.

Rules (an allow list: what is not known here is refused, because SWUpdate runs as root and writes what it is told to):
 1. One image, by the `raw` handler, streamed, on the target slot and nowhere else.
 2. No scripts, files, partitions or embedded Lua. They are signed, but what they write cannot be told beforehand.
 3. A bootenv section passes: INSTALL compares the environment before and after, and undoes what it finds (TAMPERED).
 4. The signature is SWUpdate's to judge (see `swupdate.py`), the hash of the whole bundle the repository's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from otad.bootenv import Slot
from otad.errors import Rejected, Who
from otad.formats.swu import TARGET, Description, Head, Image, parse

PASSES = frozenset({"bootenv", "uboot"})


@dataclass(frozen=True)
class Hardware:
    """This device, as /etc/hwrevision has it."""

    board: str
    revision: str

    def __str__(self) -> str:
        return f"{self.board}:{self.revision}"


@dataclass(frozen=True)
class Plan:
    """What a bundle will leave in the slot: `length` bytes with this SHA-256 (hex).

    sha256 is None when the image lies compressed in the bundle: its hash then covers the compressed file.
    """

    length: int
    sha256: str | None


def plan(head: Head, hardware: Hardware, slot: Slot, devices: Collection[str], room: int) -> Plan:
    """What the bundle with this head would write. `devices`: names of the target slot; `room`: bytes that its release declared.

    Raises Rejected when this device must not install it.
    """
    description = parse(head.description.decode("utf-8", "replace"), hardware.board, slot)
    _hardware(description, hardware)
    _sections(description)
    image = _image(description)
    _device(image, slot, devices)
    if head.entry != image.filename:
        raise _refused("bundle-order", f"{head.entry!r} follows its signature where {image.filename!r} must", "")
    if image.compressed:
        return Plan(room, None)
    if head.length > room:
        why = f"its image has {head.length} bytes, and the release declares {room}"
        raise _refused("bundle-larger", why, "Publish the release again with the image's size as `disk`")
    return Plan(head.length, image.sha256)


def _hardware(description: Description, hardware: Hardware) -> None:
    if not description.accepts(hardware.revision):
        made_for = (
            f"revision {', '.join(description.revisions)} of {hardware.board}" if description.revisions else "another board"
        )
        why = f"it is made for {made_for}, and this device is {hardware.board} revision {hardware.revision}"
        raise _refused("bundle-hardware", why, "Publish a release for this hardware, or correct /etc/hwrevision")


def _sections(description: Description) -> None:
    for name in description.sections:
        if name not in PASSES:
            why = f"it has a section {name!r}, and what that writes cannot be known before it runs"
            raise _refused("bundle-section", why, "Put its work into the image, or into a service of the new system")


def _image(description: Description) -> Image:
    if len(description.images) != 1:
        raise _refused("bundle-images", f"it has {len(description.images)} images for this slot, and one is taken", "")
    (image,) = description.images
    if image.extra:
        raise _refused("bundle-image", f"its image says {', '.join(image.extra)}, which otad does not know", "")
    if image.type != "raw":
        raise _refused("bundle-handler", f"its image is for the handler {image.type!r}, and only 'raw' is taken", "")
    if not image.direct:
        why = "its image is not installed-directly, so all of it would first be copied into memory"
        raise _refused("bundle-not-streamed", why, "")
    return image


def _device(image: Image, slot: Slot, devices: Collection[str]) -> None:
    if image.device not in (TARGET, *devices):
        why = f"it would write {image.device!r}, and slot {slot.value} is {' or '.join(map(repr, sorted(devices)))}"
        raise _refused("bundle-foreign-device", why, f"Name the device {TARGET!r} in its sw-description, as `otarepo image` does")


def _refused(code: str, why: str, remedy: str) -> Rejected:
    return Rejected(
        code, f"this bundle must not be installed: {why}", remedy or "Build it with `otarepo image`", who=Who.INTEGRATOR
    )
