"""Metadata that is well signed and not what should be here now: older, of another set, or past its date."""

from __future__ import annotations

import copy
import hashlib
from datetime import timedelta

import pytest
from tuf.api.metadata import MetaFile

from otad.errors import Rejected, RetryLater, Who
from tests.support.trust_device import Device
from tests.support.tuf_attacks import TOP, publish, refused
from tests.support.tuf_repository import DAY, NOW, TufRepository


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
        publish(repo, role)
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
