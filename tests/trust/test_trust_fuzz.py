"""Anything at all in place of metadata: a refusal in words, nothing kept, nothing raised that is not ours, and no end of time."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.exceptions import FormatError
from securesystemslib.formats import encode_canonical

from otad.admission import Device, admits
from otad.errors import OtadError
from otad.formats.campaign import Campaign
from otad.formats.curve import Curve, Match
from otad.trust import NotFound
from otad.trust.catalogue import Catalogue
from otad.trust.client import Repository
from otad.trust.clock import EPOCH, Clock
from otad.trust.store import Store
from tests.support.tuf_repository import NOW, TufRepository, grant, release

pytestmark = pytest.mark.slow
DEVICE = Device("device-1", "cam", "board 1", "1.0.0", "stable", attributes={"ring": "test"})
ONLINE = {"timestamp.json", "snapshot.json"}
ROLES = ("root", "timestamp", "snapshot", "targets", "releases", "rollouts")
MANY = settings(max_examples=int(os.environ.get("FUZZ", "80")), deadline=None)
ODD = ["", "../x", "2.0.0", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "*", "\x1b[2J", "sha256", "root", 0, -1, 2**70]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(ODD)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


class Files:
    """Fetch from memory."""

    base = "memory:/"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    async def get(self, path: str, limit: int, *, fresh: bool = False) -> bytes:
        if path not in self.files:
            raise NotFound("not-found", f"{path} is not there")
        return self.files[path][:limit]


class Fuzzed:
    """A device that trusts one version of everything, and a repository that has another, all of it new."""

    def __init__(self, folder: Path) -> None:
        self.repo = TufRepository()
        self.folder, self.anchor = folder / "trust", folder / "root.json"
        self.anchor.write_bytes(self.repo.anchor)
        self.refresh(self.repo.files)
        shutil.copytree(self.folder, folder / "before")
        self.repo.add_release("1.1.0")
        self.repo.publish_root()
        self.repo.publish("targets", "releases", "rollouts")

    def device(self, files: dict[str, bytes]) -> Repository:
        clock = Clock(NOW, lambda: True, lambda: NOW)
        return Repository(Files(files), Store(self.folder, self.anchor), clock, product="cam", channel="stable")

    def refresh(self, files: dict[str, bytes]) -> Catalogue | None:
        """What was accepted; None for a refusal. What else is raised, is."""
        with contextlib.suppress(OtadError):
            return asyncio.run(self.device(files).refresh())
        return None

    def reset(self) -> None:
        """As it was before the repository had anything new."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.folder.with_name("before"), self.folder)

    def kept(self) -> dict[str, bytes]:
        """What is trusted. Roots and documents are kept as they come: they were verified one by one."""
        return {path.name: path.read_bytes() for path in self.folder.glob("*.json")}

    def path(self, role: str) -> str:
        name = "timestamp.json" if role == "timestamp" else f"{self.repo.signed[role].version}.{role}.json"
        return f"metadata/{name}"

    def serve(self, role: str, data: bytes) -> None:
        """`data` in place of the metadata of `role`: accepted, or what was trusted stays."""
        before = self.kept()
        if not self.refresh({**self.repo.files, self.path(role): data}):
            after = self.kept()
            assert after.items() <= before.items()
            assert after == before or (role == "root" and before.keys() - after == ONLINE)  # it may take the online keys away
        self.reset()


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Fuzzed:
    return Fuzzed(tmp_path_factory.mktemp("fuzzed"))


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a JSON document."""
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with `value` at `path`."""
    if not path:
        return value
    changed = copy.copy(document)
    changed[path[0]] = put(document[path[0]], path[1:], value)
    return changed


