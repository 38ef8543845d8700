"""Which delta is worth publishing: one that saves at least a tenth of the best encoding that needs no base."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

import pytest

from otad.delta.format import Header, Limits, New, Old
from otad.delta.streams import Stream
from otad.formats.encodings import Encodings
from otad.publisher import bundle, release
from otad.publisher.delta import release as deltas
from otad.publisher.delta.ledger import Ledger
from otad.publisher.roles import RELEASES
from otad.publisher.workspace import Workspace
from tests.publisher.delta import trees
from tests.support.published import BOARD, FAST, NOW

HEADER = Header(Old("0" * 64, 1, "0" * 64), New(1, "0" * 64), 1 << 16, Limits(0, 0, 0, 0, 0, 0), Stream(1, 1))


def released(ws: Workspace, version: str, image: bytes) -> None:
    file, swu = ws.path.parent / f"{version}.img", ws.path.parent / f"{version}.swu"
    file.write_bytes(image)
    bundle.pack(file, swu, bundle.System(version, [BOARD]), ws.signer)
    release.add(ws, release.NewRelease(version, [BOARD], swu), FAST, now=NOW)


def listed(ws: Workspace) -> list[tuple[str, int]]:
    """Type and length of the encodings of 1.1.0 that are staged."""
    target = ws.roles.targets(RELEASES).targets[release.path_of(ws.product, "1.1.0", "encodings")]
    (ways,) = Encodings.decode(ws.read(target), target.path).of.values()
    return [(way.type, way.length) for way in ways]


@pytest.fixture
def full(ws: Workspace) -> int:
    """Bytes of the best full encoding of 1.1.0."""
    released(ws, "1.0.0", trees.noise(1, 20_000))
    released(ws, "1.1.0", trees.noise(2, 20_000))
    ((kind, length),) = listed(ws)
    assert kind == "zstd"
    return length


def offered(ws: Workspace, length: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Make a delta of so many bytes. Whether it was taken, which all that is staged must say."""

    def make(_old: object, _new: object, out: BinaryIO, *_: object, **__: object) -> Ledger:
        out.write(bytes(length))
        return Ledger(())

    monkeypatch.setattr(deltas, "make", make)
    monkeypatch.setattr(deltas, "proved", lambda *_, **__: HEADER)
    outcome = deltas.add(ws, "1.0.0", "1.1.0", now=NOW)
    assert outcome is not None
    assert outcome.length == length
    assert outcome.listed is (("delta", length) in listed(ws))
    blob = ws.blobs / hashlib.sha256(bytes(length)).hexdigest()
    assert blob.exists() is outcome.listed
    return outcome.listed


@pytest.mark.parametrize(("percent", "worth"), [(1, True), (89, True), (90, True), (91, False), (100, False), (200, False)])
def test_it_saves_a_tenth(ws: Workspace, full: int, percent: int, worth: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(ws, full * percent // 100, monkeypatch) is worth


def test_not_a_byte_more(ws: Workspace, full: int, monkeypatch: pytest.MonkeyPatch) -> None:
    most = full - full // 10
    assert offered(ws, most + 1, monkeypatch) is False
    assert offered(ws, most, monkeypatch) is True
