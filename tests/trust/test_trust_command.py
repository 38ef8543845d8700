"""`python -m otad.trust`: the device's client over a repository of any shape, as TUF's own conformance suite drives it."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, Delegations, MetaFile, TargetFile, Targets

from otad import config
from otad.errors import Corrupt, OtadError, Rejected
from otad.fetch.session import open_session
from otad.trust.__main__ import Client
from otad.trust.client import persistent
from otad.trust.http import HttpFetch
from otad.trust.search import MAX_ROLES, find
from otad.trust.workflow import Workflow
from tests.support.tuf_repository import TufRepository, TufServer

pytestmark = pytest.mark.slow  # a process for each command
ROLES = ("targets", "snapshot", "timestamp")


class Tried:
    """The client's folders, the command in a process of its own, and the same client in this one."""

    def __init__(self, folder: Path, url: str, session: aiohttp.ClientSession) -> None:
        self.metadata, self.targets, self.url = folder / "metadata", folder / "targets", url
        self.metadata.mkdir()
        self.targets.mkdir()
        self.artifacts = HttpFetch(session, f"{url}targets")
        self.client = Client(HttpFetch(session, f"{url}metadata"), self.metadata)

    async def run(self, *words: str | Path) -> tuple[int | None, str]:
        """Exit status and standard error."""
        places = ("--metadata-dir", self.metadata, "--metadata-url", f"{self.url}metadata")
        command = (sys.executable, "-m", "otad.trust", *places, *words)
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        _, errors = await process.communicate()
        return process.returncode, errors.decode()

    async def download(self, name: str) -> None:
        await self.client.download(await self.refresh(), name, self.artifacts, self.targets)

    async def refresh(self) -> Workflow:
        return await persistent(self.client.refresh)

    def kept(self) -> dict[str, bytes]:
        """What is trusted, by role."""
        return {path.stem: path.read_bytes() for path in self.metadata.glob("*.json")}

    def downloaded(self) -> list[bytes]:
        return [path.read_bytes() for path in self.targets.iterdir()]


@pytest.fixture
def repo() -> TufRepository:
    """As any publisher of TUF might make one: two files in targets, no x-issued, nothing of otad's."""
    plain = TufRepository()
    plain.root.expires = datetime(9999, 1, 1, tzinfo=timezone.utc)  # by the real clock, which the command believes
    plain.seal("root")
    plain.targets("targets").delegations = None
    plain.add("targets", "a.txt", b"one")
    plain.add("targets", "folder/b.txt", b"two")
    plain.signed["targets"].version = 2
    plain.snapshot.meta = {"targets.json": MetaFile(2)}
    seal(plain, "targets", "snapshot", "timestamp")
    return plain


@pytest.fixture
async def tried(tmp_path: Path, repo: TufRepository, server: TufServer) -> AsyncIterator[Tried]:
    where = config.Repository(url=server.url, development=True)
    async with open_session(where, dates=lambda: True, timeout=10, agent="otad") as session:
        found = Tried(tmp_path, server.url, session)
        (found.metadata / "root.json").write_bytes(repo.anchor)
        yield found


def seal(repo: TufRepository, *roles: str) -> None:
    """Sign roles, for as long as root is valid, without x-issued."""
    for role in roles:
        repo.signed[role].expires = repo.signed["root"].expires
        repo.timestamp.unrecognized_fields.clear()
        repo.seal(role)


def publish(repo: TufRepository, *roles: str) -> None:
    for role in roles:
        repo.signed[role].version += 1
        if role not in {"root", "timestamp", "snapshot"}:
            repo.snapshot.meta[f"{role}.json"] = MetaFile(repo.signed[role].version)
    repo.timestamp.snapshot_meta = MetaFile(repo.snapshot.version)
    seal(repo, *roles)


def delegate(repo: TufRepository, by: Targets, name: str, path: str, signer: CryptoSigner) -> None:
    """A role `name` that may sign `path`, as `by` says."""
    by.delegations = by.delegations or Delegations({}, {})
    assert by.delegations.roles is not None
    key = signer.public_key
    by.delegations.keys[key.keyid] = key
    by.delegations.roles[name] = DelegatedRole(name, [key.keyid], 1, terminating=False, paths=[path])
    repo.signers[name] = [signer]
    repo.signed.setdefault(name, Targets())


def delegated(repo: TufRepository, name: str, path: str) -> None:
    """Targets delegates `path` to the role `name`, which lists it."""
    delegate(repo, repo.targets("targets"), name, path, CryptoSigner.generate_ed25519())
    repo.add(name, path, b"x")
    publish(repo, "targets", name, "snapshot", "timestamp")


