"""Metadata that is not what its name says, or none at all."""

from __future__ import annotations

from typing import Any

import pytest
from tuf.api.metadata import Metadata

from otad.errors import OtadError, Rejected, RetryLater
from tests.support.trust_device import Device
from tests.support.tuf_attacks import TOP, name_of, publish, refused, rewrite
from tests.support.tuf_repository import TufRepository

TYPES = {"root": "root", "timestamp": "timestamp", "snapshot": "snapshot"}  # the others are "targets": their keys tell them apart
CONFUSED = [(a, b) for a in TOP for b in ("root", *TOP) if TYPES.get(a) != TYPES.get(b)]
CONFUSED += [("releases", "rollouts"), ("rollouts", "releases")]  # told apart by what they may list


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
        publish(repo, role)
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

    async def test_a_root_that_gives_a_key_no_name(self, device: Device, repo: TufRepository) -> None:
        """Nothing says that it must be text, so nobody refuses it: it is nobody's key, and the others count."""
        await device.repository().refresh()
        repo.root.roles["timestamp"].keyids.append(True)  # type: ignore[arg-type]
        repo.publish_root()
        await device.repository().refresh()
