"""What may be believed: The Update Framework's metadata, from an anchor in the image to what may run now.

Rules:
 1. Every byte that came over the network is verified before anything is read from it, and capped before it is held.
 2. Only public keys are on the device.
 3. Trust rests on signatures, not on the server: who answers and how is `Fetch`'s business, who signed is ours.
"""

from __future__ import annotations

from typing import Protocol

from otad.errors import RetryLater


class NotFound(RetryLater):
    """The server does not have the file (HTTP 403, 404 or 410: object stores say 403 for what is not there)."""


class Fetch(Protocol):
    """Small files from one repository, by their path below its base, as a URL writes it (percent-encoded)."""

    @property
    def base(self) -> str:
        """The repository's URL, ending in a slash: what messages name."""

    async def get(self, path: str, limit: int, *, fresh: bool = False) -> bytes:
        """The whole file at `path`, at most `limit` bytes; `fresh`: caches on the way are told to ask the origin.

        Raises NotFound; Rejected("endless-data") beyond `limit`; RetryLater for all else that link or server do.
        """
