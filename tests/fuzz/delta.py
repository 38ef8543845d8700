"""Patches for the fuzzer, and what must hold for any that is applied."""

from __future__ import annotations

import tempfile
from pathlib import Path

from otad.delta.apply import OUT, apply, check
from otad.delta.codecs import compressor, with_proof
from otad.delta.ops import Extent, Pack, Unpack
from otad.delta.patch import Patch
from otad.delta.places import Image
from otad.delta.spool import Spool
from tests.delta.making import Maker, patch

NAME = "libzstd --single-thread -1"
TEXT = b"".join(b"%06x some text\n" % (i * 40503 % (1 << 24)) for i in range(4000))
CHANGED = TEXT[:9000] + b"something else" + TEXT[9100:]


def _packed(data: bytes) -> bytes:
    packer = compressor(NAME).begin(len(data))
    return packer.write(data) + b"".join(packer.finish())


OLD = bytes(range(256)) * 300 + _packed(TEXT)
NEW = b"head" + OLD[:70_000] + bytes(5000) + CHANGED + _packed(CHANGED)


def patches() -> tuple[bytes, ...]:
    """One with every operation, in two segments; and one without any."""
    whole = [Extent(0, len(TEXT))]
    first = Maker(OLD).raw(b"head").copy(0, 70_000).zero(5000).op(Unpack(len(TEXT), 0, (Extent(76_800, len(OLD) - 76_800),)))
    first.delta(TEXT, whole, CHANGED, spool=True)
    second = Maker(OLD).op(Pack(len(CHANGED), 0)).delta(TEXT, whole, CHANGED, spool=True)
    every = patch(OLD, NEW, [first.segment(), second.segment()], pack_=[with_proof(NAME)], unpack=["zstd"])
    return every, patch(OLD, OLD[:1], [Maker(OLD).raw(OLD[:1]).segment()])


def applied(data: bytes) -> None:
    """Raises a Fault. Whatever leaves is the target's, and no more than that, in the memory that a device allows."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "old").write_bytes(OLD)
        Path(folder, "patch").write_bytes(data)
        with Path(folder, "patch").open("rb") as file, Path(folder, "old").open("rb") as old:
            opened = Patch.opened(file, 1 << 26)
            image = Image(old, opened.header.source.length)
            for _ in check(opened, image):
                pass
            came = b""
            with Spool(folder, opened.header.limits.spool) as spool:
                for piece in apply(opened, image, spool):
                    assert len(piece) <= OUT
                    came += piece
                    assert NEW.startswith(came) or OLD.startswith(came)
