"""What the roles list: only what was given to them, and only what is there."""

from __future__ import annotations

import json

import pytest

from otad.errors import Corrupt, Rejected
from tests.support.trust_device import Device
from tests.support.tuf_attacks import refused
from tests.support.tuf_repository import TufRepository, TufServer, release


@pytest.mark.parametrize("path", ["releases/cam/9.9.9.json", "encodings/cam/1.0.0.json", "rollouts/a/b.json"])
async def test_rollouts_may_sign_nothing_else(device: Device, repo: TufRepository, path: str) -> None:
    await device.repository().refresh()
    repo.add("rollouts", path, release("9.9.9").encode())
    repo.publish("rollouts")
    cause = await refused(device, Rejected)
    assert (cause.code, cause.evidence) == ("arbitrary-target", {"role": "rollouts", "path": path})


async def test_not_even_when_targets_delegates_it(device: Device, repo: TufRepository) -> None:
    repo.delegate(rollouts=["rollouts/*", "releases/*/*"], releases=["releases/*/*", "encodings/*/*"])
    repo.add("rollouts", "releases/cam/9.9.9.json", release("9.9.9").encode())
    repo.publish("targets", "rollouts")
    assert (await refused(device, Rejected)).code == "arbitrary-target"


async def test_releases_may_not_sign_rollouts(device: Device, repo: TufRepository) -> None:
    repo.add("releases", "rollouts/stable.json", b"{}")
    repo.publish("releases")
    assert (await refused(device, Rejected)).code == "arbitrary-target"


async def test_top_level_targets_are_never_asked(device: Device, repo: TufRepository) -> None:
    repo.add("targets", "releases/cam/9.9.9.json", release("9.9.9").encode())
    repo.publish("targets")
    assert set((await device.repository().refresh()).releases) == {"1.0.0"}


async def test_a_role_that_is_not_delegated(device: Device, repo: TufRepository) -> None:
    repo.delegate(releases=["releases/*/*", "encodings/*/*"])
    repo.publish("targets")
    assert (await refused(device, Rejected)).code == "role-missing"


async def test_rollouts_of_another_channel(device: Device, repo: TufRepository) -> None:
    repo.add_rollouts(channel="beta")
    other = repo.targets("rollouts").targets["rollouts/beta.json"]
    data = repo.files[f"targets/rollouts/{other.hashes['sha256']}.beta.json"]
    repo.add("rollouts", "rollouts/stable.json", data)
    repo.publish("rollouts")
    cause = await refused(device, Rejected)
    assert "it is for the channel beta" in cause.what


async def test_altered_document(device: Device, repo: TufRepository) -> None:
    for path, data in repo.files.items():
        if path.startswith("targets/rollouts/"):
            reordered = dict(reversed(json.loads(data).items()))  # as long, as valid, not what was signed
            repo.files[path] = json.dumps(reordered, separators=(",", ":")).encode()
    cause = await refused(device, Corrupt)
    assert cause.code == "arbitrary-target"
    assert "SHA-256" in cause.what


async def test_a_document_that_is_too_long_is_not_asked_for(device: Device, repo: TufRepository, server: TufServer) -> None:
    repo.add("rollouts", "rollouts/stable.json", b" " * (2**20 + 1))
    repo.publish("rollouts")
    assert (await refused(device, Rejected)).code == "target-unusable"
    assert not [path for path in server.paths() if path.startswith("targets/")]


async def test_a_target_without_sha256(device: Device, repo: TufRepository) -> None:
    repo.targets("rollouts").targets["rollouts/stable.json"].hashes = {"md5": "0" * 32}
    repo.publish("rollouts")
    assert (await refused(device, Rejected)).code == "target-unusable"