async def test_the_protocol_from_init_to_a_download_that_is_not_needed_twice(
    tried: Tried, repo: TufRepository, server: TufServer, tmp_path: Path
) -> None:
    (tried.metadata / "root.json").unlink()
    (tmp_path / "first.json").write_bytes(repo.anchor)
    assert await tried.run("init", tmp_path / "first.json") == (0, "")
    assert server.paths() == []
    assert await tried.run("refresh") == (0, "")
    assert server.paths() == [
        f"metadata/{name}" for name in ("2.root.json", "timestamp.json", "1.snapshot.json", "2.targets.json")
    ]
    assert tried.kept() == {
        "root": repo.anchor,
        "timestamp": repo.files["metadata/timestamp.json"],
        "snapshot": repo.files["metadata/1.snapshot.json"],
        "targets": repo.files["metadata/2.targets.json"],
    }
    names = ("--target-name", "a.txt", "--target-name", "folder/b.txt")
    places = ("--target-base-url", f"{tried.url}targets", "--target-dir", tried.targets)
    for _ in range(2):
        assert await tried.run(*names, *places, "download") == (0, "")
    assert sorted(tried.downloaded()) == [b"one", b"two"]
    assert len([path for path in server.paths() if path.startswith("targets/")]) == 2


async def test_a_refusal_is_status_1_and_says_what_it_is(tried: Tried, repo: TufRepository) -> None:
    repo.seal("timestamp", [CryptoSigner.generate_ed25519()])
    status, errors = await tried.run("refresh")
    assert status == 1
    assert "has 0 of the 1 signatures that the timestamp role needs" in errors


