"""Signatures of several people on several machines: each has one key, and what they make together is published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from otad.errors import OtadError, Rejected
from otad.publisher import grants, notation, release, rollout, rotation, signing
from otad.publisher.keys import KeyFolder, KeyType, signer_of
from otad.publisher.publish import publish, refresh
from otad.publisher.request import Request
from otad.publisher.workspace import Workspace
from tests.support.published import BOARD, FAST, NOW, Reader, packed

OFFLINE = ("root1", "root2", "root3", "targets1", "targets2", "targets3", "releases")


@pytest.fixture
def safes(ws: Workspace, published: Path, tmp_path: Path) -> Path:
    """Every offline key in a safe of its own; the workspace has been published and keeps the online keys."""
    for name in OFFLINE:
        (tmp_path / name).mkdir()
        shutil.move(ws.keys.path / f"{name}.pem", tmp_path / name / f"{name}.pem")
    return tmp_path


def signed(safes: Path, request: Request, name: str) -> Request:
    """What the holder of key `name` makes of a request that came as a file."""
    read = Request.decode(request.encode(), "request")
    return signing.add(read, signer_of(safes / name / f"{name}.pem"), name)


def waits(ws: Workspace) -> list[str]:
    return [str(one) for one in signing.waiting(ws)]


def code(refused: pytest.ExceptionInfo[Rejected]) -> str:
    return refused.value.cause.code


def test_two_people_sign_and_then_it_is_published(ws: Workspace, published: Path, safes: Path) -> None:
    rotation.renew(ws, "targets", now=NOW)
    assert waits(ws) == ["targets 2 needs 2 more signatures of 2: keys targets1, targets2, targets3"]
    with pytest.raises(Rejected, match=r"targets 2 needs 2 more signatures of 2: keys targets1, ") as refused:
        publish(ws, published, now=NOW)
    assert code(refused) == "signatures-missing"
    refresh(ws, published, now=NOW)  # the fleet is kept alive meanwhile

    first = signed(safes, signing.request(ws, "targets"), "targets3")
    signing.take(ws, first)
    with pytest.raises(Rejected, match=r"targets 2 needs 1 more signature of 2: keys targets1, targets2\. "):
        publish(ws, published, now=NOW)
    signing.take(ws, signed(safes, signing.request(ws, "targets"), "targets1"))
    assert waits(ws) == []
    assert ws.roles.version("targets") == 2
    assert not list((ws.path / "pending").iterdir())
    publish(ws, published, now=NOW)
    assert (published / "metadata" / "2.targets.json").exists()


def test_they_may_sign_side_by_side_or_one_after_the_other(ws: Workspace, safes: Path) -> None:
    rotation.renew(ws, "root", now=NOW)
    request = signing.request(ws, "root")
    side = [signed(safes, request, name) for name in ("root1", "root2")]
    for one in side:
        signing.take(ws, one)
    assert ws.roles.version("root") == 2
    rotation.renew(ws, "root", now=NOW)
    chain = signed(safes, signed(safes, signing.request(ws, "root"), "root2"), "root3")
    assert chain.lacks() == ""
    signing.take(ws, chain)
    assert ws.roles.version("root") == 3


def test_a_key_signs_once(ws: Workspace, safes: Path) -> None:
    rotation.renew(ws, "targets", now=NOW)
    once = signed(safes, signing.request(ws, "targets"), "targets1")
    with pytest.raises(Rejected, match=r"targets1 \(targets1\) has signed this targets already") as refused:
        signed(safes, once, "targets1")
    assert code(refused) == "key-signed"
    assert "needs 1 more signature of 2: keys targets2, targets3" in refused.value.cause.remedy
    signing.take(ws, once)
    with pytest.raises(Rejected, match="no signature of targets 2 is new") as refused:
        signing.take(ws, once)
    assert code(refused) == "signature-known"


def test_keys_of_others_are_refused_when_they_sign_and_when_they_come_in(ws: Workspace, safes: Path, tmp_path: Path) -> None:
    rotation.renew(ws, "targets", now=NOW)
    request = signing.request(ws, "targets")
    with pytest.raises(Rejected, match="none of the keys that sign targets: targets1, targets2, targets3") as refused:
        signed(safes, request, "root1")
    assert code(refused) == "key-not-asked"
    stranger = KeyFolder(tmp_path / "stranger")
    stranger.make("targets1", KeyType.ED25519)
    with pytest.raises(Rejected, match=r"targets1 .*none of the keys"):
        signing.add(request, signer_of(tmp_path / "stranger" / "targets1.pem"), "targets1")
    forged = json.loads(signed(safes, request, "targets1").encode())
    forged["metadata"]["signatures"][0]["keyid"] = "ab" * 32
    with pytest.raises(Rejected, match="none of the keys that sign targets") as refused:
        signing.take(ws, Request.model_validate(forged))
    assert code(refused) == "key-not-asked"
    assert waits(ws) == ["targets 2 needs 2 more signatures of 2: keys targets1, targets2, targets3"]


def test_a_signature_that_does_not_verify_is_refused_by_name(ws: Workspace, safes: Path) -> None:
    rotation.renew(ws, "targets", now=NOW)
    forged = json.loads(signed(safes, signing.request(ws, "targets"), "targets1").encode())
    forged["metadata"]["signatures"][0]["sig"] = "00" * 64
    with pytest.raises(Rejected, match="the signature of targets1 is not over this targets") as refused:
        signing.take(ws, Request.model_validate(forged))
    assert code(refused) == "signature-wrong"


def test_what_changed_since_is_not_taken(ws: Workspace, safes: Path) -> None:
    rotation.renew(ws, "targets", now=NOW)
    old = signed(safes, signing.request(ws, "targets"), "targets1")
    rotation.add(ws, "releases", now=NOW)
    with pytest.raises(Rejected, match="has changed since") as refused:
        signing.take(ws, old)
    assert code(refused) == "request-differs"


def test_a_signer_sees_which_key_comes_and_which_goes(ws: Workspace, safes: Path) -> None:
    rotation.rotate(ws, "releases", now=NOW)
    lines = list(signing.request(ws, "targets").changes())
    assert "- delegations keys releases" in lines
    assert "- delegations roles releases keyids releases" in lines
    assert "+ delegations roles releases keyids releases2" in lines
    assert not any("rollouts" in line for line in lines)  # what stays is not told


def test_nothing_waits(ws: Workspace) -> None:
    for role in ("targets", "timestamp", "mirrors"):
        with pytest.raises(Rejected, match=f"no {role} waits for signatures .*there waits: nothing") as refused:
            signing.request(ws, role)
        assert code(refused) == "nothing-waits"


def test_changes_gather_until_they_are_signed(ws: Workspace, published: Path, safes: Path, tmp_path: Path) -> None:
    """A release, its opening and its way back are one signature, by a machine that has the key and no workspace."""
    swu = packed(ws, "1.1.0")
    release.add(ws, release.NewRelease("1.1.0", [BOARD], swu), FAST, now=NOW)
    with pytest.raises(Rejected, match=r"no release 1\.1\.0"):
        rollout.start(ws, "stable", rollout.NewCampaign("1.1.0"), now=NOW)  # the online key goes by what stands
    grants.open_channel(ws, "stable", "1.1.0", notation.curve("0:100%"), None, now=NOW)
    grants.allow_back(ws, "1.1.0", ["1.0.0"], now=NOW)
    assert not release.add(ws, release.NewRelease("1.1.0", [BOARD], swu), FAST, now=NOW)
    assert waits(ws) == ["releases 4 needs 1 more signature of 1: key releases"]

    request = signing.request(ws, "releases")
    seen = "\n".join(request.changes())
    assert "+ targets releases/camera/1.1.0.json" in seen
    assert "'back_to': ['1.0.0']" in seen
    assert "version: 3 -> 4" in seen
    signing.take(ws, signed(safes, request, "releases"))
    rollout.start(ws, "stable", rollout.NewCampaign("1.1.0"), now=NOW)
    publish(ws, published, now=NOW)
    target = Reader(published, ws.roles.path("root", 1), tmp_path / "device").target("releases/camera/1.1.0.json")
    assert target is not None
    assert release.grant_of(target).back_to == ("1.0.0",)


@pytest.mark.parametrize("role", ["root", "targets", "releases", "rollouts", "snapshot", "timestamp"])
def test_a_key_is_rotated_by_those_who_hold_the_keys_above_it(
    ws: Workspace, published: Path, safes: Path, tmp_path: Path, role: str
) -> None:
    """Until they have signed, the old key is in use; then the new one is, and devices follow."""
    old, new = rotation.rotate(ws, role, now=NOW)
    assert waits(ws)
    assert old in ws.keys.public()
    refresh(ws, published, now=NOW)
    rollout.pause(ws, "stable", now=NOW)
    for _ in range(4):
        for waiting in signing.waiting(ws)[:1]:
            request = signing.request(ws, waiting.role)
            for name in OFFLINE:
                if name in request.lacks():
                    request = signed(safes, request, name)
            signing.take(ws, request)
    assert waits(ws) == []
    assert new in ws.keys.public()
    assert old not in ws.keys.public()
    publish(ws, published, now=NOW)
    refresh(ws, published, now=NOW)
    assert ws.keys.public()[new].keyid in ws.roles.holders(role).keyids
    reader = Reader(published, ws.roles.path("root", 1), tmp_path / "device")
    assert reader.target("releases/camera/1.0.0.json") is not None


def test_what_waits_can_be_given_up(ws: Workspace, published: Path, safes: Path) -> None:
    rotation.rotate(ws, "timestamp", now=NOW)
    signing.drop(ws, "root")
    assert waits(ws) == []
    publish(ws, published, now=NOW)
    with pytest.raises(Rejected, match="no root waits"):
        signing.drop(ws, "root")


def test_a_proposal_that_was_overtaken_is_none(ws: Workspace, published: Path, safes: Path) -> None:
    """A copy of the workspace that had the keys went on, and its metadata came back."""
    rotation.renew(ws, "targets", now=NOW)
    shutil.copytree(ws.path, safes / "copy")
    copy = Workspace.open(safes / "copy")
    for name in ("targets1", "targets2"):
        shutil.copy(safes / name / f"{name}.pem", copy.keys.path)
    rotation.renew(copy, "targets", now=NOW)
    shutil.copy(copy.roles.path("targets", 2), ws.roles.path("targets", 2))
    assert waits(ws) == []
    publish(ws, published, now=NOW)


@pytest.mark.parametrize("change", [{"metadata": {}}, {"judges": ({},)}, {"metadata": {"signed": 1, "signatures": 2}}])
def test_a_request_that_is_none(ws: Workspace, safes: Path, change: dict[str, object]) -> None:
    rotation.renew(ws, "targets", now=NOW)
    broken = signing.request(ws, "targets").model_copy(update=change)
    with pytest.raises(Rejected, match="no request for signatures"):
        signed(safes, broken, "targets1")


def test_keys_for_bundles_sign_no_metadata(ws: Workspace, safes: Path, tmp_path: Path) -> None:
    rotation.renew(ws, "targets", now=NOW)
    with pytest.raises(OtadError):
        signing.add(signing.request(ws, "targets"), signer_of(ws.keys.path / "swupdate.pem"), "swupdate")
    (tmp_path / "x.pem").write_text("no key")
    with pytest.raises(Rejected, match="cannot open the key"):
        signer_of(tmp_path / "x.pem")
