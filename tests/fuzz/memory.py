"""Patches that ask for more than they declare: made by dice from whole frames, so that they get past the first check.

Run as a program, it applies the patches of a folder, one after the other, and prints a line for each:
`declared took name: how it ended`, in bytes; declared is 0 when a device would not go on with its header.
"""

from __future__ import annotations

import ctypes
import hashlib
import lzma
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import zstandard

from otad.delta import ops, streams
from otad.delta.apply import apply, check
from otad.delta.faults import Fault
from otad.delta.format import Header, Limits, New, Old, header_length, pack_header, unpack_header
from otad.delta.index import Contents, pack_index
from otad.delta.ops import Copy, Delta, Extent, Op, Pack, Raw, Unpack, Zero
from otad.delta.patch import Patch
from otad.delta.places import Image
from otad.delta.spool import Spool
from otad.delta.streams import Entry, Stream
from tests.delta.making import PAYLOAD, growing, hashes
from tests.fuzz.mutate import mutant

MIB = 1 << 20
ALLOWED = 64 * MIB
PACK = ("libzstd --single-thread -1", "libzstd --single-thread -19", "xz --check=none --lzma2=preset=0,dict=8192KiB")
UNPACK = ("zstd", "xz")


def _frame(length: int, window_log: int) -> bytes:
    """Zeros."""
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=window_log, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return stream.compress(bytes(length)) + stream.flush()


def _bombs() -> tuple[bytes, ...]:
    """Zeros that a decompressor holds whole, unless it is told not to; and such that are allowed."""
    large = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 64 * MIB}]
    return (
        _frame(48 * MIB, 26),
        lzma.compress(bytes(48 * MIB), check=lzma.CHECK_NONE, filters=large),
        _frame(16 * MIB, 23),
        lzma.compress(bytes(16 * MIB), check=lzma.CHECK_NONE, preset=6),
    )


BOMBS = _bombs()
OLD = bytes(MIB) + b"".join(BOMBS)
"""Zeros, mostly: what operations make of it is zeros too, so the hashes of a target of any length are right."""


