"""TUF's client workflow, one pass: what is asked for when, and what the stored copies are still worth.

Rules:
 1. Root to leaf, each verified before the next is asked for. A stored copy that is the one that is named is not asked for again.
 2. Roots are kept as they are accepted. What becomes of the other roles is the caller's to decide: `take` gives them out.
 3. Online keys that root rotated take what they signed with them (5.3.11): trusted timestamp, snapshot and the clock's floor.
 4. No file is longer than its cap, nor than the metadata above it says; no pass takes up more than MAX_ROOTS roots.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from otad.errors import RetryLater
from otad.trust import Fetch, NotFound, refusals
from otad.trust.anchor import begin
from otad.trust.clock import Floor, timeless
from otad.trust.store import LIMIT, Store, role_file
from otad.trust.verifier import Stored, Tell, Verifier

TOP = {"timestamp": "root", "snapshot": "root", "targets": "root"}
"""The top-level roles in the order in which they lead to each other -> who delegates them."""

MAX_ROOTS = 256  # taken up in one pass; the next one goes on from there
_log = logging.getLogger(__name__)
_CAPS = {"root": 2**19, "timestamp": 2**14}  # bytes; the others: LIMIT


class Workflow:
    """One pass over the metadata below `folder` of a repository. `verifier` holds what was accepted so far."""

    def __init__(self, http: Fetch, store: Store, verifier: Verifier, *, fresh: bool, folder: str) -> None:
        self._http = http
        self._store = store
        self._fresh = fresh
        self._folder = folder
        self.verifier = verifier

    @classmethod
    async def begin(cls, http: Fetch, store: Store, tell: Tell, *, fresh: bool = False, folder: str = "metadata/") -> Workflow:
        """A pass that has come to the newest root that there is. Raises as `Repository.refresh`."""
        verifier = await asyncio.to_thread(begin, store, tell)
        workflow = cls(http, store, verifier, fresh=fresh, folder=folder)
        await workflow._climb()
        await asyncio.to_thread(workflow._take_up_floor)
        return workflow

    @property
    def floor(self) -> Floor:
        """The clock's floor by what was accepted so far."""
        return Floor(issued=self.verifier.latest_issued, keys=self.verifier.online_keys)

    async def take(self, role: str, by: str) -> bytes | None:
        """Have the `role` that `by` delegates accepted, from the store if it is there as it is named; its bytes if they are new.

        Raises as `Repository.refresh`.
        """
        stored = await asyncio.to_thread(self._store.role, role)
        if stored is not None:
            worth = self.verifier.recall(role, by, stored)
            if worth is Stored.DAMAGED:  # it stays until this whole pass holds: other keys are no damage, and may be refused yet
                _log.info("the stored %s %s: it is fetched again", role_file(role), worth.value)
            if worth is Stored.CURRENT and role != "timestamp":
                return None
        meta = self.verifier.named(role)
        name = role_file(role) if meta is None else f"{meta.version}.{role_file(role)}"
        cap = _CAPS.get(role, LIMIT)
        limit = min(cap, meta.length) if meta and meta.length else cap
        data = await self._get(name, limit, named_by={"timestamp": None, "snapshot": "timestamp.json"}.get(role, "snapshot.json"))
        return data if self.verifier.accept(role, by, data, self._url(name)) else None

    async def _climb(self) -> None:
        """Take up one root after the other, up to the newest; each is kept as it is accepted."""
        if self._store.root(self.verifier.root.version) != self.verifier.root_bytes:  # the image's own
            await self._keep_root()
        for _ in range(MAX_ROOTS):
            name = f"{self.verifier.root.version + 1}.root.json"
            try:
                data = await self._get(name, _CAPS["root"])
            except NotFound:
                return
            self.verifier.accept_root(data, self._url(name))
            await self._keep_root()
        raise RetryLater(
            "too-many-roots",
            f"{self._http.base} has more than {MAX_ROOTS} roots that this device had not seen",
            "Nothing to do: it goes on from there at the next check",
        )

    async def _keep_root(self) -> None:
        await asyncio.to_thread(self._store.keep_root, self.verifier.root.version, self.verifier.root_bytes)

    def _take_up_floor(self) -> None:
        floor = self._store.floor()
        if floor is not None and floor.keys == self.verifier.online_keys:
            self.verifier.floor = floor.issued
        elif floor is not None:
            self._store.forget_online()

    async def _get(self, name: str, limit: int, *, named_by: str | None = None) -> bytes:
        try:
            return await self._http.get(self._folder + name, limit, fresh=self._fresh)
        except NotFound as error:
            if named_by is None:  # the end of the roots; or no repository there, rather than half of one
                raise
            raise refusals.missing(self._url(name), named_by) from error

    def _url(self, name: str) -> str:
        return self._http.base + self._folder + name


def recalled(store: Store, roles: Mapping[str, str]) -> Verifier | None:
    """All of `roles` (name -> who delegates it) as they were kept, verified again from the anchor, whatever has expired since.

    None when one is missing or damaged, or when root has rotated the online keys. Blocking. Raises Rejected("no-anchor").
    """
    verifier = begin(store, timeless)
    floor = store.floor()
    if floor is not None:
        if floor.keys != verifier.online_keys:
            return None
        verifier.floor = floor.issued
    for role, by in roles.items():
        data = store.role(role)
        if data is None or verifier.recall(role, by, data) is not Stored.CURRENT:
            return None
    return verifier
