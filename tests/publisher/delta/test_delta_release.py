"""Deltas of published releases: what is listed, what is not, and what a kill leaves."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otad.errors import Corrupt, Rejected
from otad.formats.encodings import Encoding, Encodings
from otad.publisher import bundle, grants, place, release, signing
from otad.publisher.collect import collect
from otad.publisher.delta import release as deltas
from otad.publisher.delta.ledger import Ledger
from otad.publisher.delta.make import Payload, make
from otad.publisher.publish import publish
from otad.publisher.roles import RELEASES, ROOT
from otad.publisher.verify import verify
from otad.publisher.workspace import Workspace
from tests.publisher.delta import trees
from tests.support.published import BOARD, FAST, NOW, Reader, encrypted

PROGRAM = trees.noise(1, 200_000)
CHANGED = trees.edited(PROGRAM, 2)


def released(ws: Workspace, version: str, files: dict[str, bytes]) -> str:
    """A release of an ext4 image with these files; SHA-256 of its bundle."""
    folder = ws.path.parent / version
    trees.write(folder, files)
    image = trees.ext4(folder, ws.path.parent / f"{version}.img", "2M", "-O", "^has_journal")
    swu = ws.path.parent / f"{version}.swu"
    bundle.pack(image, swu, bundle.System(version, [BOARD]), ws.signer)
    release.add(ws, release.NewRelease(version, [BOARD], swu), FAST, now=NOW)
    return hashlib.sha256(swu.read_bytes()).hexdigest()


def ways(ws: Workspace, version: str) -> tuple[Encoding, ...]:
    """How the newest staged metadata says that it travels."""
    target = ws.roles.targets(RELEASES).targets[release.path_of(ws.product, version, "encodings")]
    (found,) = Encodings.decode(ws.read(target), target.path).of.values()
    return found


@pytest.fixture
def two(ws: Workspace) -> str:
    """1.0.0 and 1.1.0, which are alike; the identity of 1.0.0."""
    first = released(ws, "1.0.0", {"usr/bin/camera": PROGRAM})
    released(ws, "1.1.0", {"usr/bin/camera": CHANGED})
    return first


def test_a_delta_joins_the_encodings_of_a_release_that_is_out(ws: Workspace, two: str, out: Path, tmp_path: Path) -> None:
    publish(ws, out, now=NOW)
    (full,) = ways(ws, "1.1.0")
    outcome = deltas.add(ws, "1.0.0", "1.1.0", now=NOW)
    assert outcome is not None
    assert (outcome.listed, outcome.full) == (True, full.length)
    delta, still = ways(ws, "1.1.0")
    assert still == full
    assert (delta.type, delta.base, delta.length) == ("delta", two, outcome.length)
    assert delta.length < full.length / 10
    assert 0 < delta.memory < 64 << 20
    publish(ws, out, now=NOW)
    read = Encodings.decode(Reader(out, ws.anchor, tmp_path / "device").read("encodings/camera/1.1.0.json"), "")
    assert [way.blob for one in read.of.values() for way in one] == [delta.blob, full.blob]
    assert hashlib.sha256((out / "blobs" / delta.blob).read_bytes()).hexdigest() == delta.blob
    seen = asyncio.run(verify(place.Folder(out), ws.roles.path(ROOT, 1).read_bytes(), now=NOW))
    assert seen.findings == []


def test_the_same_again_changes_nothing(ws: Workspace, two: str) -> None:
    deltas.add(ws, "1.0.0", "1.1.0", now=NOW)
    version = ws.roles.version(RELEASES)
    assert deltas.add(ws, "1.0.0", "1.1.0", now=NOW) is None
    assert ws.roles.version(RELEASES) == version


def test_one_that_is_there_is_made_again_to_be_looked_at_and_nothing_is_stored(ws: Workspace, two: str) -> None:
    first = deltas.add(ws, "1.0.0", "1.1.0", now=NOW)
    assert first is not None
    assert first.before is None
    before = {file: file.stat().st_mtime_ns for file in ws.path.rglob("*") if file.is_file() and deltas.SCRATCH not in file.parts}
    again = deltas.add(ws, "1.0.0", "1.1.0", now=NOW, again=True)
    assert again == replace(first, before=first.length)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert {file for file in ws.path.rglob("*") if file.is_file() and deltas.SCRATCH not in file.parts} == set(before)


def test_a_wrong_passphrase_is_told_before_the_work(ws: Workspace, two: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (ws.keys.path / "releases.pem").write_bytes(encrypted(ws.keys.path / "releases.pem", b"secret"))
    with monkeypatch.context() as patched:
        patched.setattr("otad.publisher.delta.release.make", None)
        with pytest.raises(Rejected) as refused:
            deltas.add(Workspace.open(ws.path, lambda _: b"wrong"), "1.0.0", "1.1.0", now=NOW)
    assert refused.value.cause.code == "key-locked"
    made = deltas.add(Workspace.open(ws.path, lambda _: b"secret"), "1.0.0", "1.1.0", now=NOW)
    assert made is not None
    assert made.listed


def test_without_the_key_it_waits_for_signatures(ws: Workspace, two: str) -> None:
    (ws.keys.path / "releases.pem").unlink()
    made = deltas.add(ws, "1.0.0", "1.1.0", now=NOW)
    assert made is not None
    assert made.listed
    assert [one.role for one in signing.waiting(ws)] == [RELEASES]


def test_a_release_has_deltas_from_several(ws: Workspace, two: str) -> None:
    released(ws, "1.2.0", {"usr/bin/camera": trees.edited(CHANGED, 3)})
    for base in ("1.0.0", "1.1.0"):
        deltas.add(ws, base, "1.2.0", now=NOW)
    assert [way.type for way in ways(ws, "1.2.0")] == ["delta", "delta", "zstd"]
    assert len({way.base for way in ways(ws, "1.2.0")}) == 3


def test_a_delta_that_saves_too_little_is_not_published(ws: Workspace) -> None:
    released(ws, "1.0.0", {"usr/bin/camera": PROGRAM})
    released(ws, "2.0.0", {"usr/bin/camera": trees.noise(9, 200_000)})
    version = ws.roles.version(RELEASES)
    outcome = deltas.add(ws, "1.0.0", "2.0.0", now=NOW)
    assert outcome is not None
    assert not outcome.listed
    assert [way.type for way in ways(ws, "2.0.0")] == ["zstd"]
    assert ws.roles.version(RELEASES) == version
    assert len(list(ws.blobs.iterdir())) == 2


def test_a_delta_that_does_not_decode_is_not_published(ws: Workspace, two: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(old: Payload, new: Payload, *more: Any, **options: Any) -> Ledger:
        return make(new, old, *more, **options)

    monkeypatch.setattr("otad.publisher.delta.release.make", wrong)
    version = ws.roles.version(RELEASES)
    with pytest.raises(Corrupt) as refused:
        deltas.add(ws, "1.0.0", "1.1.0", now=NOW)
    assert refused.value.cause.code == "delta-wrong"
    assert ws.roles.version(RELEASES) == version
    assert len(list(ws.blobs.iterdir())) == 2


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", ["make", "proved", "_list"])
def test_killed_on_the_way_nothing_is_listed_and_the_next_run_does_it(
    ws: Workspace, two: str, out: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(f"otad.publisher.delta.release.{at}", killed)
        patched.setattr("otad.publisher.delta.scratch.shutil.rmtree", lambda *_, **__: None)  # a kill cleans up nothing
        with pytest.raises(Killed):
            deltas.add(ws, "1.0.0", "1.1.0", now=NOW)
    assert [way.type for way in ways(ws, "1.1.0")] == ["zstd"]
    publish(ws, out, now=NOW)
    outcome = deltas.add(ws, "1.0.0", "1.1.0", now=NOW)
    assert outcome is not None
    assert outcome.listed
    assert not list((ws.path / deltas.SCRATCH).rglob("*.swu"))


def test_gc_leaves_deltas_alone(ws: Workspace, two: str, out: Path) -> None:
    deltas.add(ws, "1.0.0", "1.1.0", now=NOW)
    publish(ws, out, now=NOW)
    collect(ws, out, now=NOW)
    assert all((ws.blobs / way.blob).exists() for way in ways(ws, "1.1.0"))


def test_a_base_that_is_gone_is_refused(ws: Workspace, two: str) -> None:
    (way,) = ways(ws, "1.0.0")
    (ws.blobs / way.blob).unlink()
    with pytest.raises(Rejected) as refused:
        deltas.add(ws, "1.0.0", "1.1.0", now=NOW)
    assert refused.value.cause.code == "blob-missing"


def test_a_withdrawn_release_gets_no_delta(ws: Workspace, two: str) -> None:
    grants.withdraw(ws, "1.1.0", now=NOW)
    with pytest.raises(Rejected) as refused:
        deltas.add(ws, "1.0.0", "1.1.0", now=NOW)
    assert refused.value.cause.code == "release-withdrawn"


def test_releases_with_the_same_image_need_no_delta(ws: Workspace, two: str) -> None:
    release.add(ws, release.NewRelease("1.0.1", [BOARD], ws.path.parent / "1.0.0.swu"), FAST, now=NOW)
    with pytest.raises(Rejected) as refused:
        deltas.add(ws, "1.0.0", "1.0.1", now=NOW)
    assert refused.value.cause.code == "delta-same"