@MANY
@given(role=st.sampled_from(ROLES), data=st.binary(max_size=200) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_bytes(fuzzed: Fuzzed, role: str, data: bytes) -> None:
    fuzzed.serve(role, data)


@MANY
@given(role=st.sampled_from(ROLES), at=st.integers(0, 10**6), cut=st.booleans(), byte=st.integers(0, 255))
def test_any_byte_exchanged_and_any_cut(fuzzed: Fuzzed, role: str, at: int, cut: bool, byte: int) -> None:
    data = fuzzed.repo.files[fuzzed.path(role)]
    at %= len(data)
    fuzzed.serve(role, data[:at] if cut else data[:at] + bytes([byte]) + data[at + 1 :])


@MANY
@given(role=st.sampled_from(ROLES), at=st.integers(0, 10**6), value=ANYTHING, signed=st.booleans())
def test_anything_in_any_place_even_when_it_is_signed(fuzzed: Fuzzed, role: str, at: int, value: Any, signed: bool) -> None:
    """`signed`: by the role's own keys, as somebody who stole them would."""
    document = json.loads(fuzzed.repo.files[fuzzed.path(role)])
    found = list(places(document["signed"] if signed else document))
    place = found[at % len(found)]
    if signed:
        document["signed"] = put(document["signed"], place, value)
        document["signatures"] = signatures(fuzzed.repo, role, document["signed"])
    else:
        document = put(document, place, value)
    fuzzed.serve(role, json.dumps(document).encode())


def signatures(repo: TufRepository, role: str, signed: Any) -> list[dict[str, Any]]:
    """None for what cannot be signed."""
    try:
        data = encode_canonical(signed).encode()  # type: ignore[union-attr]
    except (FormatError, UnicodeEncodeError):
        return []
    return [signer.sign(data).to_dict() for signer in repo.signers[role]]


@MANY
@given(name=st.integers(0, 10**6), data=st.binary(max_size=200) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_in_any_file_that_the_device_keeps(fuzzed: Fuzzed, name: int, data: bytes) -> None:
    """It is made good by the next refresh, and until then what is cached is whole or nothing."""
    fuzzed.reset()
    files = sorted(path for path in fuzzed.folder.rglob("*") if path.is_file())
    files[name % len(files)].write_bytes(data)
    cached = fuzzed.device({}).cached()
    assert cached is None or set(cached.releases) == {"1.0.0"}
    assert fuzzed.refresh(fuzzed.repo.files)
    fuzzed.reset()


@MANY
@given(at=st.integers(0, 10**6), value=ANYTHING)
def test_anything_in_any_place_of_signed_roll_outs(fuzzed: Fuzzed, at: int, value: Any) -> None:
    """What the online key may say, it may say in any way: what is read of it can be judged, at any time."""
    repo = copy.deepcopy(fuzzed.repo)
    listed = repo.targets("releases").targets["releases/cam/1.1.0.json"]
    repo.add_rollouts(campaign(listed.hashes["sha256"]))
    path = repo.targets("rollouts").targets["rollouts/stable.json"]
    document = json.loads(repo.files[f"targets/rollouts/{path.hashes['sha256']}.stable.json"])
    found = list(places(document))
    repo.add("rollouts", "rollouts/stable.json", json.dumps(put(document, found[at % len(found)], value)).encode())
    repo.publish("rollouts")
    catalogue = fuzzed.refresh(repo.files)
    for offered in catalogue.rollouts.campaigns if catalogue else ():
        for now in (EPOCH, NOW, datetime(9999, 12, 31, tzinfo=timezone.utc)):
            verdict = admits(offered, grant(), release("1.1.0"), DEVICE, now)
            assert verdict.detail
    fuzzed.reset()


def campaign(sha256: str) -> Campaign:
    """One with everything in it."""
    ring = Match({"ring": ("test",)})
    curve = Curve(((0, 1000), (3600, 10**6)))
    strata, devices = ((ring, curve),), ("0" * 16,)
    return Campaign(
        id="c1", version="1.1.0", sha256=sha256, started=NOW, phase="1", curve=curve, strata=strata, only=ring, devices=devices
    )
