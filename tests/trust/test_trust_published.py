"""What otarepo publishes, as a device takes it up: the two sides meet in files only."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from otad.publisher import rotation
from otad.publisher.keys import KeyType
from otad.publisher.publish import publish, refresh
from otad.publisher.workspace import Ceremony, Workspace
from otad.trust.client import Repository
from otad.trust.clock import Clock
from otad.trust.store import Store
from tests.support.folder import Folder
from tests.support.published import NOW, rolled_out


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws", "camera", Ceremony(bundle_type=KeyType.EC), now=NOW)


async def test_a_life(ws: Workspace, tmp_path: Path) -> None:
    out, anchor = tmp_path / "public", tmp_path / "root.json"
    rolled_out(ws, "1.0.0")
    publish(ws, out, now=NOW)
    anchor.write_bytes((out / "metadata/1.root.json").read_bytes())
    time = [NOW]

    def device(*, synchronised: bool = True) -> Repository:
        clock = Clock(NOW, lambda: synchronised, lambda: time[0])
        return Repository(Folder(out), Store(tmp_path / "trust", anchor), clock, product="camera", channel="stable")

    repository = device()
    found = await repository.refresh()
    (campaign,) = found.rollouts.campaigns
    listed = found.releases["1.0.0"]
    assert (campaign.version, campaign.sha256) == ("1.0.0", listed.sha256)
    assert set(listed.grant.channels) == {"stable"}
    document = await repository.release("1.0.0", listed.sha256)
    encodings = await repository.encodings("1.0.0", listed.sha256)
    assert set(encodings.of) == {payload.sha256 for payload in document.payloads}

    for day, role in enumerate(("root", "targets", "releases", "rollouts", "snapshot", "timestamp"), 1):
        time[0] = NOW + timedelta(days=day)
        rotation.rotate(ws, role, now=time[0])
        publish(ws, out, now=time[0])
        assert (await device().refresh()).as_of == time[0], role
    rolled_out(ws, "1.1.0")
    publish(ws, out, now=time[0])
    assert set((await device().refresh()).releases) == {"1.0.0", "1.1.0"}

    time[0] = NOW + timedelta(days=12)  # beyond the roll-outs' and the snapshot's first week
    refresh(ws, out, now=time[0])
    assert (await device(synchronised=False).refresh()).reading.now == time[0]
    assert device().cached() is not None
