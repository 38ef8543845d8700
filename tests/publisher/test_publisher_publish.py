"""What is public is always whole: python-tuf's client reads it after every single file, and after every interruption."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.exceptions import ExpiredMetadataError
from tuf.api.metadata import Metadata, Snapshot, Timestamp

from otad.errors import OtadError, Rejected, RetryLater
from otad.formats.campaign import Rollouts
from otad.formats.encodings import Encodings
from otad.formats.release import Release
from otad.publisher import release, rollout, rotation
from otad.publisher.lock import one_writer
from otad.publisher.publish import publish, refresh
from otad.publisher.workspace import Workspace
from tests.support.published import NOW, Reader, added, rolled_out

HOUR = timedelta(hours=1)


def timestamp(out: Path) -> Timestamp:
    return Metadata[Timestamp].from_file(str(out / "metadata" / "timestamp.json")).signed


def snapshot(out: Path) -> Snapshot:
    version = timestamp(out).snapshot_meta.version
    return Metadata[Snapshot].from_file(str(out / "metadata" / f"{version}.snapshot.json")).signed


def campaigns(reader: Reader, channel: str = "stable") -> list[str]:
    return [one.id for one in Rollouts.decode(reader.read(f"rollouts/{channel}.json"), channel).campaigns]


def test_a_device_finds_everything_from_the_anchor_on(ws: Workspace, published: Path, tmp_path: Path) -> None:
    reader = Reader(published, ws.anchor, tmp_path / "device")
    target = reader.target("releases/camera/1.0.0.json")
    assert target is not None
    assert release.grant_of(target).channels["stable"].opened == NOW
    found = Release.decode(reader.read(target.path), target.path)
    ways = Encodings.decode(reader.read("encodings/camera/1.0.0.json"), "encodings")
    assert ways.release == target.hashes["sha256"]
    for way in ways.of[found.payloads[0].sha256]:
        assert (published / "blobs" / way.blob).stat().st_size == way.length
    assert campaigns(reader) == ["1.0.0-1"]
    assert reader.target("rollouts/beta.json") is None


def test_names_are_those_of_consistent_snapshots(published: Path) -> None:
    assert {file.name for file in (published / "metadata").iterdir()} == {
        "1.root.json", "1.targets.json", "3.releases.json", "2.rollouts.json", "1.snapshot.json", "timestamp.json",
    }  # fmt: skip
    for file in (published / "targets").rglob("*.json"):
        assert len(file.name.split(".")[0]) == 64


def test_nothing_private_is_public(ws: Workspace, published: Path) -> None:
    everything = b"".join(file.read_bytes() for file in published.rglob("*") if file.is_file())
    assert b"PRIVATE" not in everything
    assert {folder.name for folder in published.iterdir() if folder.is_dir()} == {"metadata", "targets", "blobs"}
    assert (published / ".otarepo.lock").stat().st_mode & 0o077 == 0
    assert not list(published.rglob(".draft-*"))
    assert ws.path.stat().st_mode & 0o077 == 0


def test_the_timestamp_says_when_it_was_issued(published: Path) -> None:
    issued = timestamp(published).unrecognized_fields["x-issued"]
    assert datetime.fromisoformat(issued.replace("Z", "+00:00")) == NOW
    assert timestamp(published).expires == NOW + timedelta(hours=48)


def test_what_is_staged_is_not_public(ws: Workspace, published: Path, tmp_path: Path) -> None:
    rolled_out(ws, "1.1.0")
    refresh(ws, published, now=NOW + HOUR)
    reader = Reader(published, ws.anchor, tmp_path / "device")
    assert reader.target("releases/camera/1.1.0.json") is None
    assert campaigns(reader) == ["1.0.0-1"]
    publish(ws, published, now=NOW + HOUR)
    assert campaigns(Reader(published, ws.anchor, tmp_path / "device")) == ["1.0.0-1", "1.1.0-1"]


def test_refresh_signs_the_timestamp_with_online_keys_only(ws: Workspace, published: Path, tmp_path: Path) -> None:
    for name in ("root1", "root2", "root3", "targets1", "targets2", "targets3", "releases"):
        (ws.keys.path / f"{name}.pem").unlink()
    before = snapshot(published).version
    done = refresh(ws, published, now=NOW + 4 * HOUR)
    assert (done.timestamp, done.files) == (2, 1)
    assert timestamp(published).expires == NOW + 52 * HOUR
    assert snapshot(published).version == before
    Reader(published, ws.anchor, tmp_path / "device")


def test_refresh_alone_keeps_a_repository_readable_for_months(ws: Workspace, published: Path, tmp_path: Path) -> None:
    for day in range(1, 60, 2):
        now = NOW + timedelta(days=day)
        refresh(ws, published, now=now)
        assert snapshot(published).expires > now + timedelta(days=2)
    rolls = ws.roles.targets("rollouts", snapshot(published).meta["rollouts.json"].version)
    assert rolls.expires > now + timedelta(days=2)
    assert campaigns(Reader(published, ws.anchor, tmp_path / "device")) == ["1.0.0-1"]


def test_refresh_renews_roll_outs_without_publishing_or_losing_staged_ones(
    ws: Workspace, published: Path, tmp_path: Path
) -> None:
    rollout.pause(ws, "stable", now=NOW + HOUR)
    refresh(ws, published, now=NOW + timedelta(days=4))
    reader = Reader(published, ws.anchor, tmp_path / "device")
    seen = Rollouts.decode(reader.read("rollouts/stable.json"), "stable")
    assert seen.campaigns[0].state.value == "running"
    publish(ws, published, now=NOW + timedelta(days=4))
    seen = Rollouts.decode(Reader(published, ws.anchor, tmp_path / "device").read("rollouts/stable.json"), "stable")
    assert seen.campaigns[0].state.value == "paused"


def test_a_repository_that_nobody_refreshes_is_noticed(ws: Workspace, out: Path, tmp_path: Path) -> None:
    publish(ws, out, now=NOW - timedelta(days=3))
    with pytest.raises(ExpiredMetadataError, match="timestamp"):
        Reader(out, ws.anchor, tmp_path / "device")


def test_offline_signatures_that_run_out_are_spoken_of(ws: Workspace, published: Path) -> None:
    assert publish(ws, published, now=NOW).expiring == ()
    late = NOW + timedelta(days=170)
    assert publish(ws, published, now=late).expiring == (("releases", NOW + timedelta(days=183)),)
    rotation.renew(ws, "releases", now=late)
    assert publish(ws, published, now=late).expiring == ()


@pytest.mark.parametrize("at", range(6))
def test_publishing_again_completes_what_was_interrupted(ws: Workspace, published: Path, tmp_path: Path, at: int) -> None:
    rolled_out(ws, "1.1.0")

    def killed(_what: str, done: int, _all: int) -> None:
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(ws, published, now=NOW, progress=killed)
    assert campaigns(Reader(published, ws.anchor, tmp_path / "device")) == ["1.0.0-1"]
    finish = refresh if at % 2 else publish  # either one completes a state that was sealed
    finish(ws, published, now=NOW)
    assert campaigns(Reader(published, ws.anchor, tmp_path / "device")) == ["1.0.0-1", "1.1.0-1"]


def test_a_killed_writer_leaves_a_reader_and_no_lock(ws: Workspace, published: Path, tmp_path: Path) -> None:
    rolled_out(ws, "1.1.0")
    program = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from otad.publisher.publish import publish
from otad.publisher.workspace import Workspace
def killed(what, done, total):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
publish(Workspace.open(Path(sys.argv[1])), Path(sys.argv[2]), now=datetime.fromisoformat(sys.argv[3]), progress=killed)
"""
    arguments = [sys.executable, "-c", program, str(ws.path), str(published), NOW.isoformat()]
    done = subprocess.run(
        arguments, check=False, timeout=60, cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": "."}
    )
    assert done.returncode == -signal.SIGKILL
    assert campaigns(Reader(published, ws.anchor, tmp_path / "device")) == ["1.0.0-1"]
    publish(ws, published, now=NOW)
    assert campaigns(Reader(published, ws.anchor, tmp_path / "device")) == ["1.0.0-1", "1.1.0-1"]


