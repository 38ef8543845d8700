"""otarepo gc: what a device can be led to stays for 90 days after the last timestamp that led there; roots stay for ever."""

from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from otad.errors import Rejected, RetryLater
from otad.publisher import collect as collecting
from otad.publisher import grants, place, release, rotation
from otad.publisher.collect import collect
from otad.publisher.lock import one_writer
from otad.publisher.publish import publish, refresh
from otad.publisher.verify import verify
from otad.publisher.workspace import Workspace
from tests.support.published import BOARD, FAST, NOW, Reader, packed, rolled_out

DAY = timedelta(days=1)
LATER = NOW + 10 * DAY


def names(files: tuple[Path, ...], folder: str) -> set[str]:
    return {file.name for file in files if folder in file.parts}


def healthy(ws: Workspace, out: Path) -> bool:
    report = asyncio.run(verify(place.Folder(out), ws.roles.path("root", 1).read_bytes(), now=NOW))
    return not report.findings


@pytest.fixture
def aged(ws: Workspace, published: Path) -> Path:
    """1.0.0, and ten days later 1.1.0 and a new root."""
    rolled_out(ws, "1.1.0")
    rotation.rotate(ws, "root", now=LATER)
    publish(ws, published, now=LATER)
    return published


def test_what_was_replaced_stays_for_90_days(ws: Workspace, aged: Path) -> None:
    overtaken = collect(ws, aged, now=LATER + 90 * DAY - timedelta(seconds=1))
    assert names(overtaken.files, "public") == set()
    assert names(overtaken.files, "metadata") == {
        "1.releases.json", "2.releases.json", "4.releases.json", "1.rollouts.json", "3.rollouts.json",
    }  # fmt: skip
    freed = collect(ws, aged, now=LATER + 90 * DAY)
    assert names(freed.files, "metadata") == {"3.releases.json", "2.rollouts.json", "1.snapshot.json"}
    assert len(names(freed.files, "targets")) == 1  # the roll-outs of 1.0.0 alone
    assert names(freed.files, "blobs") == set()
    assert not any(file.exists() for file in freed.files)
    assert (aged / "metadata" / "1.root.json").exists()
    assert healthy(ws, aged)
    assert healthy(ws, ws.path)
    assert collect(ws, aged, now=LATER + 90 * DAY).files == ()


def test_a_device_from_the_factory_still_finds_its_way(ws: Workspace, aged: Path, tmp_path: Path) -> None:
    collect(ws, aged, now=LATER + 400 * DAY)
    assert Reader(aged, ws.roles.path("root", 1), tmp_path / "device").target("releases/camera/1.0.0.json") is not None


def test_publishing_goes_on_afterwards(ws: Workspace, aged: Path) -> None:
    collect(ws, aged, now=LATER + 400 * DAY)
    rolled_out(ws, "1.2.0")
    publish(ws, aged, now=LATER)
    refresh(ws, aged, now=LATER)
    assert healthy(ws, aged)


def test_a_dry_run_deletes_nothing_and_says_what_it_would(ws: Workspace, aged: Path) -> None:
    would = collect(ws, aged, now=LATER + 90 * DAY, dry_run=True)
    assert would.files
    assert all(file.exists() for file in would.files)
    assert collect(ws, aged, now=LATER + 90 * DAY) == would
    assert would.bytes > 0


def test_the_blobs_of_a_withdrawn_release_go_and_all_else_of_it_stays(ws: Workspace, aged: Path) -> None:
    blobs = {file.name for file in (aged / "blobs").iterdir()}
    grants.withdraw(ws, "1.0.0", now=LATER)
    publish(ws, aged, now=LATER + DAY)
    assert collect(ws, aged, now=LATER + 90 * DAY).files != ()
    assert {file.name for file in (aged / "blobs").iterdir()} == blobs
    freed = collect(ws, aged, now=LATER + 91 * DAY)
    gone = names(freed.files, "blobs")
    assert len(gone) == 1
    assert {file.name for file in (aged / "blobs").iterdir()} == blobs - gone
    assert freed.bytes >= sum(file.stat().st_size for file in (aged / "blobs").iterdir()) / 2  # linked twice, counted once
    listed = ws.roles.targets("releases").targets
    assert ws.document(listed["releases/camera/1.0.0.json"]).exists()
    assert ws.document(listed["encodings/camera/1.0.0.json"]).exists()
    assert healthy(ws, aged)
    publish(ws, aged, now=LATER + 91 * DAY)


def test_what_waits_to_be_published_or_signed_stays(ws: Workspace, aged: Path) -> None:
    rolled_out(ws, "1.2.0")
    (ws.keys.path / "releases.pem").rename(ws.path / "elsewhere.pem")
    release.add(ws, release.NewRelease("1.3.0", [BOARD], packed(ws, "1.3.0")), FAST, now=LATER)
    collect(ws, aged, now=LATER + 400 * DAY)
    (ws.path / "elsewhere.pem").rename(ws.keys.path / "releases.pem")
    rotation.renew(ws, "releases", now=LATER)
    publish(ws, aged, now=LATER)
    assert healthy(ws, aged)
    assert len(list((aged / "blobs").iterdir())) == 4


def test_only_what_is_otarepos_is_touched_and_drafts_of_a_kill_go(ws: Workspace, aged: Path) -> None:
    strange = [aged / "metadata" / "README", aged / "index.html", aged / "blobs" / "mine", ws.path / "keys" / ("ab" * 32)]
    for file in strange:
        file.write_text("not ours")
    draft = aged / "blobs" / ".draft-1234"
    collect(ws, aged, now=LATER)
    draft.write_bytes(bytes(1000))
    freed = collect(ws, aged, now=LATER)
    assert (freed.files, freed.bytes) == ((draft,), 1000)
    assert all(file.exists() for file in strange)


def test_killed_on_the_way_it_goes_on(ws: Workspace, aged: Path, tmp_path: Path) -> None:
    later = LATER + 90 * DAY
    count = len(collect(ws, aged, now=later, dry_run=True).files)
    assert count > 5

    def killed(_what: str, done: int, _all: int) -> None:
        if done % 2:
            raise KeyboardInterrupt

    for left in range(count, 0, -1):
        assert len(collect(ws, aged, now=later, dry_run=True).files) == left
        with pytest.raises(KeyboardInterrupt):
            collect(ws, aged, now=later, progress=killed)
        assert healthy(ws, aged)
    assert collect(ws, aged, now=later).files == ()


def test_a_place_that_is_behind_is_published_to_first(ws: Workspace, aged: Path, tmp_path: Path) -> None:
    shutil.copytree(aged, tmp_path / "mirror")
    refresh(ws, aged, now=LATER)
    for other in (tmp_path / "mirror", tmp_path / "nowhere"):
        with pytest.raises(Rejected, match="does not show what was sealed last") as refused:
            collect(ws, other, now=LATER + 400 * DAY)
        assert refused.value.cause.code == "publish-first"


def test_there_is_one_writer(ws: Workspace, aged: Path) -> None:
    with one_writer(aged, "publish"), pytest.raises(RetryLater, match=r"cannot gc: .* is being written by otarepo publish"):
        collect(ws, aged, now=LATER)


def test_a_snapshot_that_does_not_say_when_it_was_issued_stays_longer(ws: Workspace, aged: Path) -> None:
    snapshot = ws.roles.snapshot()
    assert collecting._issued(snapshot) == LATER
    del snapshot.unrecognized_fields["x-issued"]
    assert collecting._issued(snapshot) == snapshot.expires == LATER + 7 * DAY
