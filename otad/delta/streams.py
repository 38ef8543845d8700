"""The four streams of a segment: operations, controls, sums and literal bytes, each a Zstandard frame of its own. Pure.

Rules:
 1. A frame tells its content's length, which the index repeats; its window is at most 2^22 bytes. An empty stream has no frame.
 2. A control is (add, copy, seek), as bsdiff's: `add` bytes are sums of the old and diff, `copy` bytes come of extra, then the
    old position moves by `seek`. All three are below 2^31.
 3. Controls travel as 12 planes: byte 0 of every add, byte 1 of every add, ..., byte 3 of every copy, and of every seek, whose
    top bit is its sign. Neighbours are alike there, and both ends turn them around without looking at one.
"""

from __future__ import annotations

from typing import NamedTuple

import zstandard

from otad.delta.faults import Malformed
from otad.delta.ops import Delta, Op, Pack, Unpack, encode

WINDOW = 1 << 22
RECORD = 24  # bytes of a control as bsdiff4.core has it: three numbers of 8 bytes, sign and magnitude
PLANES = 12
_NUMBERS = (0, 8, 16)  # where a record's add, copy and seek are
_SIGN, _REST = bytes(i & 0x80 for i in range(256)), bytes(i & 0x7F for i in range(256))


class Segment(NamedTuple):
    """One segment as the generator makes it. `controls`: bsdiff4.core's records of every DELTA, joined."""

    ops: tuple[Op, ...]
    controls: bytes = b""
    diff: bytes = b""
    extra: bytes = b""


class Stream(NamedTuple):
    """`stored` bytes in the patch that decode to `length`."""

    stored: int
    length: int


class Entry(NamedTuple):
    """One segment as the index tells it. `content`: bytes that its operations make."""

    content: int
    ops: int
    controls: int
    meta: Stream
    control: Stream
    diff: Stream
    extra: Stream

    @property
    def streams(self) -> tuple[Stream, ...]:
        """In the order of their frames."""
        return self.meta, self.control, self.diff, self.extra

    @property
    def memory(self) -> int:
        """Bytes that its decoded streams take: controls are unfolded to records, and those of one DELTA, maybe all, cut out."""
        return self.meta.length + self.control.length * 2 * RECORD // PLANES + self.diff.length + self.extra.length

    @property
    def frame(self) -> int:
        """Bytes of its largest frame, which is held while it is decoded."""
        return max(stream.stored for stream in self.streams)

    @property
    def stored(self) -> int:
        """Bytes that it takes in the patch."""
        return sum(stream.stored for stream in self.streams)


def pack(segment: Segment, level: int = 19) -> tuple[Entry, bytes]:
    """The segment as the index tells it, and its bytes."""
    decoded = (encode(segment.ops), fold(segment.controls), segment.diff, segment.extra)
    frames = [_compressed(data, level) for data in decoded]
    streams = (Stream(len(frame), len(data)) for frame, data in zip(frames, decoded, strict=True))
    content = sum(op.length for op in segment.ops if not isinstance(op, Unpack | Pack))
    entry = Entry(content, len(segment.ops), len(segment.controls) // RECORD, *streams)
    if entry.controls != sum(op.controls for op in segment.ops if isinstance(op, Delta)):
        raise Malformed("a segment's operations and controls do not belong together")
    return entry, b"".join(frames)


def _compressed(data: bytes, level: int) -> bytes:
    if not data:
        return b""
    chosen = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(data))
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=len(data), window_log=min(chosen.window_log, WINDOW.bit_length() - 1), write_content_size=True
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


def inflated(frame: bytes, stream: Stream) -> bytes:
    """A whole stream. Raises Malformed when the frame is not what the index promised, before memory is taken for it."""
    if not stream.length and not frame:
        return b""
    try:
        told = zstandard.get_frame_parameters(frame)
        if told.content_size != stream.length or told.window_size > WINDOW:  # one call decodes any window, and says nothing
            raise Malformed(f"a frame tells another length than the index, or a window of more than {WINDOW} bytes")
        return zstandard.ZstdDecompressor(max_window_size=WINDOW).decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Malformed(f"a frame cannot be decoded: {error}") from error


def fold(records: bytes) -> bytes:
    """Planes of bsdiff4.core's records: rule 3. Raises Malformed for a number that does not fit."""
    planes = []
    for at in _NUMBERS:
        low = [records[at + byte :: RECORD] for byte in range(8)]
        if any(map(any, low[4:7])) or any(low[3].translate(_SIGN)) or any(low[7].translate(_REST)):
            raise Malformed("a control has a number of 2^31 or more")
        sign = low[7] if at == _NUMBERS[2] else bytes(len(low[7]))
        if at != _NUMBERS[2] and any(low[7]):
            raise Malformed("a control adds or copies less than nothing")
        planes += [*low[:3], bytes(map(int.__or__, low[3], sign))]
    return b"".join(planes)


def unfold(planes: bytes) -> bytearray:
    """The records again. One plane at a time is copied."""
    every = len(planes) // PLANES
    records = bytearray(RECORD * every)
    for number, at in enumerate(_NUMBERS):
        for byte in range(4):
            start = every * (4 * number + byte)
            records[at + byte :: RECORD] = planes[start : start + every]
    signed = planes[every * (PLANES - 1) :]
    records[_NUMBERS[2] + 3 :: RECORD] = signed.translate(_REST)
    records[_NUMBERS[2] + 7 :: RECORD] = signed.translate(_SIGN)
    return records
