"""Is what is published whole, signed, in time, and served as it should be? Asked from outside, as a device does.

Rules:
 1. It begins at a root that is trusted, and believes nothing that is not signed from there. Everything that devices may ask for
    is read and hashed: all roots, the newest state's metadata, every document, the blobs of all releases that are not withdrawn.
 2. A finding does not end the search, unless what comes after hangs on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from tuf.api.metadata import Metadata, MetaFile, Root, TargetFile, Targets

from otad.errors import Rejected
from otad.formats import Document
from otad.formats.campaign import CampaignState, Rollouts
from otad.formats.encodings import Encodings
from otad.formats.release import Release
from otad.publisher.caching import TIMESTAMP
from otad.publisher.encode import Progress, quiet
from otad.publisher.inspection import Inspection, Part, Report
from otad.publisher.judge import Judged, judge
from otad.publisher.place import Place
from otad.publisher.release import grant_of

AnyDocument = TypeVar("AnyDocument", bound=Document)
Listed = Mapping[str, TargetFile]
"""Target path -> what is signed of it."""


async def verify(place: Place, anchor: bytes, *, now: datetime, progress: Progress = quiet) -> Report:
    """Look at all that is public at `place`, from the trusted root `anchor` on. Raises OtadError when it cannot be reached."""
    search = _Search(Inspection(place, progress), now)
    await search.run(anchor)
    return search.seen.report


class _Search:
    def __init__(self, seen: Inspection, now: datetime) -> None:
        self.seen = seen
        self._now = now

    async def run(self, anchor: bytes) -> None:
        root = await self._roots(anchor)
        timestamp = await self._role("timestamp", root, None)
        snapshot = await self._role("snapshot", root, timestamp and timestamp.snapshot_meta)
        meta: Mapping[str, MetaFile] = snapshot.meta if snapshot else {}
        targets = await self._role("targets", root, meta.get("targets.json"))
        releases = await self._role("releases", targets, meta.get("releases.json"))
        rollouts = await self._role("rollouts", targets, meta.get("rollouts.json"))
        blobs = await self._releases(releases.targets) if releases else {}
        if rollouts:
            await self._rollouts(rollouts.targets, releases.targets if releases else {})
        await self._blobs(blobs)

    async def _roots(self, anchor: bytes) -> Root:
        """The newest root that is reached from the anchor."""
        root = Metadata[Root].from_bytes(anchor).signed
        first = await self.seen.get(f"metadata/{root.version}.root.json")
        if first and first.data != anchor:
            self.seen.find(f"metadata/{root.version}.root.json", "is not the root that is trusted: this is another repository")
        found = judge("root", anchor, root)
        while True:
            path = f"metadata/{root.version + 1}.root.json"
            reply = await self.seen.get(path, may_lack=True)
            if reply is None:
                break
            found = judge("root", reply.data, root, MetaFile(root.version + 1))
            if found.signed is None:
                break
            root = found.signed
        self._keep("root", path if found.signed is None else f"metadata/{root.version}.root.json", found)
        return root

    async def _role(self, role: str, delegator: Root | Targets | None, meta: MetaFile | None) -> Any:
        """The metadata of `role` if it may be believed; None when there is nothing to go by."""
        if delegator is None or (meta is None and role != "timestamp"):
            return None
        path = f"metadata/{meta.version}.{role}.json" if meta else TIMESTAMP
        reply = await self.seen.get(path)
        if reply is None:
            return None
        found = judge(role, reply.data, delegator, meta)
        self._keep(role, path, found)
        return found.signed

    def _keep(self, role: str, path: str, found: Judged) -> None:
        self.seen.find(path, *found.problems)
        if found.signed is None:
            return
        expires = found.signed.expires
        if expires <= self._now:
            self.seen.find(path, f"expired on {expires:%Y-%m-%d %H:%M} UTC: devices take no update")
        self.seen.report.parts.append(Part(role, found.signed.version, found.signatures, expires))

    async def _releases(self, targets: Listed) -> dict[str, int]:
        """Look at every release and its encodings; the blobs of those that stand: path -> length."""
        paths = [path for path in targets if path.startswith("releases/")]
        releases = await self._documents("releases", Release, paths, targets)
        encodings = await self._documents("encodings", Encodings, [p for p in targets if p.startswith("encodings/")], targets)
        blobs: dict[str, int] = {}
        for path, release in releases.items():
            product, name = path.split("/")[1:]
            if (release.product, f"{release.version}.json") != (product, name):
                self.seen.find(path, f"describes {release.product} {release.version}")
            ways = encodings.get(path.replace("releases/", "encodings/", 1))
            if ways is None or ways.release != targets[path].hashes["sha256"]:
                self.seen.find(path, "has no encodings that belong to it")
            elif not grant_of(targets[path]).withdrawn:
                blobs |= {f"blobs/{way.blob}": way.length for all_ways in ways.of.values() for way in all_ways}
        return blobs

    async def _rollouts(self, targets: Listed, releases: Listed) -> None:
        for path, document in (await self._documents("rollouts", Rollouts, list(targets), targets)).items():
            if path != f"rollouts/{document.channel}.json":
                self.seen.find(path, f"is for the channel {document.channel}")
            for campaign in document.campaigns:
                listed = [t for p, t in releases.items() if p.startswith("releases/") and p.endswith(f"/{campaign.version}.json")]
                known = any(target.hashes["sha256"] == campaign.sha256 for target in listed)
                if not known and campaign.state is not CampaignState.STOPPED:
                    self.seen.find(path, f"rolls out {campaign.version} ({campaign.sha256[:12]}), which releases does not list")

    async def _documents(
        self, name: str, kind: type[AnyDocument], paths: Sequence[str], targets: Listed
    ) -> dict[str, AnyDocument]:
        """The documents at `paths` that are what was signed and can be read."""
        read: dict[str, AnyDocument] = {}
        came = 0

        async def look(path: str) -> None:
            nonlocal came
            target = targets[path]
            url = f"targets/{target.get_prefixed_paths()[0]}"
            reply = await self.seen.get(url)
            came += 1
            self.seen.progress(f"reading {name}", came, len(paths))
            if reply and self.seen.is_signed(url, reply, target.hashes["sha256"], target.length):
                try:
                    read[path] = kind.decode(reply.data, path)
                except Rejected as error:
                    self.seen.find(url, error.cause.what)

        await self.seen.each(paths, look)
        self.seen.report.parts.append(Part(f"{name}/", files=len(paths), bytes=sum(targets[path].length for path in paths)))
        return read

    async def _blobs(self, blobs: Mapping[str, int]) -> None:
        came, total = 0, sum(blobs.values())

        def more(count: int) -> None:
            nonlocal came
            came += count
            self.seen.progress("reading blobs", came, total)

        async def look(path: str) -> None:
            reply = await self.seen.get(path, came=more)
            if reply:
                self.seen.is_signed(path, reply, path.removeprefix("blobs/"), blobs[path])

        await self.seen.each(list(blobs), look)
        self.seen.report.parts.append(Part("blobs/", files=len(blobs), bytes=total))
        for path in list(blobs)[:1]:
            self.seen.find(path, *await self.seen.place.no_ranges(path))