def _delta(dice: random.Random) -> tuple[Op, bytes, bytes, bytes]:
    """A window of up to 60 MiB out of an image of one, or an output that is as large; what it adds and copies."""
    length = dice.choice((1, 1000, MIB, 4 * MIB, 30 * MIB))
    added = dice.choice((0, length // 2, length))
    record = b"".join(number.to_bytes(8, "little") for number in (added, length - added, 0))
    extents = (Extent(0, MIB),) * dice.choice((1, 2, 10, 40, 60))
    return Delta(length, 1, extents), record, bytes(added), bytes(length - added)


def _unpack(dice: random.Random) -> Op:
    which = dice.randrange(len(BOMBS))
    at = MIB + sum(map(len, BOMBS[:which]))
    length = dice.choice((1, 16 * MIB, 48 * MIB))
    return Unpack(length, which % 2, (Extent(at, len(BOMBS[which])),))


def _segment(dice: random.Random) -> tuple[list[Op], bytes, bytes, bytes]:
    made, controls, diff, extra = list[Op](), b"", b"", b""
    for _ in range(dice.randint(1, 4)):
        kind = dice.randrange(9)
        if kind in (0, 1, 8):
            op, record, added, copied = _delta(dice)
            made, controls, diff, extra = [*made, op], controls + record, diff + added, extra + copied
        elif kind in (2, 3):
            made.append(_unpack(dice))
        elif kind in (4, 7):
            length = dice.choice((1, 1000, 16 * MIB, 40 * MIB))
            made, extra = [*made, Raw(length)], extra + bytes(length)
        elif kind == 5:
            length = dice.choice((MIB, 8 * MIB, 20 * MIB))
            made += [Pack(length, dice.randrange(len(PACK))), Zero(length)]
        else:
            made.append(dice.choice((Zero(8 * MIB), Zero(1 << 40), Copy(MIB, 0), Copy(MIB, 0, spool=True), Copy(1 << 40, 0))))
    return made, controls, diff, extra


def _stored(data: bytes, dice: random.Random) -> bytes:
    """One frame; now and then with a window that is not allowed."""
    if not data:
        return b""
    log = dice.choice((21, 22, 22, 22, 22, 26))
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=log, write_content_size=True)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


def _entry(dice: random.Random) -> tuple[Entry, bytes]:
    made, controls, diff, extra = _segment(dice)
    decoded = [ops.encode(made), streams.fold(controls), diff, extra]
    if not dice.randrange(6):
        decoded[0] = mutant(decoded[0], dice) or b"\0"
    frames = [_stored(data, dice) for data in decoded]
    told = [Stream(len(frame), len(data)) for frame, data in zip(frames, decoded, strict=True)]
    if not dice.randrange(4):  # a frame that has more than the index says
        which = dice.randrange(4)
        told[which] = Stream(told[which].stored, min(told[which].length, 24))
    content = sum(op.length for op in made if not isinstance(op, Unpack | Pack))
    return Entry(content, len(made), len(controls) // streams.RECORD, *told), b"".join(frames)


def _limits(dice: random.Random, entries: list[Entry]) -> Limits:
    """What is used of each, or not enough."""
    segment, frame = (max(getattr(entry, name) for entry in entries) for name in ("memory", "frame"))
    return Limits(
        segment=dice.choice((segment, segment, segment, 1000)),
        frame=dice.choice((frame, frame, frame, 100)),
        window=dice.choice((0, 0, 2 * MIB, 10 * MIB)),
        output=dice.choice((0, 0, MIB, 4 * MIB)),
        codecs=dice.choice((0, 0, 10 * MIB, 10 * MIB, 24 * MIB)),
        spool=dice.choice((0, 48 * MIB, 48 * MIB)),
    )


def made(dice: random.Random) -> bytes:
    """One patch. Nobody was asked whether a device would take it."""
    parts = [_entry(dice) for _ in range(dice.randint(1, 2))]
    entries = [entry for entry, _ in parts]
    length = min(64 * MIB, sum(entry.content for entry in entries))
    block = 1 << dice.choice((16, 20))
    target = growing(bytes(length), block) if length <= MIB else _grown(length, block)
    contents = Contents((Extent(0, len(OLD)),), hashes(OLD, block), target, tuple(entries))
    index = pack_index(contents)
    stored = _stored(index, dice)
    source = Old(PAYLOAD, len(OLD), hashlib.sha256(OLD).hexdigest())
    header = Header(
        source,
        New(length or 1, (target or (bytes(32),))[-1].hex()),
        block,
        _limits(dice, entries),
        Stream(len(stored), len(index)),
        PACK,
        UNPACK,
    )
    head = pack_header(header)
    if not dice.randrange(8):
        head = mutant(head, dice)
    return head + stored + b"".join(frames for _, frames in parts)


def _grown(length: int, block: int) -> tuple[bytes, ...]:
    """`growing` of zeros, in one go."""
    digest, found = hashlib.sha256(), []
    for at in range(0, length, block):
        digest.update(bytes(min(block, length - at)))
        found.append(digest.copy().digest())
    return tuple(found)


# -- the program --------------------------------------------------------------------------------------------------------------


def _held(what: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(what + ":")[2].split()[0]) << 10


def _applied(file: Path, old: Path) -> str:
    """How it ended."""
    try:
        with file.open("rb") as data, old.open("rb") as image_:
            patch = Patch.opened(data, ALLOWED)
            image = Image(image_, patch.header.source.length)
            for _ in check(patch, image):
                pass
            with Spool(str(file.parent), patch.header.limits.spool) as spool:
                for _ in apply(patch, image, spool):
                    pass
    except Fault as fault:
        return f"{type(fault).__name__}: {fault}"
    return "applied"


def _declared(file: Path) -> int:
    """What its header tells; 0 when there is none that a device would go on with."""
    data = file.read_bytes()[: 1 << 17]
    try:
        header = unpack_header(data[13 : 13 + header_length(data[:13])])
    except Fault:
        return 0
    return header.memory if header.memory <= ALLOWED else 0


def measured(folder: Path) -> Iterator[str]:
    """Each patch of the folder."""
    libc = ctypes.CDLL(None)
    for file in sorted(folder.glob("*.delta")):
        declared = _declared(file)
        libc.malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: proc(5)
        before = _held("VmRSS")
        ended = _applied(file, folder / "old")
        yield f"{declared} {_held('VmHWM') - before} {file.name}: {ended}"


if __name__ == "__main__":
    for line in measured(Path(sys.argv[1])):
        sys.stdout.write(line + "\n")
