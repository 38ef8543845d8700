"""The order in which files become public: python-tuf's client is served after every single one, whatever changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.exceptions import UnsignedMetadataError

from otad.formats.campaign import Rollouts
from otad.publisher import rotation, sequence
from otad.publisher.keys import KeyType
from otad.publisher.publish import publish
from otad.publisher.workspace import Ceremony, Workspace
from tests.support.published import NOW, Reader, rolled_out


def campaigns(reader: Reader) -> list[str]:
    return [one.id for one in Rollouts.decode(reader.read("rollouts/stable.json"), "stable").campaigns]


def one_by_one(ws: Workspace, out: Path, old: Path) -> Iterator[Path]:
    """What is published to `out` appears in `old`, a copy of it as it was, file by file."""
    files = [file for file in sequence.in_order(ws, old) if not sequence.is_there(file, ws, old)]
    assert all((out / file.relative_to(ws.path)).exists() for file in files)
    for file in files:
        sequence.place(file, ws, old)
        yield file


@pytest.fixture
def old(published: Path, tmp_path: Path) -> Path:
    shutil.copytree(published, tmp_path / "old")
    return tmp_path / "old"


def test_a_reader_is_served_after_every_single_file(ws: Workspace, published: Path, old: Path, tmp_path: Path) -> None:
    anchor = shutil.copyfile(ws.anchor, tmp_path / "anchor.json")
    rolled_out(ws, "1.1.0")
    rotation.rotate(ws, "root", now=NOW)
    publish(ws, published, now=NOW)
    seen = []
    for number, file in enumerate(one_by_one(ws, published, old)):
        reader = Reader(old, anchor, tmp_path / f"device{number}")
        new = file.name == "timestamp.json"
        assert campaigns(reader) == (["1.0.0-1", "1.1.0-1"] if new else ["1.0.0-1"])
        assert (reader.target("releases/camera/1.1.0.json") is not None) is new
        seen.append(file)
    kinds = [file.parent.name if file.parent.name in ("blobs", "metadata") else "targets" for file in seen]
    assert kinds == sorted(kinds, key=["blobs", "targets", "metadata"].index)
    assert [file.name.split(".")[-2] for file in seen if file.parent.name == "metadata"] == [
        "root", "releases", "rollouts", "snapshot", "timestamp",
    ]  # fmt: skip


@pytest.mark.parametrize("keys", [1, 3])
@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_no_reader_is_between_an_old_key_and_a_new_one(tmp_path: Path, role: str, keys: int) -> None:
    """A known device, and one that meets the repository for the first time, after every file of a rotation."""
    ceremony = Ceremony(bundle_type=KeyType.EC, threshold=min(keys, 2), root_keys=keys, targets_keys=keys)
    ws = Workspace.create(tmp_path / "ws", "camera", ceremony, now=NOW)
    out, old = tmp_path / "out", tmp_path / "old"
    rolled_out(ws, "1.0.0")
    publish(ws, out, now=NOW)
    shutil.copytree(out, old)
    anchor = shutil.copyfile(ws.anchor, tmp_path / "anchor.json")
    rolled_out(ws, "1.1.0")
    for _ in range(2):
        rotation.rotate(ws, role, now=NOW)
    publish(ws, out, now=NOW)
    Reader(old, anchor, tmp_path / "known")
    for number, _ in enumerate(one_by_one(ws, out, old)):
        first = campaigns(Reader(old, anchor, tmp_path / f"device{number}"))
        assert campaigns(Reader(old, anchor, tmp_path / "known")) == first
    assert first == ["1.0.0-1", "1.1.0-1"]


def test_a_key_that_is_gone_signs_nothing_and_root_comes_first(ws: Workspace, published: Path, old: Path, tmp_path: Path) -> None:
    """Stolen or lost: it does not sign any more. Between root and timestamp.json a reader refuses what it signed."""
    anchor = shutil.copyfile(ws.anchor, tmp_path / "anchor.json")
    gone = ws.keys.public()["timestamp"].keyid
    rotation.rotate(ws, "timestamp", now=NOW)
    (ws.keys.path / "retired" / "timestamp.pem").unlink()
    publish(ws, published, now=NOW)
    assert gone.encode() not in (published / "metadata" / "timestamp.json").read_bytes()
    names = []
    for number, file in enumerate(one_by_one(ws, published, old)):
        names.append(file.name)
        if file.name == "timestamp.json":
            Reader(old, anchor, tmp_path / f"device{number}")
        else:
            with pytest.raises(UnsignedMetadataError):
                Reader(old, anchor, tmp_path / f"device{number}")
    assert names == ["2.root.json", "timestamp.json"]


def test_a_retired_key_signs_only_while_its_successor_is_unknown(ws: Workspace, published: Path) -> None:
    gone = ws.keys.public()["timestamp"].keyid.encode()
    rotation.rotate(ws, "timestamp", now=NOW)
    publish(ws, published, now=NOW)
    assert gone in (published / "metadata" / "timestamp.json").read_bytes()
    publish(ws, published, now=NOW)
    assert gone not in (published / "metadata" / "timestamp.json").read_bytes()
