"""One mechanism for every kind of payload: a model's file is encoded, chosen, decoded and proved as a system image is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from otad.encoding import Base, Means, Source, choose, decoders
from otad.errors import Corrupt
from otad.formats.encodings import Encoding, Encodings
from otad.formats.release import Payload, PayloadKind
from otad.publisher.delta.make import Payload as Side
from otad.publisher.delta.proof import proved
from otad.publisher.encode import Coding, encode, fingerprint
from tests.publisher.delta import trees
from tests.publisher.delta.test_delta_make import made

LAYER, LAYERS = 32_768, 24
TRAINED = (3, 17)
"""The layers that the new version trained again, a little; the name of its last one is longer, and moves all that follows."""


def model(*, version: int) -> bytes:
    """As the safetensors format has it: bytes of the header, the header, the tensors."""
    names = [f"layer.{i}.weight" for i in range(LAYERS)]
    tensors = [trees.noise(i, LAYER) for i in range(LAYERS)]
    if version > 1:
        names[-1] = "head.weight.of.version.2"
        for i in TRAINED:
            tensors[i] = bytes(byte + 1 & 0xFF if at % 64 == 0 else byte for at, byte in enumerate(tensors[i]))
    ends = [LAYER * i for i in range(LAYERS + 1)]
    places = {name: {"dtype": "F16", "data_offsets": ends[i : i + 2]} for i, name in enumerate(names)}
    header = json.dumps(places).encode()
    return len(header).to_bytes(8, "little") + header + b"".join(tensors)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Payload, Encodings]:
    """A folder with the old model and the blobs of the new one, the payload of a release, and how it travels."""
    folder = tmp_path_factory.mktemp("model")
    old, new = folder / "old", folder / "new"
    old.write_bytes(model(version=1))
    new.write_bytes(model(version=2))
    sha256, length = fingerprint(new)
    payload = Payload(kind=PayloadKind.MODEL, name="detector", sha256=sha256, length=length, disk=length)
    delta, _ = made(old, new, folder)
    header = proved(Side.of(old), Side.of(new), delta, folder)
    blob, size = fingerprint(delta)
    delta.rename(folder / blob)
    way = Encoding(type="delta", blob=blob, length=size, base=fingerprint(old)[0], memory=header.memory, needs=header.needs)
    ways = (way, *encode(new, sha256, folder, Coding(plain=True)))
    return folder, payload, Encodings.decode(Encodings(release="0" * 64, of={sha256: ways}).encode(), "a test")


def means(*bases: Path) -> Means:
    found = [Base(fingerprint(path)[0], path) for path in bases]
    return Means(decoders(), {base.payload: base for base in found}, memory=1 << 26)


def source(folder: Path, payload: Payload, encoding: Encoding, have: Means) -> Source:
    decoder, base = have.decoders[encoding.type], have.bases.get(encoding.base or "")
    return Source(folder / encoding.blob, decoder, payload.sha256, payload.length, base, have.memory)


def test_every_encoding_of_a_model_gives_the_same(published: tuple[Path, Payload, Encodings]) -> None:
    folder, payload, encodings = published
    have = means(folder / "old")
    usable = choose(encodings.of[payload.sha256], have).usable
    assert [encoding.type for encoding in usable] == ["delta", "plain"]
    assert usable[0].length < payload.length / 50
    for encoding in usable:
        given = source(folder, payload, encoding, have)
        assert sum(1 for _ in given.check()) == (encoding.type == "delta")
        digest = hashlib.sha256()
        for piece in given.stream():
            digest.update(piece)
        assert digest.hexdigest() == payload.sha256


def test_a_device_without_that_model_or_with_a_changed_one_takes_it_whole(
    published: tuple[Path, Payload, Encodings], tmp_path: Path
) -> None:
    folder, payload, encodings = published
    choice = choose(encodings.of[payload.sha256], means())
    assert [encoding.type for encoding in choice.usable] == ["plain"]
    assert "is not what this device has" in choice.reasons()
    have = means(folder / "old")
    delta = source(folder, payload, choose(encodings.of[payload.sha256], have).usable[0], have)
    (tmp_path / "rotten").write_bytes(b"?" * payload.length)
    assert delta.base
    with pytest.raises(Corrupt, match="is not what the patch was made from"):
        list(replace(delta, base=replace(delta.base, path=tmp_path / "rotten")).check())