def test_a_second_writer_is_refused_and_learns_who_writes(ws: Workspace, published: Path, tmp_path: Path) -> None:
    before = timestamp(published).version
    with one_writer(published, "publish"), pytest.raises(RetryLater) as refused:
        refresh(ws, published, now=NOW)
    assert refused.value.cause.code == "locked"
    assert f"being written by otarepo publish (process {os.getpid()} on" in refused.value.cause.what
    assert timestamp(published).version == before
    with ws.writing("release"), pytest.raises(RetryLater, match="by otarepo release"):
        added(ws, "2.0.0")
    added(ws, "2.0.0")


def test_a_second_workspace_does_not_overwrite(ws: Workspace, published: Path, tmp_path: Path) -> None:
    shutil.copytree(ws.path, tmp_path / "copy")
    copy = Workspace.open(tmp_path / "copy")
    publish(ws, published, now=NOW)
    with pytest.raises(Rejected) as behind:
        publish(copy, published, now=NOW)
    assert behind.value.cause.code == "publish-behind"
    for one, version in ((ws, "1.1.0"), (copy, "1.2.0")):
        added(one, version)
    publish(ws, published, now=NOW)
    copy.roles.save("timestamp", copy.roles.timestamp(), now=NOW)
    copy.roles.save("timestamp", copy.roles.timestamp(), now=NOW)
    good = timestamp(published).version
    with pytest.raises(Rejected, match=r"releases\.json differs") as diverged:
        publish(copy, published, now=NOW)
    assert diverged.value.cause.code == "publish-diverged"
    assert timestamp(published).version == good
    Reader(published, ws.anchor, tmp_path / "device")


