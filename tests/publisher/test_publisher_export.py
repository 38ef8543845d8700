"""otarepo export: a medium holds what offline keys signed, whole and read back; interrupted, it goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root, Targets

from otad.errors import OtadError, Rejected
from otad.formats.encodings import Encodings
from otad.publisher import grants, rotation
from otad.publisher.export import export
from otad.publisher.keys import KeyType
from otad.publisher.publish import publish
from otad.publisher.workspace import Ceremony, Workspace
from tests.support.published import NOW, added, rolled_out


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    return tmp_path / "stick"


@pytest.fixture
def both(ws: Workspace, published: Path) -> Workspace:
    """1.0.0 and 1.1.0 are published, after a change of root."""
    rolled_out(ws, "1.1.0")
    rotation.rotate(ws, "root", now=NOW)
    publish(ws, published, now=NOW)
    return ws


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - {".otarepo.lock"}


def test_what_is_on_it_is_signed_offline_and_whole(both: Workspace, stick: Path) -> None:
    """As a device reads it: from its first root on, without anything that the online key signed."""
    done = export(both, stick, ["1.1.0"])
    metadata = stick / "metadata"
    assert {file.name for file in metadata.iterdir()} == {"1.root.json", "2.root.json", "1.targets.json", "5.releases.json"}
    root = Metadata[Root].from_file(str(metadata / "1.root.json"))
    newest = Metadata[Root].from_file(str(metadata / "2.root.json"))
    root.signed.verify_delegate("root", newest.signed_bytes, newest.signatures)
    targets = Metadata[Targets].from_file(str(metadata / "1.targets.json"))
    newest.signed.verify_delegate("targets", targets.signed_bytes, targets.signatures)
    releases = Metadata[Targets].from_file(str(metadata / "5.releases.json"))
    targets.signed.verify_delegate("releases", releases.signed_bytes, releases.signatures)

    named = [releases.signed.targets[f"{kind}/camera/1.1.0.json"] for kind in ("releases", "encodings")]
    documents = {f"targets/{target.get_prefixed_paths()[0]}" for target in named}
    for target in named:
        target.verify_length_and_hashes((stick / "targets" / target.get_prefixed_paths()[0]).read_bytes())
    ways = Encodings.decode((stick / "targets" / named[1].get_prefixed_paths()[0]).read_bytes(), "encodings").of
    blobs = {f"blobs/{way.blob}" for some in ways.values() for way in some}
    assert files(stick) == documents | blobs | {f"metadata/{file.name}" for file in metadata.iterdir()}
    assert (done.written, done.files) == (len(files(stick)), len(files(stick)))


def test_another_release_is_added(both: Workspace, stick: Path) -> None:
    first = export(both, stick, ["1.0.0"])
    second = export(both, stick, ["1.0.0", "1.1.0"])
    assert (second.written, second.files) == (3, first.files + 3)
    assert export(both, stick, ["1.1.0", "1.0.0"]).written == 0


def test_interrupted_anywhere_it_goes_on(both: Workspace, stick: Path) -> None:
    """Nothing that was finished is written again, and the metadata that names the rest comes last."""

    def killed(_what: str, _done: int, _all: int) -> None:
        raise KeyboardInterrupt

    everything = export(both, stick.with_name("other"), ["1.0.0", "1.1.0"]).files
    for at in range(everything):
        before = {name: (stick / name).stat().st_ino for name in files(stick)} if stick.exists() else {}
        assert len(before) == at
        assert not any("releases.json" in name for name in before)
        with pytest.raises(KeyboardInterrupt):
            export(both, stick, ["1.0.0", "1.1.0"], progress=_after_one(killed))
        assert {name: (stick / name).stat().st_ino for name in before} == before
        assert not list(stick.rglob(".draft-*"))
        if at == everything - 2:
            break
    assert export(both, stick, ["1.0.0", "1.1.0"]).written == 1
    assert files(stick) == files(stick.with_name("other"))


def _after_one(stop: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    """Lets one file through, written and read back: each of these is one piece."""
    calls = []

    def progress(what: str, done: int, total: int) -> None:
        calls.append(done)
        if len(calls) > 2:
            stop(what, done, total)

    return progress


def test_what_rotted_on_it_is_written_again(both: Workspace, stick: Path) -> None:
    export(both, stick, ["1.0.0"])
    for pattern in ("blobs/*", "targets/releases/*/*.json", "metadata/*.releases.json"):
        (file,) = stick.glob(pattern)
        right = file.read_bytes()
        file.write_bytes(right[:-1] + b"?")
        assert export(both, stick, ["1.0.0"]).written == 1
        assert file.read_bytes() == right


def test_a_medium_that_does_not_keep_what_was_written_is_found_out(
    both: Workspace, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is damaged at the moment at which the kernel's copy is given up."""

    def loses(descriptor: int, *_: int) -> None:
        with Path(f"/proc/self/fd/{descriptor}").readlink().open("r+b") as file:
            file.write(b"\0\0\0\0")

    monkeypatch.setattr(os, "posix_fadvise", loses)
    with pytest.raises(OtadError, match="does not read back as it was written: the medium is damaged") as refused:
        export(both, stick, ["1.0.0"])
    assert refused.value.cause.code == "medium-bad"


def test_what_rotted_in_the_workspace_is_not_carried_out(both: Workspace, stick: Path) -> None:
    for blob in both.blobs.iterdir():
        blob.write_bytes(b"?" + blob.read_bytes()[1:])
    with pytest.raises(Rejected, match="is not what was signed") as refused:
        export(both, stick, ["1.0.0"])
    assert refused.value.cause.code == "blob-changed"
    assert files(stick) == set()


def test_a_medium_that_is_too_small_is_said_before(both: Workspace, stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stick.mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OtadError, match=r"has 1 bytes free, and .* are to be written") as refused:
        export(both, stick, ["1.0.0"])
    assert refused.value.cause.code == "medium-full"
    assert files(stick) == set()


def test_only_what_was_published_and_stands(both: Workspace, stick: Path) -> None:
    added(both, "1.2.0")
    with pytest.raises(Rejected, match=r"no release 1\.2\.0"):
        export(both, stick, ["1.2.0"])
    grants.withdraw(both, "1.1.0", now=NOW)
    publish(both, both.path.parent / "public", now=NOW)
    with pytest.raises(Rejected, match=r"1\.1\.0 is withdrawn"):
        export(both, stick, ["1.0.0", "1.1.0"])
    assert files(stick) == set()


def test_the_medium_of_another_repository_is_not_mixed(both: Workspace, stick: Path, tmp_path: Path) -> None:
    other = Workspace.create(tmp_path / "other", "camera", Ceremony(bundle_type=KeyType.EC), now=NOW)
    rolled_out(other, "1.0.0")
    publish(other, tmp_path / "theirs", now=NOW)
    export(other, stick, ["1.0.0"])
    before = files(stick)
    with pytest.raises(Rejected, match="holds releases of another repository"):
        export(both, stick, ["1.0.0"])
    assert files(stick) == before
