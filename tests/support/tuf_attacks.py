"""What the tests of attacks share: what was refused, and files changed under their signatures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from otad.errors import Cause, OtadError
from tests.support.trust_device import Device
from tests.support.tuf_repository import TufRepository

TOP = ("targets", "releases", "rollouts", "snapshot", "timestamp")


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


def publish(repo: TufRepository, role: str) -> None:
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