def test_refresh_waits_for_what_takes_keys_away(ws: Workspace, published: Path) -> None:
    rotation.rotate(ws, "timestamp", now=NOW)
    with pytest.raises(Rejected, match="a new root waits to be published"):
        refresh(ws, published, now=NOW)


def test_nothing_that_devices_would_refuse_is_published(ws: Workspace, published: Path) -> None:
    """The targets of a rotation came in from elsewhere, the releases that go with them did not."""
    shutil.copytree(ws.path, ws.path.parent / "elsewhere")
    elsewhere = Workspace.open(ws.path.parent / "elsewhere")
    rotation.rotate(elsewhere, "releases", now=NOW)
    shutil.copyfile(elsewhere.roles.path("targets", 2), ws.roles.path("targets", 2))
    with pytest.raises(Rejected, match="staged releases is not signed") as refused:
        publish(ws, published, now=NOW)
    assert refused.value.cause.code == "publish-unsigned"
    assert "key renew" in refused.value.cause.remedy


def test_a_first_refresh_says_to_publish(ws: Workspace, out: Path) -> None:
    with pytest.raises(Rejected, match="nothing was published"):
        refresh(ws, out, now=NOW)


def test_metadata_that_is_damaged_is_named(ws: Workspace, published: Path) -> None:
    (published / "metadata" / "timestamp.json").write_bytes(b"<html>")
    with pytest.raises(Rejected, match="is no timestamp"):
        publish(ws, published, now=NOW)
    ws.roles.path("releases", 3).write_bytes(b"")
    with pytest.raises(OtadError, match=r"3\.releases\.json is damaged") as refused:
        ws.roles.targets("releases")
    assert "Restore it" in refused.value.cause.remedy
    ws.roles.path("targets", 1).unlink()
    with pytest.raises(OtadError, match=r"\d\.targets\.json is not here"):
        ws.roles.targets("targets")


def test_a_document_that_rotted_is_not_published(ws: Workspace, published: Path) -> None:
    target = ws.roles.targets("releases").targets["encodings/camera/1.0.0.json"]
    ws.document(target).write_bytes(b"{}")
    with pytest.raises(Rejected, match="is not what was signed"):
        publish(ws, published, now=NOW)
