from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
import zstandard

from otad.encoding import Source, decoders

IMAGE = random.Random(3).randbytes(700_000) + bytes(5_000_000) + random.Random(4).randbytes(300_001)


def compress(data: bytes, *, window_log: int = 21, checksum: bool = True) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(compression_level=3, window_log=window_log, write_checksum=checksum)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()  # a stream: no size, a window
    return compressor.compress(data) + compressor.flush()


def put(folder: Path, data: bytes) -> Path:
    """A blob, named by its SHA-256 as in the cache."""
    blob = folder / hashlib.sha256(data).hexdigest()
    blob.write_bytes(data)
    return blob


def source(blob: Path, kind: str, payload: bytes = IMAGE) -> Source:
    return Source(blob, decoders()[kind], hashlib.sha256(payload).hexdigest(), len(payload))


@pytest.fixture(scope="session")
def compressed() -> bytes:
    return compress(IMAGE)