async def test_a_root_that_is_none_is_not_taken(tried: Tried, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_bytes(b"{}")
    status, errors = await tried.run("init", tmp_path / "bad.json")
    assert (status, "bad.json cannot be trusted" in errors) == (1, True)
    assert tried.kept()  # what was trusted still is


async def test_plain_http_is_for_loopback_only(tried: Tried) -> None:
    elsewhere = "http://repository.invalid/"
    names = ("--target-name", "a.txt", "--target-dir", tried.targets)
    for at, targets in ((elsewhere, tried.url), (tried.url, elsewhere)):
        tried.url = at
        status, errors = await tried.run(*names, "--target-base-url", targets, "download")
        assert (status, "plain http only to loopback" in errors) == (1, True)


async def test_what_came_before_the_refused_role_is_kept(tried: Tried, repo: TufRepository) -> None:
    await tried.refresh()
    publish(repo, "root", "targets", "snapshot", "timestamp")
    repo.seal("snapshot", [CryptoSigner.generate_ed25519()])
    before = tried.kept()
    with pytest.raises(Rejected):
        await tried.refresh()
    assert tried.kept() == {
        **before,
        "root": repo.files["metadata/2.root.json"],
        "timestamp": repo.files["metadata/timestamp.json"],
    }


async def test_roots_before_the_refused_one_are_kept(tried: Tried, repo: TufRepository) -> None:
    repo.rotate_root()
    repo.rotate_root()
    repo.seal("root", [CryptoSigner.generate_ed25519()])
    with pytest.raises(Rejected):
        await tried.refresh()
    assert tried.kept() == {"root": repo.files["metadata/2.root.json"]}


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
async def test_either_online_key_rotated_ends_a_fast_forward_of_both(tried: Tried, repo: TufRepository, role: str) -> None:
    """TUF 5.3.11, in a repository that does not say when its timestamps were issued."""
    repo.timestamp.version = repo.snapshot.version = 100
    publish(repo, "snapshot", "timestamp")
    await tried.refresh()
    repo.timestamp.version = repo.snapshot.version = 5
    publish(repo, "snapshot", "timestamp")
    with pytest.raises(OtadError):
        await tried.refresh()
    repo.rotate(role)
    publish(repo, "root", "snapshot", "timestamp")
    await tried.refresh()


@pytest.mark.parametrize("name", ["?", "#", "/x", "../x", "floor"])
async def test_a_role_of_any_name_stays_inside_its_folders(
    tried: Tried, repo: TufRepository, server: TufServer, name: str
) -> None:
    delegated(repo, name, "x/file")
    quoted = {"?": "%3F", "#": "%23", "/x": "%2Fx", "../x": "..%2Fx"}.get(name, name)
    repo.files[f"metadata/2.{quoted}.json"] = repo.files[f"metadata/2.{name}.json"]
    for _ in range(2):
        await tried.download("x/file")
    assert len(tried.kept()) == 5
    assert server.paths().count(f"metadata/2.{quoted}.json") == 1


async def test_a_delegation_that_the_snapshot_leaves_out_is_not_asked_for(
    tried: Tried, repo: TufRepository, server: TufServer
) -> None:
    delegated(repo, "mine", "x/file")
    del repo.snapshot.meta["mine.json"]
    publish(repo, "snapshot", "timestamp")
    with pytest.raises(Rejected) as caught:
        await tried.download("x/file")
    assert caught.value.cause.code == "role-missing"
    assert not [path for path in server.paths() if "mine" in path]


async def test_a_target_that_nobody_lists(tried: Tried, server: TufServer) -> None:
    with pytest.raises(OtadError, match=r"no role of .* lists the target nothing"):
        await tried.download("nothing")
    assert set(tried.kept()) == {"root", *ROLES}


async def test_an_exchanged_target_is_not_stored(tried: Tried, repo: TufRepository) -> None:
    await tried.download("a.txt")
    for path in list(repo.files):
        if path.startswith("targets/"):
            repo.files[path] = b"???"
    await tried.download("a.txt")  # it is here already
    with pytest.raises(Corrupt) as caught:
        await tried.download("folder/b.txt")
    assert caught.value.cause.code == "arbitrary-target"
    assert tried.downloaded() == [b"one"]


@pytest.mark.parametrize(("algorithms", "taken"), [(("sha512",), True), (("sha256", "sha512"), True), (("sha1024",), False)])
async def test_hashes_of_a_target(tried: Tried, repo: TufRepository, algorithms: tuple[str, ...], taken: bool) -> None:
    hashes = {name: hashlib.new(name if taken else "sha512", b"x").hexdigest() for name in algorithms}
    repo.targets("targets").targets["x"] = TargetFile(1, hashes, "x")
    repo.files |= {f"targets/{value}.x": b"x" for value in hashes.values()}
    publish(repo, "targets", "snapshot", "timestamp")
    if taken:
        await tried.download("x")
    else:
        with pytest.raises(Corrupt, match="Unsupported algorithm"):
            await tried.download("x")
    assert tried.downloaded() == ([b"x"] if taken else [])


def graph(*edges: tuple[str, str, str, bool], listed: str = "") -> Any:
    """Roles by name from (delegator, role, pattern, terminating); the role `listed` lists what is looked for."""
    names = {"targets", *(name for edge in edges for name in edge[:2])}
    roles = {name: Targets(delegations=Delegations({}, {})) for name in names}
    for by, name, pattern, terminating in edges:
        delegations = roles[by].delegations
        assert delegations is not None
        assert delegations.roles is not None
        delegations.roles[name] = DelegatedRole(name, [], 1, terminating=terminating, paths=[pattern])
    if listed:
        roles[listed].targets["p/x"] = TargetFile(0, {"sha256": ""}, "p/x")
    return roles


@pytest.mark.parametrize(
    ("roles", "visited"),
    [
        (graph(), ""),
        (graph(("targets", "A", "p/*", False), ("targets", "B", "p/*", False), ("A", "C", "*/*", False)), "A C B"),
        (graph(("targets", "A", "p/*", True), ("targets", "B", "p/*", False), ("A", "C", "p/x", False)), "A C"),
        (graph(("targets", "A", "q/*", True), ("targets", "B", "*", False), ("targets", "C", "p/?", False)), "C"),
        (graph(("targets", "A", "p/*", False), ("A", "B", "p/*", False), ("B", "A", "p/*", False)), "A B"),
        (graph(("targets", "A", "p/*", False), ("targets", "B", "p/*", False), listed="A"), "A"),
    ],
    ids=["nobody", "depth first", "terminating", "patterns", "a circle", "the first that lists it"],
)
async def test_who_is_asked_for_a_target(roles: dict[str, Targets], visited: str) -> None:
    asked: list[str] = []

    async def load(role: str, by: str) -> Targets:
        asked.append(role)
        return roles[role]

    found = await find("p/x", load)
    assert asked == ["targets", *visited.split()]
    assert (found is not None) == any(role.targets for role in roles.values())


async def test_a_search_has_an_end() -> None:
    chain = [(f"{n or 'targets'}", f"{n + 1}", "*/*", False) for n in range(100)]
    asked: list[str] = []

    async def load(role: str, by: str) -> Targets:
        asked.append(role)
        return graph(*chain)[role]  # type: ignore[no-any-return]

    assert await find("p/x", load) is None
    assert len(asked) == MAX_ROLES


async def test_a_role_is_verified_by_each_of_those_that_delegate_it(tried: Tried, repo: TufRepository) -> None:
    """What B delegates under other keys is not believed because A's keys were good."""
    alice, bob = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
    repo.targets("targets").delegations = Delegations({}, {})
    for name, signer in (("A", alice), ("B", bob)):
        delegate(repo, repo.targets("targets"), name, f"{name}/*", signer)
        delegate(repo, repo.targets(name), "shared", f"{name}/*", signer)
    repo.signers["shared"] = [alice]
    for path in ("A/x", "B/x"):
        repo.add("shared", path, path.encode())
    publish(repo, "targets", "A", "B", "shared", "snapshot", "timestamp")
    workflow = await tried.refresh()
    await tried.client.download(workflow, "A/x", tried.artifacts, tried.targets)
    with pytest.raises(Rejected) as caught:
        await tried.client.download(workflow, "B/x", tried.artifacts, tried.targets)
    assert caught.value.cause.code == "wrong-key"
    assert tried.downloaded() == [b"A/x"]
