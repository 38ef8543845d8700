"""What a mirror, a stolen key or a careless publisher can serve, each answered with a cause that names it."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile

from otad.errors import Cause, Corrupt, OtadError, Rejected, RetryLater, Who
from tests.support.trust_device import Device
from tests.support.tuf_repository import DAY, NOW, TufRepository, TufServer, release

TOP = ("targets", "releases", "rollouts", "snapshot", "timestamp")

TYPES = {"root": "root", "timestamp": "timestamp", "snapshot": "snapshot"}  # the others are "targets": their keys tell them apart
CONFUSED = [(a, b) for a in TOP for b in ("root", *TOP) if TYPES.get(a) != TYPES.get(b)]
CONFUSED += [("releases", "rollouts"), ("rollouts", "releases")]  # told apart by what they may list


async def refused(device: Device, kind: type[OtadError]) -> Cause:
    """What the next refresh is refused for; what was trusted before stays trusted."""
    before = device.repository().cached()
    with pytest.raises(OtadError) as caught:
        await device.repository().refresh()
    assert isinstance(caught.value, kind)
    after = device.repository().cached()
    assert (after and after.releases) == (before and before.releases)
    assert caught.value.cause.remedy
    return caught.value.cause


def trust_then_publish(repo: TufRepository, role: str) -> None:
    """A new version of `role` and of what leads to it."""
    if role == "timestamp":
        repo.publish_timestamp()
    elif role == "snapshot":
        repo.publish_snapshot()
    else:
        repo.publish(role)


def name_of(repo: TufRepository, role: str) -> str:
    return "timestamp.json" if role == "timestamp" else f"{repo.signed[role].version}.{role}.json"


def rewrite(repo: TufRepository, name: str, change: Callable[[Any], None]) -> None:
    """Change a file of metadata as JSON, leaving its signatures as they are."""
    whole = json.loads(repo.files[f"metadata/{name}"])
    change(whole)
    repo.files[f"metadata/{name}"] = json.dumps(whole).encode()


class TestSignatures:
    @pytest.mark.parametrize("role", TOP)
    async def test_wrong_key(self, device: Device, repo: TufRepository, role: str) -> None:
        await device.repository().refresh()
        trust_then_publish(repo, role)
        repo.seal(role, [CryptoSigner.generate_ed25519() for _ in range(3)])
        cause = await refused(device, Rejected)
        assert cause.code == "wrong-key"
        assert f"{device.url}metadata/{name_of(repo, role)}" in cause.what

    @pytest.mark.parametrize("role", ["root", "targets"])
    async def test_threshold_not_met(self, device: Device, repo: TufRepository, role: str) -> None:
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

    async def test_rsa_pss_keys_count_like_any_other(self, device: Device, repo: TufRepository) -> None:
        repo.signers["releases"] = [CryptoSigner.generate_rsa(scheme="rsassa-pss-sha256", size=2048)]
        repo.delegate(releases=["releases/*/*", "encodings/*/*"], rollouts=["rollouts/*"])
        repo.publish("targets", "releases")
        await device.repository().refresh()
        repo.publish("releases")
        repo.seal("releases", [CryptoSigner.generate_rsa(scheme="rsassa-pss-sha256", size=2048)])
        assert (await refused(device, Rejected)).code == "wrong-key"

    async def test_one_key_under_two_signatures_counts_once(self, device: Device, repo: TufRepository) -> None:
        repo.publish("targets")
        signer = repo.signers["targets"][0]
        repo.seal("targets", [signer, signer])
        assert (await refused(device, Rejected)).code == "wrong-threshold"

    async def test_one_signature_written_twice_is_no_metadata(self, device: Device, repo: TufRepository) -> None:
        repo.publish("targets")
        repo.seal("targets", repo.signers["targets"][:1])
        rewrite(repo, "2.targets.json", lambda whole: whole["signatures"].append(whole["signatures"][0]))
        cause = await refused(device, RetryLater)
        assert cause.code == "not-metadata"
        assert "Multiple signatures found for keyid" in cause.what

    async def test_one_key_named_twice_for_a_role_is_no_metadata(self, device: Device, repo: TufRepository) -> None:
        repo.root.roles["timestamp"].keyids *= 2
        repo.root.roles["timestamp"].threshold = 2
        repo.publish_root()
        assert (await refused(device, RetryLater)).code == "not-metadata"

    async def test_a_threshold_of_none_is_no_metadata(self, device: Device, repo: TufRepository) -> None:
        repo.root.roles["timestamp"].threshold = 0
        repo.publish_root()
        assert (await refused(device, RetryLater)).code == "not-metadata"

    async def test_a_key_of_another_role_does_not_count(self, device: Device, repo: TufRepository) -> None:
        """The online keys sign targets, as often as the threshold wants."""
        repo.publish("targets")
        repo.seal("targets", [repo.signers[role][0] for role in ("timestamp", "snapshot", "rollouts")])
        assert (await refused(device, Rejected)).code == "wrong-key"

    async def test_what_stands_outside_of_the_signature_is_not_read(self, device: Device, repo: TufRepository) -> None:
        rewrite(repo, "timestamp.json", lambda whole: whole.update({"x-issued": "2999-01-01T00:00:00Z", "version": 99}))
        device.synchronised = False
        assert (await device.repository().refresh()).reading.now == NOW

    async def test_a_changed_field_inside_is(self, device: Device, repo: TufRepository) -> None:
        rewrite(repo, "timestamp.json", lambda whole: whole["signed"].update({"x-issued": "2999-01-01T00:00:00Z"}))
        assert (await refused(device, Rejected)).code == "wrong-key"

    async def test_the_last_of_two_equal_names_is_both_verified_and_read(self, device: Device, repo: TufRepository) -> None:
        """A parser that verifies the one and reads the other would believe anything."""
        whole = repo.files["metadata/timestamp.json"]
        repo.files["metadata/timestamp.json"] = whole.replace(b'"version"', b'"version": 99, "version"')
        await device.repository().refresh()
        repo.files["metadata/timestamp.json"] = whole.replace(b'"x-issued"', b'"version": 99, "x-issued"')
        assert (await refused(device, Rejected)).code == "wrong-key"

    async def test_a_root_that_its_own_keys_did_not_sign(self, device: Device, repo: TufRepository) -> None:
        old = list(repo.signers["root"])
        repo.rotate("root")
        repo.root.version += 1
        repo.sign("root", old)
        assert (await refused(device, Rejected)).code == "wrong-key"

    async def test_a_root_of_another_version(self, device: Device, repo: TufRepository) -> None:
        repo.publish_root()
        repo.publish_root()
        repo.files["metadata/2.root.json"] = repo.files["metadata/3.root.json"]
        assert (await refused(device, Rejected)).code == "rollback-attack"

    async def test_asked_once_more_and_no_more(self, device: Device, repo: TufRepository, server: TufServer) -> None:
        repo.seal("timestamp", [CryptoSigner.generate_ed25519()])
        await refused(device, Rejected)
        assert [path for path in server.paths() if path == "metadata/timestamp.json"] == ["metadata/timestamp.json"] * 2


class TestRollback:
    async def test_older_timestamp_is_a_stale_mirror(self, device: Device, repo: TufRepository) -> None:
        old = repo.files["metadata/timestamp.json"]
        repo.publish_timestamp()
        await device.repository().refresh()
        repo.files["metadata/timestamp.json"] = old
        cause = await refused(device, RetryLater)
        assert (cause.code, cause.evidence) == ("stale-mirror", {"found": "1", "trusted": "2"})

    async def test_newer_timestamp_names_an_older_snapshot(self, device: Device, repo: TufRepository) -> None:
        repo.publish_snapshot()
        await device.repository().refresh()
        repo.snapshot.version = 1
        repo.publish_timestamp()
        assert (await refused(device, Rejected)).code == "rollback-attack"

    @pytest.mark.parametrize("role", ["targets", "releases", "rollouts"])
    async def test_newer_snapshot_names_older_metadata(self, device: Device, repo: TufRepository, role: str) -> None:
        repo.publish(role)
        await device.repository().refresh()
        repo.snapshot.meta[f"{role}.json"] = MetaFile(1)
        repo.publish_snapshot()
        assert (await refused(device, Rejected)).code == "rollback-attack"

    @pytest.mark.parametrize("role", ["targets", "releases", "rollouts"])
    async def test_newer_snapshot_leaves_a_role_out(self, device: Device, repo: TufRepository, role: str) -> None:
        await device.repository().refresh()
        del repo.snapshot.meta[f"{role}.json"]
        repo.publish_snapshot()
        assert (await refused(device, Rejected)).code == "rollback-attack"

    async def test_a_hash_of_the_snapshot_does_not_undo_it(self, device: Device, repo: TufRepository) -> None:
        repo.publish("releases")
        await device.repository().refresh()
        repo.snapshot.meta["releases.json"] = MetaFile(1)
        repo.publish_snapshot()
        data = repo.files["metadata/3.snapshot.json"]
        repo.timestamp.snapshot_meta = MetaFile(3, len(data), {"sha256": hashlib.sha256(data).hexdigest()})
        repo.sign("timestamp")
        assert (await refused(device, Rejected)).code == "rollback-attack"

    async def test_rotating_the_online_keys_ends_a_fast_forward(self, device: Device, repo: TufRepository) -> None:
        """TUF 5.3.11: who held the online keys signed version 2**31; after the rotation, small numbers are accepted again."""
        honest = copy.deepcopy(repo.signed)
        repo.timestamp.version = repo.snapshot.version = repo.signed["rollouts"].version = 2**31
        repo.publish("rollouts")
        await device.repository().refresh()
        repo.signed |= {role: honest[role] for role in ("timestamp", "snapshot", "rollouts")}
        repo.publish("rollouts")
        assert (await refused(device, RetryLater)).code == "stale-mirror"
        repo.rotate("timestamp")  # the snapshot's key stays: its stored copy must go nevertheless
        repo.publish_root()
        repo.publish("rollouts")
        await device.repository().refresh()


class TestMixAndMatch:
    @pytest.mark.parametrize("role", ["snapshot", "targets", "releases", "rollouts"])
    async def test_another_version_under_the_name(self, device: Device, repo: TufRepository, role: str) -> None:
        old = repo.files[f"metadata/1.{role}.json"]
        trust_then_publish(repo, role)
        repo.files[f"metadata/2.{role}.json"] = old
        cause = await refused(device, Rejected)
        assert cause.code == "mix-and-match"
        assert "version 1 in place of 2" in cause.what

    async def test_another_role_under_the_name(self, device: Device, repo: TufRepository) -> None:
        repo.signers["snapshot"] = repo.signers["timestamp"]
        repo.files["metadata/1.snapshot.json"] = repo.files["metadata/timestamp.json"]
        assert (await refused(device, Rejected)).code == "mix-and-match"

    async def test_other_bytes_than_the_hash_that_is_named(self, device: Device, repo: TufRepository) -> None:
        repo.timestamp.snapshot_meta = MetaFile(1, None, {"sha256": "0" * 64})
        repo.sign("timestamp")
        assert (await refused(device, Rejected)).code == "mix-and-match"

    async def test_longer_than_named(self, device: Device, repo: TufRepository) -> None:
        repo.timestamp.snapshot_meta = MetaFile(1, 20)
        repo.sign("timestamp")
        assert (await refused(device, Rejected)).code == "endless-data"

    async def test_half_a_mirror(self, device: Device, repo: TufRepository) -> None:
        del repo.files["metadata/1.releases.json"]
        cause = await refused(device, RetryLater)
        assert cause.code == "incomplete-mirror"
        assert cause.what.startswith(f"snapshot.json names {device.url}metadata/1.releases.json")


class TestTypes:
    @pytest.mark.parametrize(("role", "other"), CONFUSED)
    async def test_any_role_under_the_name_of_another(self, device: Device, repo: TufRepository, role: str, other: str) -> None:
        """Even where one key signs all of them: what a file is stands in it."""
        await device.repository().refresh()
        for name in repo.signers.keys() - {"root"}:
            repo.signers[name] = repo.signers["root"]
        for name in ("timestamp", "snapshot", "targets"):
            repo.root.roles[name] = repo.root.roles["root"]
        repo.delegate(releases=["releases/*/*", "encodings/*/*"], rollouts=["rollouts/*"])
        repo.publish_root()
        repo.publish("targets", "releases", "rollouts")
        for signed in repo.signed.values():
            signed.version = 2
        for name in TOP:
            repo.seal(name)
        await device.repository().refresh()
        trust_then_publish(repo, role)
        path = f"metadata/{name_of(repo, role)}"
        repo.signed[other].version = repo.signed[role].version
        repo.seal(other, name="other")
        repo.files[path] = repo.files["metadata/other"]
        cause = await refused(device, Rejected)
        assert cause.code in {"mix-and-match", "arbitrary-target"}

    @pytest.mark.parametrize("spec", ["2.0.0", "0.9.0", "one", "1"])
    @pytest.mark.parametrize("role", TOP)
    async def test_another_version_of_the_specification(self, device: Device, repo: TufRepository, role: str, spec: str) -> None:
        repo.signed[role].spec_version = spec
        repo.seal(role)
        cause = await refused(device, RetryLater)
        assert cause.code == "not-metadata"
        assert "spec_version" in cause.what

    @pytest.mark.parametrize("role", TOP)
    async def test_larger_than_any_role_may_be(self, device: Device, repo: TufRepository, role: str) -> None:
        repo.signed[role].unrecognized_fields["x-padding"] = "." * 2**21
        repo.seal(role)
        assert (await refused(device, Rejected)).code == "endless-data"

    @pytest.mark.parametrize("role", TOP)
    async def test_deeper_than_anything_is(self, device: Device, repo: TufRepository, role: str) -> None:
        """Too deep for the parser, or just for what makes it canonical to be verified: a refusal like any other."""
        rewrite(repo, name_of(repo, role), lambda whole: whole["signed"].update({"x-deep": "HERE"}))
        path = f"metadata/{name_of(repo, role)}"
        for depth in (500, 900, 5000):
            deep = b"[" * depth + b"]" * depth
            good = repo.files[path]
            repo.files[path] = good.replace(b'"HERE"', deep)
            assert (await refused(device, OtadError)).code in {"not-metadata", "wrong-key"}
            repo.files[path] = good


class TestExpiry:
    @pytest.mark.parametrize("role", ["root", *TOP])
    async def test_each_role(self, device: Device, repo: TufRepository, role: str) -> None:
        repo.signed[role].expires = NOW
        if role == "root":
            repo.publish_root(seal=True)
        else:
            repo.seal(role)
        cause = await refused(device, RetryLater)
        assert cause.code == "expired"
        assert role in cause.what
        assert "the system clock, synchronised, says 2026-11-22T12:00:00Z" in cause.what
        assert cause.who is Who.INTEGRATOR

    @pytest.mark.parametrize("role", TOP)
    async def test_what_expired_while_the_device_slept_is_renewed(self, device: Device, repo: TufRepository, role: str) -> None:
        await device.repository().refresh()
        device.time = repo.time = repo.signed[role].expires
        cause = await refused(device, RetryLater)
        assert cause.code == "expired"
        repo.publish_root()
        repo.publish("targets", "releases", "rollouts")
        await device.repository().refresh()

    async def test_a_frozen_mirror_is_noticed(self, device: Device) -> None:
        await device.repository().refresh()
        device.time += 2 * DAY + timedelta(seconds=1)
        cause = await refused(device, RetryLater)
        assert "timestamp.json expired at 2026-11-24T12:00:00Z" in cause.what
        assert "freeze attack" in cause.what


class TestTargets:
    @pytest.mark.parametrize("path", ["releases/cam/9.9.9.json", "encodings/cam/1.0.0.json", "rollouts/a/b.json"])
    async def test_rollouts_may_sign_nothing_else(self, device: Device, repo: TufRepository, path: str) -> None:
        await device.repository().refresh()
        repo.add("rollouts", path, release("9.9.9").encode())
        repo.publish("rollouts")
        cause = await refused(device, Rejected)
        assert (cause.code, cause.evidence) == ("arbitrary-target", {"role": "rollouts", "path": path})

    async def test_not_even_when_targets_delegates_it(self, device: Device, repo: TufRepository) -> None:
        repo.delegate(rollouts=["rollouts/*", "releases/*/*"], releases=["releases/*/*", "encodings/*/*"])
        repo.add("rollouts", "releases/cam/9.9.9.json", release("9.9.9").encode())
        repo.publish("targets", "rollouts")
        assert (await refused(device, Rejected)).code == "arbitrary-target"

    async def test_releases_may_not_sign_rollouts(self, device: Device, repo: TufRepository) -> None:
        repo.add("releases", "rollouts/stable.json", b"{}")
        repo.publish("releases")
        assert (await refused(device, Rejected)).code == "arbitrary-target"

    async def test_top_level_targets_are_never_asked(self, device: Device, repo: TufRepository) -> None:
        repo.add("targets", "releases/cam/9.9.9.json", release("9.9.9").encode())
        repo.publish("targets")
        assert set((await device.repository().refresh()).releases) == {"1.0.0"}

    async def test_a_role_that_is_not_delegated(self, device: Device, repo: TufRepository) -> None:
        repo.delegate(releases=["releases/*/*", "encodings/*/*"])
        repo.publish("targets")
        assert (await refused(device, Rejected)).code == "role-missing"

    async def test_rollouts_of_another_channel(self, device: Device, repo: TufRepository) -> None:
        repo.add_rollouts(channel="beta")
        other = repo.targets("rollouts").targets["rollouts/beta.json"]
        data = repo.files[f"targets/rollouts/{other.hashes['sha256']}.beta.json"]
        repo.add("rollouts", "rollouts/stable.json", data)
        repo.publish("rollouts")
        cause = await refused(device, Rejected)
        assert "it is for the channel beta" in cause.what

    async def test_altered_document(self, device: Device, repo: TufRepository) -> None:
        for path, data in repo.files.items():
            if path.startswith("targets/rollouts/"):
                reordered = dict(reversed(json.loads(data).items()))  # as long, as valid, not what was signed
                repo.files[path] = json.dumps(reordered, separators=(",", ":")).encode()
        cause = await refused(device, Corrupt)
        assert cause.code == "arbitrary-target"
        assert "SHA-256" in cause.what

    async def test_a_document_that_is_too_long_is_not_asked_for(
        self, device: Device, repo: TufRepository, server: TufServer
    ) -> None:
        repo.add("rollouts", "rollouts/stable.json", b" " * (2**20 + 1))
        repo.publish("rollouts")
        assert (await refused(device, Rejected)).code == "target-unusable"
        assert not [path for path in server.paths() if path.startswith("targets/")]

    async def test_a_target_without_sha256(self, device: Device, repo: TufRepository) -> None:
        repo.targets("rollouts").targets["rollouts/stable.json"].hashes = {"md5": "0" * 32}
        repo.publish("rollouts")
        assert (await refused(device, Rejected)).code == "target-unusable"


class TestNotMetadata:
    @pytest.mark.parametrize(
        "body", [b"", b"<html>Log in", b"{}", b"[" * 10_000, b"\xff\xfe", b'{"signed":{"_type":"timestamp"},"signatures":[]}']
    )
    @pytest.mark.parametrize("path", ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json", "1.releases.json"])
    async def test_anything_at_all(self, device: Device, repo: TufRepository, path: str, body: bytes) -> None:
        repo.files[f"metadata/{path}"] = body
        cause = await refused(device, RetryLater)
        assert cause.code == "not-metadata"
        assert f"{device.url}metadata/{path}" in cause.what

    @pytest.mark.parametrize("issued", [None, 5, "yesterday", "2026-11-22T12:00:00"])
    async def test_timestamp_without_its_time(self, device: Device, repo: TufRepository, issued: Any) -> None:
        repo.timestamp.unrecognized_fields["x-issued"] = issued
        repo.seal("timestamp")
        assert (await refused(device, Rejected)).code == "timestamp-invalid"

    async def test_signatures_stay_intact_through_our_repository(self, repo: TufRepository) -> None:
        """The tests' own ground: what the repository gives out verifies by tuf itself."""
        for role in ("timestamp", "snapshot", "targets"):
            found: Metadata[Any] = Metadata.from_bytes(repo.files[f"metadata/{name_of(repo, role)}"])
            repo.root.verify_delegate(role, found.signed_bytes, found.signatures)
