"""The device's view of one repository: what is trusted now, and the documents that it leads to.

Rules:
 1. `refresh` is one pass, root to rollouts, each verified before the next is asked for. Nothing of it is used, and nothing but
    roots and documents is kept, before all of it holds.
 2. Metadata that is not signed as it must be starts one second pass that tells caches on the way to ask the origin: a cached
    "there is no newer root" looks just like a wrong key.
 3. Online keys that root rotated take what they signed with them: trusted timestamp, snapshot and the clock's floor.
 4. Without a network, `cached` says what was trusted last. Expiry does not undo what was verified; its age is the caller's rule.

Several mirrors: `refresh` is where the next one is asked after a `StaleMirror`, and where all of them being stale becomes a
rollback attack. With one mirror the two cannot be told apart, so it is tried again later.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TypeVar

from otad.errors import Rejected, RetryLater, Who
from otad.formats import Document
from otad.formats.campaign import Rollouts
from otad.formats.encodings import Encodings
from otad.formats.release import Release
from otad.trust import Fetch, NotFound, catalogue, refusals
from otad.trust.anchor import begin
from otad.trust.catalogue import Catalogue, Target
from otad.trust.clock import Clock, Floor, timeless
from otad.trust.refusals import Unsigned
from otad.trust.store import LIMIT, Store
from otad.trust.verifier import DELEGATED, ROLES, Stored, Verifier

MAX_ROOTS = 256  # taken up in one refresh; the next one goes on from there
_CAPS = {"root": 2**19, "timestamp": 2**14}  # bytes; the others: LIMIT
_Doc = TypeVar("_Doc", bound=Document)


class Repository:
    """Trusted metadata and documents for one product and channel. Every method raises only OtadError kinds."""

    def __init__(self, http: Fetch, store: Store, clock: Clock, *, product: str, channel: str) -> None:
        self._http = http
        self._store = store
        self._clock = clock
        self._product = product
        self._channel = channel
        self._catalogue: Catalogue | None = None

    async def refresh(self) -> Catalogue:
        """Ask the repository what is true now.

        Raises:
            RetryLater: link or server ("not-found", "timeout", ...), "stale-mirror", "incomplete-mirror", "not-metadata",
                "expired", "channel-unknown", "data-unwritable".
            Rejected: "wrong-key", "wrong-threshold", "rollback-attack", "mix-and-match", "endless-data", "arbitrary-target",
                "role-missing", "target-unusable", "timestamp-invalid", "document-invalid", "no-anchor".
        """
        try:
            self._catalogue = await self._pass(fresh=False)
        except Unsigned:
            self._catalogue = await self._pass(fresh=True)
        return self._catalogue

    def cached(self) -> Catalogue | None:
        """What the last refresh trusted, verified again from the anchor, without the network and without looking at expiry.

        None when there is none, or when it is damaged. Blocking, some 20 ms. Raises Rejected("no-anchor").
        """
        verifier = begin(self._store, timeless)
        floor = self._store.floor()
        if floor is not None:
            if floor.keys != verifier.online_keys:
                return None
            verifier.floor = floor.issued
        for role in ROLES:
            data = self._store.role(role)
            if data is None or verifier.recall(role, data) is not Stored.CURRENT:
                return None
        target = self._judge_targets(verifier)
        data = self._store.document(target.sha256)
        return None if data is None else self._read(verifier, Rollouts.decode(data, target.path))

    async def release(self, version: str, sha256: str) -> Release:
        """The release document of `version`, if the releases role lists it with this hash.

        Raises:
            Rejected: "not-listed", "document-invalid", "arbitrary-target".
            RetryLater: link or server; "no-metadata" when nothing was ever trusted.
        """
        listed = self._trusted().releases.get(version)
        if listed is None or listed.sha256 != sha256:
            raise _not_listed(f"release {self._product} {version} ({sha256})")
        release = await self._document(listed, Release)
        if (release.product, release.version) != (self._product, version):
            raise refusals.altered(listed.path, f"it describes {release.product} {release.version}")
        return release

    async def encodings(self, version: str, release_sha256: str) -> Encodings:
        """How the payloads of this release travel. Raises as `release`."""
        target = self._trusted().encodings.get(version)
        if target is None:
            raise _not_listed(f"encodings of {self._product} {version}")
        encodings = await self._document(target, Encodings)
        if encodings.release != release_sha256:
            raise refusals.altered(target.path, f"it belongs to the release {encodings.release}, not {release_sha256}")
        return encodings

    async def _pass(self, *, fresh: bool) -> Catalogue:
        verifier = await self._roots(fresh=fresh)
        floor = self._store.floor()
        if floor is not None and floor.keys == verifier.online_keys:
            verifier.floor = floor.issued
        elif floor is not None:
            await asyncio.to_thread(self._store.forget_online)
        news: dict[str, bytes] = {}
        for role in ROLES:
            data = await self._role(verifier, role, fresh=fresh)
            if data is not None:
                news[role] = data
        rollouts = await self._document(self._judge_targets(verifier), Rollouts)
        found = self._read(verifier, rollouts)
        floor = Floor(issued=verifier.latest_issued or found.as_of, keys=verifier.online_keys)
        await asyncio.to_thread(self._store.keep_roles, news, floor)
        return found

    async def _roots(self, *, fresh: bool) -> Verifier:
        """The newest root that there is, reached one by one; each is kept as it is accepted."""
        verifier = await asyncio.to_thread(begin, self._store, self._clock.read)
        if self._store.root(verifier.root.version) != verifier.root_bytes:  # the image's own
            await self._keep_root(verifier)
        for _ in range(MAX_ROOTS):
            path = f"metadata/{verifier.root.version + 1}.root.json"
            try:
                data = await self._http.get(path, _CAPS["root"], fresh=fresh)
            except NotFound:
                return verifier
            verifier.accept_root(data, self._http.base + path)
            await self._keep_root(verifier)
        raise RetryLater(
            "too-many-roots",
            f"{self._http.base} has more than {MAX_ROOTS} roots that this device had not seen",
            "Nothing to do: it goes on from there at the next check",
        )

    async def _keep_root(self, verifier: Verifier) -> None:
        await asyncio.to_thread(self._store.keep_root, verifier.root.version, verifier.root_bytes)

    async def _role(self, verifier: Verifier, role: str, *, fresh: bool) -> bytes | None:
        """Have `role` accepted, from the store if it is still the one that is named; its bytes if they are new."""
        stored = self._store.role(role)
        if stored is not None:
            worth = verifier.recall(role, stored)
            if worth is Stored.DAMAGED:
                self._store.set_aside_role(role, worth.value)
            if worth is Stored.CURRENT and role != "timestamp":
                return None
        meta = verifier.named(role)
        name = f"{role}.json" if meta is None else f"{meta.version}.{role}.json"
        cap = _CAPS.get(role, LIMIT)
        limit = min(cap, meta.length) if meta and meta.length else cap
        data = await self._get(f"metadata/{name}", limit, by="the repository" if meta is None else _above(role), fresh=fresh)
        return data if verifier.accept(role, data, f"{self._http.base}metadata/{name}") else None

    async def _get(self, path: str, limit: int, *, by: str, fresh: bool = False) -> bytes:
        try:
            return await self._http.get(path, limit, fresh=fresh)
        except NotFound as error:
            if path == "metadata/timestamp.json":  # no repository there, rather than half of one
                raise
            raise refusals.missing(self._http.base + path, by) from error

    def _judge_targets(self, verifier: Verifier) -> Target:
        """What the delegated roles list is theirs to list; then, where this channel's roll-outs are."""
        for role in DELEGATED:
            catalogue.check_paths(role, verifier.targets("targets"), verifier.targets(role))
        return catalogue.rollouts_target(verifier.targets("rollouts"), self._channel)

    def _read(self, verifier: Verifier, rollouts: Rollouts) -> Catalogue:
        if rollouts.channel != self._channel:
            raise refusals.altered(f"rollouts/{self._channel}.json", f"it is for the channel {rollouts.channel}")
        releases = verifier.targets("releases")
        return Catalogue(
            as_of=verifier.issued,
            reading=self._clock.read(verifier.latest_issued, verifier.ends),
            rollouts=rollouts,
            releases=catalogue.releases_of(self._product, releases),
            encodings=catalogue.encodings_of(self._product, releases),
        )

    def _trusted(self) -> Catalogue:
        if self._catalogue is None:
            self._catalogue = self.cached()
        if self._catalogue is None:
            raise RetryLater(
                "no-metadata",
                "nothing is trusted yet: no check of the repository has succeeded on this device",
                "Let a check succeed first (otactl check)",
            )
        return self._catalogue

    async def _document(self, target: Target, kind: type[_Doc]) -> _Doc:
        """The signed document at `target`, from the store if it is there."""
        data = self._store.document(target.sha256)
        if data is None:
            data = await self._get(target.url, target.length, by="signed metadata")
            found = hashlib.sha256(data).hexdigest()
            if found != target.sha256:
                raise refusals.exchanged(self._http.base + target.url, f"{len(data)} bytes with SHA-256 {found}")
            await asyncio.to_thread(self._store.keep_document, target.sha256, data)
        return kind.decode(data, target.path)


def _above(role: str) -> str:
    return "timestamp.json" if role == "snapshot" else "snapshot.json"


def _not_listed(what: str) -> Rejected:
    return Rejected(
        "not-listed",
        f"the releases role does not list {what}",
        "Publish it (otarepo publish), or start a roll-out of a release that is published",
        who=Who.INTEGRATOR,
    )
