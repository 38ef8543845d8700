"""The device's view of one repository: what is trusted now, and the documents that it leads to.

Rules:
 1. `refresh` is one pass of TUF's workflow, root to rollouts. Nothing of it is used, and nothing but roots and documents is
    kept, before all of it holds.
 2. `releases` and `rollouts` are asked for by these names, as delegations of targets, whatever else targets may delegate.
 3. Without a network, `cached` says what was trusted last. Expiry does not undo what was verified; its age is the caller's rule.
 4. TUF's libraries are loaded when metadata is looked at, not before: a wake-up with nothing to do never pays for them.

Several mirrors: `refresh` is where the next one is asked after a `StaleMirror`, and where all of them being stale becomes a
rollback attack. With one mirror the two cannot be told apart, so it is tried again later.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Protocol, TypeVar

from otad.errors import Rejected, RetryLater, Who
from otad.formats import Document
from otad.formats.campaign import Rollouts
from otad.formats.encodings import Encodings
from otad.formats.release import Release
from otad.trust import Fetch, NotFound, catalogue, refusals
from otad.trust.catalogue import Catalogue, Target
from otad.trust.clock import Clock, not_issued
from otad.trust.refusals import Unsigned
from otad.trust.store import Store

if TYPE_CHECKING:
    from otad.trust.verifier import Verifier

_ROLES = {"timestamp": "root", "snapshot": "root", "targets": "root", "releases": "targets", "rollouts": "targets"}
"""What a refresh takes up, in the order in which they lead to each other -> who delegates them."""

_Doc = TypeVar("_Doc", bound=Document)
_T_co = TypeVar("_T_co", covariant=True)


class Pass(Protocol[_T_co]):
    """One pass over a repository; `fresh`: caches on the way are told to ask the origin."""

    def __call__(self, *, fresh: bool) -> Awaitable[_T_co]:
        """Begin it."""


async def persistent(one_pass: Pass[_T_co]) -> _T_co:
    """What `one_pass` gives; a second, fresh one when a signature is not what it must be.

    A cached "there is no newer root" looks just like a wrong key.
    """
    try:
        return await one_pass(fresh=False)
    except Unsigned:
        return await one_pass(fresh=True)


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
        self._catalogue = await persistent(self._pass)
        return self._catalogue

    def cached(self) -> Catalogue | None:
        """What the last refresh trusted, verified again from the anchor, without the network and without looking at expiry.

        None when there is none, or when it is damaged. Blocking, some 20 ms. Raises Rejected("no-anchor").
        """
        from otad.trust.workflow import recalled  # noqa: PLC0415 - rule 4

        verifier = recalled(self._store, _ROLES)
        if verifier is None:
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

    async def listed(self, version: str) -> Release | None:
        """The release document of `version`, None when the releases role lists none. Raises as `release`."""
        found = self._trusted().releases.get(version)
        return await self.release(version, found.sha256) if found else None

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
        from otad.trust.workflow import Workflow  # noqa: PLC0415 - rule 4

        workflow = await Workflow.begin(self._http, self._store, self._clock.read, fresh=fresh)
        news: dict[str, bytes] = {}
        for role, by in _ROLES.items():
            data = await workflow.take(role, by)
            if data is not None:
                news[role] = data
        rollouts = await self._document(self._judge_targets(workflow.verifier), Rollouts)
        found = self._read(workflow.verifier, rollouts)
        await asyncio.to_thread(self._store.keep_roles, news, workflow.floor)
        return found

    def _judge_targets(self, verifier: Verifier) -> Target:
        """What the delegated roles list is theirs to list; then, where this channel's roll-outs are."""
        for role in catalogue.GIVEN:
            catalogue.check_paths(role, verifier.targets("targets"), verifier.targets(role))
        return catalogue.rollouts_target(verifier.targets("rollouts"), self._channel)

    def _read(self, verifier: Verifier, rollouts: Rollouts) -> Catalogue:
        if rollouts.channel != self._channel:
            raise refusals.altered(f"rollouts/{self._channel}.json", f"it is for the channel {rollouts.channel}")
        if verifier.issued is None:
            raise not_issued("timestamp.json", "it has no x-issued")
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
            data = await self._fetch(target)
            found = hashlib.sha256(data).hexdigest()
            if found != target.sha256:
                raise refusals.exchanged(self._http.base + target.url, f"{len(data)} bytes with SHA-256 {found}")
            await asyncio.to_thread(self._store.keep_document, target.sha256, data)
        return kind.decode(data, target.path)

    async def _fetch(self, target: Target) -> bytes:
        try:
            return await self._http.get(target.url, target.length)
        except NotFound as error:
            raise refusals.missing(self._http.base + target.url, "signed metadata") from error


def _not_listed(what: str) -> Rejected:
    return Rejected(
        "not-listed",
        f"the releases role does not list {what}",
        "Publish it (otarepo publish), or start a roll-out of a release that is published",
        who=Who.INTEGRATOR,
    )
