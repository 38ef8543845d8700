"""Who signed, and how often: wrong keys, thresholds that are not met, and what stands outside of a signature."""

from __future__ import annotations

import pytest
from securesystemslib.signer import CryptoSigner

from otad.errors import Rejected, RetryLater
from tests.support.trust_device import Device
from tests.support.tuf_attacks import TOP, name_of, publish, refused, rewrite
from tests.support.tuf_repository import NOW, TufRepository, TufServer


@pytest.mark.parametrize("role", TOP)
async def test_wrong_key(device: Device, repo: TufRepository, role: str) -> None:
    await device.repository().refresh()
    publish(repo, role)
    repo.seal(role, [CryptoSigner.generate_ed25519() for _ in range(3)])
    cause = await refused(device, Rejected)
    assert cause.code == "wrong-key"
    assert f"{device.url}metadata/{name_of(repo, role)}" in cause.what


@pytest.mark.parametrize("role", ["root", "targets"])
async def test_threshold_not_met(device: Device, repo: TufRepository, role: str) -> None:
    await device.repository().refresh()
    if role == "root":
        repo.publish_root()
    else:
        repo.publish(role)
    stranger = CryptoSigner.generate_ed25519()
    repo.seal(role, [repo.signers[role][0], stranger])
    cause = await refused(device, Rejected)
    assert cause.code == "wrong-threshold"
    assert cause.evidence["signatures"] == "1 of 2"


async def test_rsa_pss_keys_count_like_any_other(device: Device, repo: TufRepository) -> None:
    repo.signers["releases"] = [CryptoSigner.generate_rsa(scheme="rsassa-pss-sha256", size=2048)]
    repo.delegate(releases=["releases/*/*", "encodings/*/*"], rollouts=["rollouts/*"])
    repo.publish("targets", "releases")
    await device.repository().refresh()
    repo.publish("releases")
    repo.seal("releases", [CryptoSigner.generate_rsa(scheme="rsassa-pss-sha256", size=2048)])
    assert (await refused(device, Rejected)).code == "wrong-key"


async def test_one_key_under_two_signatures_counts_once(device: Device, repo: TufRepository) -> None:
    repo.publish("targets")
    signer = repo.signers["targets"][0]
    repo.seal("targets", [signer, signer])
    assert (await refused(device, Rejected)).code == "wrong-threshold"


async def test_one_signature_written_twice_is_no_metadata(device: Device, repo: TufRepository) -> None:
    repo.publish("targets")
    repo.seal("targets", repo.signers["targets"][:1])
    rewrite(repo, "2.targets.json", lambda whole: whole["signatures"].append(whole["signatures"][0]))
    cause = await refused(device, RetryLater)
    assert cause.code == "not-metadata"
    assert "Multiple signatures found for keyid" in cause.what


async def test_one_key_named_twice_for_a_role_is_no_metadata(device: Device, repo: TufRepository) -> None:
    repo.root.roles["timestamp"].keyids *= 2
    repo.root.roles["timestamp"].threshold = 2
    repo.publish_root()
    assert (await refused(device, RetryLater)).code == "not-metadata"


async def test_a_threshold_of_none_is_no_metadata(device: Device, repo: TufRepository) -> None:
    repo.root.roles["timestamp"].threshold = 0
    repo.publish_root()
    assert (await refused(device, RetryLater)).code == "not-metadata"


async def test_a_key_of_another_role_does_not_count(device: Device, repo: TufRepository) -> None:
    """The online keys sign targets, as often as the threshold wants."""
    repo.publish("targets")
    repo.seal("targets", [repo.signers[role][0] for role in ("timestamp", "snapshot", "rollouts")])
    assert (await refused(device, Rejected)).code == "wrong-key"


async def test_what_stands_outside_of_the_signature_is_not_read(device: Device, repo: TufRepository) -> None:
    rewrite(repo, "timestamp.json", lambda whole: whole.update({"x-issued": "2999-01-01T00:00:00Z", "version": 99}))
    device.synchronised = False
    assert (await device.repository().refresh()).reading.now == NOW


async def test_a_changed_field_inside_is(device: Device, repo: TufRepository) -> None:
    rewrite(repo, "timestamp.json", lambda whole: whole["signed"].update({"x-issued": "2999-01-01T00:00:00Z"}))
    assert (await refused(device, Rejected)).code == "wrong-key"


async def test_the_last_of_two_equal_names_is_both_verified_and_read(device: Device, repo: TufRepository) -> None:
    """A parser that verifies the one and reads the other would believe anything."""
    whole = repo.files["metadata/timestamp.json"]
    repo.files["metadata/timestamp.json"] = whole.replace(b'"version"', b'"version": 99, "version"')
    await device.repository().refresh()
    repo.files["metadata/timestamp.json"] = whole.replace(b'"x-issued"', b'"version": 99, "x-issued"')
    assert (await refused(device, Rejected)).code == "wrong-key"


async def test_a_root_that_its_own_keys_did_not_sign(device: Device, repo: TufRepository) -> None:
    old = list(repo.signers["root"])
    repo.rotate("root")
    repo.root.version += 1
    repo.sign("root", old)
    assert (await refused(device, Rejected)).code == "wrong-key"


async def test_a_root_of_another_version(device: Device, repo: TufRepository) -> None:
    repo.publish_root()
    repo.publish_root()
    repo.files["metadata/2.root.json"] = repo.files["metadata/3.root.json"]
    assert (await refused(device, Rejected)).code == "rollback-attack"


async def test_asked_once_more_and_no_more(device: Device, repo: TufRepository, server: TufServer) -> None:
    repo.seal("timestamp", [CryptoSigner.generate_ed25519()])
    await refused(device, Rejected)
    assert [path for path in server.paths() if path == "metadata/timestamp.json"] == ["metadata/timestamp.json"] * 2
