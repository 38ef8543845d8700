"""Every decoder of the folder keeps what `Decoder` promises; each is given the same payload, over the same base."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from otad.encoding import Base, Source, decoders
from otad.errors import Corrupt
from otad.formats.encodings import Encoding
from tests.delta.making import PAYLOAD, blob
from tests.fuzz import delta

PIECE = 1 << 20
ENCODE: dict[str, Callable[[], bytes]] = {
    "plain": lambda: delta.NEW,
    "zstd": lambda: zstandard.compress(delta.NEW),
    "delta": lambda: delta.patches()[0],
}
"""How to encode: a new decoder brings its own line."""


@pytest.fixture(params=sorted(decoders()))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    kind: str = request.param
    (tmp_path / "base").write_bytes(delta.OLD)
    made = blob(tmp_path, ENCODE[kind]())
    identity = hashlib.sha256(delta.NEW).hexdigest()
    return Source(made, decoders()[kind], identity, len(delta.NEW), Base(PAYLOAD, tmp_path / "base"), 1 << 26)


def encoding(source: Source) -> Encoding:
    return Encoding(type=source.decoder.type, blob=source.blob.name, length=source.blob.stat().st_size, base=PAYLOAD)


def test_it_takes_what_it_can_decode(source: Source) -> None:
    assert source.decoder.refuses(encoding(source), source.base) is None
    for _ in source.check():
        pass
    pieces = list(source.stream())
    assert b"".join(pieces) == delta.NEW
    assert all(0 < len(piece) <= PIECE for piece in pieces)


@pytest.mark.parametrize("wanted", [{"sha256": "0" * 64}, {"length": len(delta.NEW) - 1}, {"length": len(delta.NEW) + 1}])
def test_one_that_proves_gives_nothing_but_the_payload(source: Source, wanted: dict[str, Any]) -> None:
    """Nobody hashes it again. Of the others it is nothing to them what must come out."""
    stream = replace(source, **wanted).stream()
    if not source.decoder.proves:
        assert b"".join(stream) == delta.NEW
        return
    with pytest.raises(Corrupt):
        next(stream)


def test_it_decodes_twice_at_once_and_can_be_left(source: Source) -> None:
    left = source.stream()
    first = next(left)
    assert b"".join(source.stream()).startswith(first)
    left.close()


def test_it_refuses_what_it_does_not_know(source: Source) -> None:
    assert source.decoder.refuses(encoding(source).model_copy(update={"needs": ("a-tool",)}), source.base)


def test_a_blob_that_cannot_be_read_is_corrupt(source: Source, tmp_path: Path) -> None:
    with pytest.raises(Corrupt):
        list(replace(source, blob=tmp_path / "gone").stream())
