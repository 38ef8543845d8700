"""Keys change, and devices that know only the first root follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from otad.errors import OtadError, Rejected
from otad.publisher import rotation, signing
from otad.publisher.keys import KeyType
from otad.publisher.publish import publish, refresh
from otad.publisher.roles import ROLES
from otad.publisher.workspace import Ceremony, Workspace
from tests.support.published import NOW, Reader, rolled_out


@pytest.mark.parametrize("role", ROLES)
def test_a_device_with_the_first_root_follows_every_rotation(ws: Workspace, published: Path, tmp_path: Path, role: str) -> None:
    first = ws.anchor
    old, new = rotation.rotate(ws, role, now=NOW)
    publish(ws, published, now=NOW)
    rolled_out(ws, "1.1.0")
    publish(ws, published, now=NOW)
    refresh(ws, published, now=NOW)
    assert Reader(published, first, tmp_path / "device").target("releases/camera/1.1.0.json") is not None
    holders = ws.roles.holders(role)
    assert ws.keys.public()[new].keyid in holders.keyids
    assert old not in ws.keys.public()
    assert (ws.keys.path / "retired" / f"{old}.pem").exists()


def test_all_root_keys_can_be_replaced_one_by_one(ws: Workspace, published: Path, tmp_path: Path) -> None:
    first = ws.anchor
    assert [rotation.rotate(ws, "root", now=NOW)[1] for _ in range(3)] == ["root4", "root5", "root6"]
    publish(ws, published, now=NOW)
    Reader(published, first, tmp_path / "device")
    assert [name for name in ws.keys.public() if name.startswith("root")] == ["root4", "root5", "root6"]
    assert (ws.roles.root().version, ws.roles.root().roles["root"].threshold) == (4, 2)


def test_the_only_root_key_signs_its_successor(tmp_path: Path) -> None:
    ceremony = Ceremony(bundle_type=KeyType.EC, threshold=1, root_keys=1, targets_keys=1)
    ws = Workspace.create(tmp_path / "ws", "camera", ceremony, now=NOW)
    first = ws.anchor
    rotation.rotate(ws, "root", now=NOW)
    publish(ws, tmp_path / "out", now=NOW)
    assert Reader(tmp_path / "out", first, tmp_path / "device").updater.get_targetinfo("rollouts/stable.json") is None
    assert ws.roles.root().version == 2


def test_a_root_that_the_old_keys_did_not_sign_only_waits(ws: Workspace) -> None:
    for name in ("root2", "root3"):
        (ws.keys.path / f"{name}.pem").unlink()
    rotation.rotate(ws, "root", "root1", now=NOW)
    assert [str(one) for one in signing.waiting(ws)] == ["root 2 needs 1 more signature of 2: keys root2, root3"]
    assert ws.roles.version("root") == 1
    assert "root1" in ws.keys.public()


def test_an_online_key_that_is_not_here_is_missed(ws: Workspace) -> None:
    (ws.keys.path / "rollouts.pem").unlink()
    with pytest.raises(OtadError, match="cannot sign rollouts: it needs 1 more signature of 1: key rollouts") as refused:
        rotation.renew(ws, "rollouts", now=NOW)
    assert refused.value.cause.code == "keys-missing"


def test_a_key_can_be_added(ws: Workspace, published: Path, tmp_path: Path) -> None:
    first = ws.anchor
    assert rotation.add(ws, "releases", now=NOW) == "releases2"
    (ws.keys.path / "releases.pem").unlink()
    rolled_out(ws, "1.1.0")
    publish(ws, published, now=NOW)
    assert Reader(published, first, tmp_path / "device").target("releases/camera/1.1.0.json") is not None


def test_a_chosen_key_is_replaced_and_an_unknown_one_named(ws: Workspace) -> None:
    assert rotation.rotate(ws, "root", "root2", now=NOW) == ("root2", "root4")
    with pytest.raises(Rejected, match=r"root2 is not a key of root \(those are: root1, root3, root4\)"):
        rotation.rotate(ws, "root", "root2", now=NOW)
    with pytest.raises(Rejected, match="no role mirrors"):
        rotation.rotate(ws, "mirrors", now=NOW)


def test_an_encrypted_key_has_an_encrypted_successor(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "ws", "camera", Ceremony(bundle_type=KeyType.EC, passphrase=b"secret"), now=NOW)
    ws = Workspace.open(tmp_path / "ws", lambda _: b"secret")
    _, new = rotation.rotate(ws, "rollouts", now=NOW)
    assert ws.keys.locked(new)


def test_renewing_what_publishing_signs_is_refused(ws: Workspace) -> None:
    with pytest.raises(Rejected, match="timestamp cannot be renewed here"):
        rotation.renew(ws, "timestamp", now=NOW)
