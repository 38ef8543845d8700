"""Releases: immutable, complete before they are signed, allowed to nobody until they are opened."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
import zstandard

from otad.errors import Rejected
from otad.formats.encodings import Encodings
from otad.formats.grant import Grant
from otad.formats.release import PayloadKind, Release
from otad.publisher import release
from otad.publisher.encode import Coding
from otad.publisher.workspace import Workspace
from tests.support.published import BOARD, FAST, NOW, added, packed


def grant(ws: Workspace, version: str = "1.0.0") -> Grant:
    return release.grant_of(release.find(ws, ws.roles.targets("releases"), version))


def encodings(ws: Workspace, version: str = "1.0.0") -> Encodings:
    target = ws.roles.targets("releases").targets[f"encodings/camera/{version}.json"]
    return Encodings.decode(ws.read(target), target.path)


def test_a_release_says_what_its_bundle_is(ws: Workspace) -> None:
    swu = added(ws, "1.0.0", min_version="0.9.0", critical=True, notes="faster")
    target = release.find(ws, ws.roles.targets("releases"), "1.0.0")
    found = Release.decode(ws.read(target), target.path)
    assert (found.product, found.version, found.hardware) == ("camera", "1.0.0", (BOARD,))
    assert (found.min_version, found.critical, found.notes) == ("0.9.0", True, "faster")
    (system,) = found.payloads
    assert system.kind is PayloadKind.SYSTEM
    assert (system.sha256, system.length) == (hashlib.sha256(swu.read_bytes()).hexdigest(), swu.stat().st_size)
    assert system.disk == len(b"system") + 200_000


def test_it_travels_compressed_and_decodes_to_the_same_bytes(ws: Workspace) -> None:
    swu = added(ws, "1.0.0")
    ((sha256, (way,)),) = encodings(ws).of.items()
    blob = (ws.blobs / way.blob).read_bytes()
    assert (way.type, way.length, hashlib.sha256(blob).hexdigest()) == ("zstd", len(blob), way.blob)
    assert len(blob) < swu.stat().st_size
    decoded = zstandard.ZstdDecompressor(max_window_size=1 << 25).decompress(blob)
    assert hashlib.sha256(decoded).hexdigest() == sha256
    assert zstandard.get_frame_parameters(blob).window_size <= way.memory < 1 << 26
    assert encodings(ws).release == release.find(ws, ws.roles.targets("releases"), "1.0.0").hashes["sha256"]


def test_plain_bytes_when_asked_for(ws: Workspace) -> None:
    swu = packed(ws, "1.0.0")
    release.add(ws, release.NewRelease("1.0.0", [BOARD], swu), Coding(level=1, plain=True), now=NOW)
    ((sha256, ways),) = encodings(ws).of.items()
    assert [way.type for way in ways] == ["zstd", "plain"]
    assert (ways[1].blob, ways[1].length) == (sha256, swu.stat().st_size)
    assert (ws.blobs / sha256).read_bytes() == swu.read_bytes()


def test_the_window_is_bounded_at_the_highest_level(ws: Workspace) -> None:
    from otad.publisher.encode import _parameters  # noqa: PLC0415

    assert zstandard.ZstdCompressionParameters.from_level(22, source_size=1 << 31).window_log > 25
    assert _parameters(22, 1 << 31).window_log == 25


def test_the_same_again_changes_nothing(ws: Workspace) -> None:
    swu = added(ws, "1.0.0", back_to=["0.9.0"])
    version = ws.roles.version("releases")
    new = release.NewRelease("1.0.0", [BOARD], swu, back_to=["0.9.0"])
    assert not release.add(ws, new, FAST, now=NOW + timedelta(days=1))
    assert ws.roles.version("releases") == version


@pytest.mark.parametrize("how", ["bytes", "notes"])
def test_other_content_under_an_old_version_is_refused(ws: Workspace, how: str) -> None:
    swu = added(ws, "1.0.0")
    version, blobs = ws.roles.version("releases"), sorted(ws.blobs.iterdir())
    new = release.NewRelease("1.0.0", [BOARD], packed(ws, "1.0.0", b"other") if how == "bytes" else swu, notes=how)
    with pytest.raises(Rejected, match=r"camera 1\.0\.0 is already published with other content") as refused:
        release.add(ws, new, FAST, now=NOW)
    assert refused.value.cause.code == "release-differs"
    assert (ws.roles.version("releases"), sorted(ws.blobs.iterdir())) == (version, blobs)


def test_back_to_only_grows(ws: Workspace) -> None:
    swu = added(ws, "1.1.0", back_to=["1.0.0"])
    assert release.add(ws, release.NewRelease("1.1.0", [BOARD], swu, back_to=["0.9.0"]), FAST, now=NOW)
    assert grant(ws, "1.1.0").back_to == ("1.0.0", "0.9.0")


@pytest.mark.parametrize(("field", "value"), [("version", "1.0"), ("min_version", "old"), ("back_to", ["older"])])
def test_wrong_fields_are_named(ws: Workspace, field: str, value: object) -> None:
    swu = packed(ws, "1.0.0")
    new = release.NewRelease(**{"version": "1.0.0", "hardware": [BOARD], "system": swu, field: value})  # type: ignore[arg-type]
    with pytest.raises(Rejected, match=field):
        release.add(ws, new, FAST, now=NOW)
    assert not ws.roles.targets("releases").targets


def test_nothing_is_signed_before_its_blobs_are_there(ws: Workspace) -> None:
    """A kill in the middle of compressing: no draft is left by an exception, and no release names anything."""

    def killed(what: str, _done: int, _all: int) -> None:
        if what.startswith("compressing"):
            raise KeyboardInterrupt

    new = release.NewRelease("1.0.0", [BOARD], packed(ws, "1.0.0"))
    with pytest.raises(KeyboardInterrupt):
        release.add(ws, new, FAST, now=NOW, progress=killed)
    assert not ws.roles.targets("releases").targets
    assert not list(ws.blobs.iterdir())
    assert release.add(ws, new, FAST, now=NOW)
