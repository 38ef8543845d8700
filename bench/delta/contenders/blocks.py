"""A RAUC-like block index: the hash of each 4 KiB block, and the blocks that the old image has not, as one zstd -19 stream.

RAUC keeps the blocks in a squashfs, in pieces that can be read alone and are larger together: this is its better half. Its index
travels as it is; so does this one.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import zstandard

from bench.delta.contenders import Contender

BLOCK = 4096
HASH = 32
_RUN = f'"$python" -m {__name__}'

CONTENDERS = (
    Contender(
        "blocks",
        "index of 4 KiB blocks, zstd -19",
        f'{_RUN} make "$old" patch "$new"',
        f'{_RUN} apply "$old" patch',
        checks_old=True,
        made_of=(Path(__file__),),
        libraries=("zstandard",),
    ),
)


def make(old: Path, patch: Path, new: Path) -> None:
    """Bytes of the index, the index, the blocks."""
    known = {digest for digest, _ in _hashed(old)}
    index = bytearray()
    blocks = patch.with_suffix(".blocks")
    with blocks.open("wb") as file, zstandard.ZstdCompressor(19).stream_writer(file) as sent:
        for digest, block in _hashed(new):
            index += digest
            if digest not in known:
                sent.write(block)
    with patch.open("wb") as out, blocks.open("rb") as compressed:
        out.write(len(index).to_bytes(8, "big") + index)
        shutil.copyfileobj(compressed, out)


def apply(old: Path, patch: Path) -> None:
    """The new image to stdout."""
    places = {digest: at for at, (digest, _) in enumerate(_hashed(old))}
    with patch.open("rb") as file, old.open("rb") as source:
        index = file.read(int.from_bytes(file.read(8), "big"))
        sent = zstandard.ZstdDecompressor().stream_reader(file)
        for at in range(0, len(index), HASH):
            place = places.get(index[at : at + HASH])
            if place is not None:
                source.seek(place * BLOCK)
            sys.stdout.buffer.write(sent.read(BLOCK) if place is None else source.read(BLOCK))


def _hashed(image: Path) -> Iterator[tuple[bytes, bytes]]:
    with image.open("rb") as file:
        while block := file.read(BLOCK):
            yield sha256(block).digest(), block


if __name__ == "__main__":
    verb, *given = sys.argv[1:]
    if verb == "make":
        make(Path(given[0]), Path(given[1]), Path(given[2]))
    else:
        apply(Path(given[0]), Path(given[1]))
