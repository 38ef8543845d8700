"""The first ceremony: keys, thresholds, certificates, and who can sign what with which keys."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tuf.api.metadata import Metadata, Root, Targets

from otad.errors import Rejected
from otad.publisher import roles, signing
from otad.publisher.keys import KeyType
from otad.publisher.publish import publish
from otad.publisher.workspace import Ceremony, Workspace
from tests.support.published import NOW, Reader, added


def test_root_and_targets_need_two_of_three(ws: Workspace) -> None:
    root = ws.roles.root()
    for role in ("root", "targets"):
        assert root.roles[role].threshold == 2
        assert len(root.roles[role].keyids) == 3
    assert root.consistent_snapshot
    assert not set(root.roles["root"].keyids) & set(root.roles["targets"].keyids)


def test_delegations_end_the_search_and_cover_only_their_own(ws: Workspace) -> None:
    delegations = ws.roles.targets("targets").delegations
    assert delegations is not None
    assert delegations.roles is not None
    found = {name: (role.terminating, role.paths) for name, role in delegations.roles.items()}
    assert found == {"releases": (True, ["releases/*/*", "encodings/*/*"]), "rollouts": (True, ["rollouts/*"])}


def test_signatures_last_as_long_as_agreed(ws: Workspace, out: Path) -> None:
    publish(ws, out, now=NOW)
    lives = {role: Metadata.from_file(str(ws.roles.path(role, 1))).signed.expires - NOW for role in roles.ROLES}
    assert lives["root"] == lives["targets"] == timedelta(days=395)
    assert lives["releases"] == timedelta(days=183)
    assert lives["rollouts"] == lives["snapshot"] == timedelta(days=7)
    assert lives["timestamp"] == timedelta(hours=48)


def test_lifetimes_are_remembered(tmp_path: Path) -> None:
    ceremony = Ceremony(bundle_type=KeyType.EC, lifetimes={"releases": timedelta(days=3)})
    Workspace.create(tmp_path / "short", "camera", ceremony, now=NOW)
    assert Workspace.open(tmp_path / "short").roles.lifetimes["releases"] == timedelta(days=3)


def test_rsa_keys_sign_with_pss(ws: Workspace, out: Path, tmp_path: Path) -> None:
    """One role signed by RSA-4096: python-tuf takes it. (All roles would be six keys, and as many seconds.)"""
    key = ws.keys.make("rsa1", KeyType.RSA)
    assert (key.keytype, key.scheme, len(key.keyval["public"]) > 700) == ("rsa", "rsassa-pss-sha256", True)
    targets = ws.roles.targets("targets")
    targets.revoke_key(ws.keys.public()["releases"].keyid, "releases")
    targets.add_key(key, "releases")
    ws.roles.save("targets", targets, now=NOW)
    added(ws, "1.0.0")
    publish(ws, out, now=NOW)
    assert Reader(out, ws.anchor, tmp_path / "device").target("releases/camera/1.0.0.json") is not None


def test_swupdate_certificates_never_run_out(ws: Workspace) -> None:
    for name in ("swupdate-ca", "swupdate"):
        found = x509.load_pem_x509_certificate((ws.keys.path / f"{name}.crt").read_bytes())
        assert (found.not_valid_before_utc.year, found.not_valid_after_utc.year) == (1970, 9999)


def test_private_files_are_private(ws: Workspace) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in ws.keys.path.glob("*.pem")}
    assert set(modes.values()) == {0o600}


def test_an_image_carries_a_root_that_signs_itself(ws: Workspace) -> None:
    metadata = Metadata[Root].from_file(str(ws.anchor))
    assert metadata.signed.get_root_verification_result(None, metadata.signed_bytes, metadata.signatures)


def test_a_passphrase_is_asked_for_where_it_is_needed(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "ws", "camera", Ceremony(bundle_type=KeyType.EC, passphrase=b"secret"), now=NOW)
    assert all(b"ENCRYPTED" in file.read_bytes() for file in (tmp_path / "ws" / "keys").glob("*.pem"))
    with pytest.raises(Rejected) as locked:
        added(Workspace.open(tmp_path / "ws"), "1.0.0")
    assert locked.value.cause.code == "key-locked"
    with pytest.raises(Rejected, match="cannot open the key"):
        added(Workspace.open(tmp_path / "ws", lambda _: b"guess"), "1.0.0")
    added(Workspace.open(tmp_path / "ws", lambda _: b"secret"), "1.0.0")


def test_with_fewer_keys_than_the_threshold_nothing_stands(ws: Workspace) -> None:
    for name in ("targets1", "targets2"):
        (ws.keys.path / f"{name}.pem").unlink()
    ws.roles.save("targets", ws.roles.targets("targets"), now=NOW)
    assert ws.roles.version("targets") == 1
    assert ws.roles.proposal("targets") is not None


def test_the_online_key_cannot_sign_a_release(ws: Workspace) -> None:
    (ws.keys.path / "releases.pem").unlink()
    added(ws, "1.0.0")
    assert ws.roles.version("releases") == 1
    assert [str(one) for one in signing.waiting(ws)] == ["releases 2 needs 1 more signature of 1: key releases"]
    ws.roles.save("rollouts", Targets(expires=NOW), now=NOW)


@pytest.mark.parametrize(
    ("ceremony", "code"),
    [
        (Ceremony(threshold=4), "threshold-impossible"),
        (Ceremony(threshold=0), "threshold-impossible"),
        (Ceremony(lifetimes={"relases": timedelta(1)}), "role-unknown"),
    ],
)
def test_an_impossible_ceremony_leaves_nothing(tmp_path: Path, ceremony: Ceremony, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        Workspace.create(tmp_path / "ws", "camera", ceremony, now=NOW)
    assert refused.value.cause.code == code
    assert not (tmp_path / "ws").exists()


def test_a_workspace_is_never_made_over_something(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="is not empty"):
        Workspace.create(ws.path, "camera", now=NOW)
    with pytest.raises(Rejected, match="no otarepo workspace"):
        Workspace.open(tmp_path)
