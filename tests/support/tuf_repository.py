"""A repository in memory, signed with python-tuf's own classes, and the HTTP server that gives it out, well or badly."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from aiohttp import web
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from otad.formats.campaign import Campaign, Rollouts
from otad.formats.curve import Curve
from otad.formats.encodings import Encoding, Encodings
from otad.formats.grant import Grant, Opening
from otad.formats.release import Payload, PayloadKind, Release

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
DAY = timedelta(days=1)
EXPIRY = {
    "root": 395 * DAY,
    "targets": 395 * DAY,
    "releases": 180 * DAY,
    "rollouts": 7 * DAY,
    "snapshot": 7 * DAY,
    "timestamp": 2 * DAY,
}
KEYS = {"root": (3, 2), "targets": (3, 2), "releases": (1, 1), "rollouts": (1, 1), "snapshot": (1, 1), "timestamp": (1, 1)}
PAYLOAD = "5" * 64
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def release(version: str, product: str = "cam") -> Release:
    system = Payload(kind=PayloadKind.SYSTEM, name="os", sha256=PAYLOAD, length=10, disk=100)
    return Release(product=product, version=version, hardware=("board 1",), payloads=(system,))


def grant() -> Grant:
    return Grant(channels={"stable": Opening(opened=NOW - DAY, curve=Curve(((0, 10**6),)))})


class TufRepository:
    """Role by role; change `signed[...]`, then `sign` it or `publish` from there up."""

    def __init__(self, time: datetime = NOW) -> None:
        self.signers = {role: [CryptoSigner.generate_ed25519() for _ in range(KEYS[role][0])] for role in KEYS}
        self.signed: dict[str, Signed] = {
            "root": Root(),
            "targets": Targets(),
            "releases": Targets(),
            "rollouts": Targets(),
            "snapshot": Snapshot(),
            "timestamp": Timestamp(),
        }
        self.files: dict[str, bytes] = {}
        self.time = time
        for role in ("root", "timestamp", "snapshot", "targets"):
            self.root.roles[role].threshold = KEYS[role][1]
            for signer in self.signers[role]:
                self.root.add_key(signer.public_key, role)
        self.delegate(releases=["releases/*/*", "encodings/*/*"], rollouts=["rollouts/*"])
        self.sign("root")
        self.signed["snapshot"] = Snapshot(meta={f"{r}.json": MetaFile(1) for r in ("targets", "releases", "rollouts")})
        self.add_release("1.0.0")
        self.add_rollouts()
        for role in ("targets", "releases", "rollouts", "snapshot", "timestamp"):
            self.sign(role)

    @property
    def root(self) -> Root:
        found = self.signed["root"]
        assert isinstance(found, Root)
        return found

    def targets(self, role: str) -> Targets:
        found = self.signed[role]
        assert isinstance(found, Targets)
        return found

    @property
    def snapshot(self) -> Snapshot:
        found = self.signed["snapshot"]
        assert isinstance(found, Snapshot)
        return found

    @property
    def timestamp(self) -> Timestamp:
        found = self.signed["timestamp"]
        assert isinstance(found, Timestamp)
        return found

    @property
    def anchor(self) -> bytes:
        return self.files["metadata/1.root.json"]

    def delegate(self, **paths: list[str]) -> None:
        keys: dict[str, Key] = {}
        roles: dict[str, DelegatedRole] = {}
        for role, patterns in paths.items():
            mine = {s.public_key.keyid: s.public_key for s in self.signers[role]}
            keys |= mine
            roles[role] = DelegatedRole(role, list(mine), KEYS[role][1], terminating=True, paths=patterns)
        self.targets("targets").delegations = Delegations(keys, roles)

    def add(self, role: str, path: str, data: bytes, custom: Any = None) -> str:
        """List and store a target file; its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        extra = {} if custom is None else {"custom": custom}
        self.targets(role).targets[path] = TargetFile(len(data), {"sha256": sha256}, path, extra)
        folder, slash, name = path.rpartition("/")
        self.files[f"targets/{folder}{slash}{sha256}.{name}"] = data
        return sha256

    def add_release(self, version: str, granted: Grant | None = None) -> str:
        custom = (granted or grant()).model_dump(mode="json", by_alias=True)
        sha256 = self.add("releases", f"releases/cam/{version}.json", release(version).encode(), custom)
        encodings = Encodings(release=sha256, of={PAYLOAD: (Encoding(type="plain", blob=PAYLOAD, length=10),)})
        self.add("releases", f"encodings/cam/{version}.json", encodings.encode())
        return sha256

    def add_rollouts(self, *campaigns: Campaign, channel: str = "stable") -> None:
        self.add("rollouts", f"rollouts/{channel}.json", Rollouts(channel=channel, campaigns=campaigns).encode())

    def sign(self, role: str, by: list[CryptoSigner] | None = None, *, name: str | None = None) -> None:
        """Sign a role as it is and put it where a server gives it out."""
        signed = self.signed[role]
        signed.expires = self.time + EXPIRY[role]
        if role == "timestamp":
            signed.unrecognized_fields["x-issued"] = self.time.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.seal(role, by, name=name)

    def seal(self, role: str, by: list[CryptoSigner] | None = None, *, name: str | None = None) -> None:
        """Sign a role without touching its dates."""
        signed = self.signed[role]
        metadata: Metadata[Any] = Metadata(signed)
        for signer in self.signers[role] if by is None else by:
            metadata.sign(signer, append=True)
        default = "timestamp.json" if role == "timestamp" else f"{signed.version}.{role}.json"
        self.files[f"metadata/{name or default}"] = metadata.to_bytes()

    def publish(self, *roles: str) -> None:
        """New versions of `roles` (of targets, releases, rollouts), and of what leads to them."""
        for role in roles:
            self.signed[role].version += 1
            self.snapshot.meta[f"{role}.json"] = MetaFile(self.signed[role].version)
            self.sign(role)
        self.publish_snapshot()

    def publish_snapshot(self) -> None:
        self.snapshot.version += 1
        self.sign("snapshot")
        self.publish_timestamp()

    def publish_timestamp(self) -> None:
        self.timestamp.version += 1
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        self.sign("timestamp")

    def publish_root(self, *, seal: bool = False) -> None:
        """The next root as it stands; `seal` keeps its expiry."""
        self.root.version += 1
        (self.seal if seal else self.sign)("root")

    def rotate(self, role: str) -> None:
        """Other keys for a role of root's (not root itself); sign root and the role afterwards."""
        for signer in self.signers[role]:
            self.root.revoke_key(signer.public_key.keyid, role)
        self.signers[role] = [CryptoSigner.generate_ed25519() for _ in self.signers[role]]
        for signer in self.signers[role]:
            self.root.add_key(signer.public_key, role)

    def rotate_root(self) -> None:
        """One root key of three for another, signed by old and new, as otarepo would."""
        old = self.signers["root"][0]
        new = CryptoSigner.generate_ed25519()
        self.root.revoke_key(old.public_key.keyid, "root")
        self.root.add_key(new.public_key, "root")
        self.signers["root"] = [*self.signers["root"][1:], new]
        self.root.version += 1
        self.sign("root", [old, *self.signers["root"]])


class TufServer:
    """Gives out a repository's files. `bad` replaces the answer of a path; `asked`: every path as sent, its Cache-Control."""

    def __init__(self, repository: TufRepository) -> None:
        self.repository = repository
        self.bad: dict[str, Handler] = {}
        self.asked: list[tuple[str, str]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.removeprefix("/r/")
        self.asked.append((path, request.headers.get("Cache-Control", "")))
        if path in self.bad:
            return await self.bad[path](request)
        if path in self.repository.files:
            return web.Response(body=self.repository.files[path])
        raise web.HTTPNotFound

    def paths(self) -> list[str]:
        """What was asked since the last call."""
        found = [path for path, _ in self.asked]
        self.asked.clear()
        return found

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/r/"
        return runner
