"""Publishing killed before each of its file operations: otad's own client sees all of a state, and the next run ends it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otad.formats.release import PayloadKind
from otad.publisher import rotation
from otad.publisher.publish import publish
from otad.publisher.workspace import Workspace
from otad.trust.client import Repository
from otad.trust.clock import Clock
from otad.trust.store import Store
from tests.support.folder import Folder
from tests.support.published import NOW, rolled_out

TREE = Path(__file__).parents[2]


class Device:
    """Otad's own client, with what it trusts in `folder`."""

    def __init__(self, anchor: Path, folder: Path) -> None:
        self._anchor, self._folder = anchor, folder

    async def sees(self, out: Path) -> tuple[str, ...]:
        """The versions with a campaign, each whole: its documents, and the blobs that they name."""
        clock = Clock(NOW, lambda: True, lambda: NOW)
        repository = Repository(Folder(out), Store(self._folder, self._anchor), clock, product="camera", channel="stable")
        catalogue = await repository.refresh()
        for campaign in catalogue.rollouts.campaigns:
            release = await repository.release(campaign.version, campaign.sha256)
            encodings = await repository.encodings(campaign.version, campaign.sha256)
            (system,) = release.payloads
            assert system.kind is PayloadKind.SYSTEM
            for way in encodings.of[system.sha256]:
                assert hashlib.sha256((out / "blobs" / way.blob).read_bytes()).hexdigest() == way.blob
        return tuple(campaign.version for campaign in catalogue.rollouts.campaigns)


@pytest.fixture
def publisher() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.interrupted"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TREE) as process:
        yield process
        assert process.stdin
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def killed(publisher: subprocess.Popen[str], ws: Path, out: Path, before: int) -> bool:
    """Whether publishing was killed before its operation `before`; else it is done."""
    assert publisher.stdin
    assert publisher.stdout
    order = {"workspace": str(ws), "out": str(out), "now": NOW.isoformat(), "before": before}
    publisher.stdin.write(f"{json.dumps(order)}\n")
    publisher.stdin.flush()
    answer = publisher.stdout.readline().strip()
    assert answer in {"killed", "done"}
    return answer == "killed"


@pytest.mark.slow
async def test_killed_before_every_file_operation(
    ws: Workspace, published: Path, tmp_path: Path, publisher: subprocess.Popen[str]
) -> None:
    """A new release, a new root and new keys for every delegated role: all that a publication can bring at once."""
    anchor = tmp_path / "anchor.json"
    shutil.copyfile(ws.anchor, anchor)
    assert await Device(anchor, tmp_path / "known").sees(published) == ("1.0.0",)
    rolled_out(ws, "1.1.0")
    for role in ("root", "targets", "releases", "rollouts", "snapshot", "timestamp"):
        rotation.rotate(ws, role, now=NOW)

    seen = []
    for before in range(1000):
        here = tmp_path / f"{before}"
        shutil.copytree(ws.path, here / "ws")
        shutil.copytree(published, here / "out")
        shutil.copytree(tmp_path / "known", here / "known")
        cut = killed(publisher, here / "ws", here / "out", before)
        fresh = await Device(anchor, here / "fresh").sees(here / "out")
        seen.append(fresh)
        assert await Device(anchor, here / "known").sees(here / "out") == fresh
        publish(Workspace.open(here / "ws"), here / "out", now=NOW)
        assert await Device(anchor, here / "known").sees(here / "out") == ("1.0.0", "1.1.0")
        assert await Device(anchor, here / "fresh").sees(here / "out") == ("1.0.0", "1.1.0")
        shutil.rmtree(here)
        if not cut:
            break
    assert len(seen) > 20
    old, new = seen.count(("1.0.0",)), seen.count(("1.0.0", "1.1.0"))
    assert seen == [("1.0.0",)] * old + [("1.0.0", "1.1.0")] * new  # one moment, and no way back from it
    assert new >= 2
