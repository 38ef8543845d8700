"""The attempts: which releases failed here, how often, and when each may be tried again.

Rules:
 1. A failure counts for one release in one campaign: a newer campaign starts anew, and so does `otactl retry`.
 2. The waits double, with jitter so that a fleet does not come back at once; after `limit` failures the release is refused.
 3. A wait that is longer than any that this module gives was made under another clock, and does not count.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from otad.errors import Cause
from otad.journal.connection import Connection

_KEEP = 200  # releases remembered; a device meets a handful in a year
_DOUBLINGS = 10  # the longest wait is backoff * 2**10


@dataclass(frozen=True)
class Tries:
    """What this device knows of one release (SHA-256 of its document) in one campaign.

    failures  attempts that failed
    refused   not to be tried again in this campaign
    next_try  not before this time (aware, UTC); None: at once
    cause     why the last one failed
    """

    campaign: str
    release: str
    failures: int = 0
    refused: bool = False
    next_try: datetime | None = None
    cause: Cause | None = None

    def failed(
        self, cause: Cause | None, now: datetime, limit: int, backoff: float, jitter: Callable[[], float] = random.random
    ) -> Tries:
        """After one more failure: tried again between half and all of backoff * 2**(failures - 1) seconds, or refused.

        `limit` and `backoff` are config.Attempts'; `jitter` gives a number in [0, 1).
        """
        failures = self.failures + 1
        if failures >= limit:
            return replace(self, failures=failures, refused=True, next_try=None, cause=cause)
        wait = backoff * 2 ** min(failures - 1, _DOUBLINGS)
        return replace(self, failures=failures, next_try=now + timedelta(seconds=wait * (1 + jitter()) / 2), cause=cause)

    def rejected(self, cause: Cause | None) -> Tries:
        """After the release turned out not to be for this device: trying again would change nothing."""
        return replace(self, failures=self.failures + 1, refused=True, next_try=None, cause=cause)

    def due(self, now: datetime, backoff: float) -> bool:
        """True when it may be tried at `now`."""
        if self.refused:
            return False
        longest = timedelta(seconds=backoff * 2**_DOUBLINGS)
        return self.next_try is None or self.next_try <= now or self.next_try - now > longest


class Attempts:
    """The table `attempts`. Every method raises JournalError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, campaign: str, release: str) -> Tries:
        """What is known of `release` in `campaign`; no failures when nothing is."""
        found = self._connection.rows(f"{_SELECT} WHERE campaign = ? AND release = ?", campaign, release)
        return _tries(*found[0]) if found else Tries(campaign, release)

    def all(self) -> list[Tries]:
        """Everything that failed here and was not cleared, the latest first."""
        return [_tries(*row) for row in self._connection.rows(f"{_SELECT} ORDER BY rowid DESC")]

    def save(self, tries: Tries) -> None:
        """Remember `tries` as the latest."""
        with self._connection.transaction():
            self._connection.rows("DELETE FROM attempts WHERE campaign = ? AND release = ?", tries.campaign, tries.release)
            self._connection.rows(
                "INSERT INTO attempts (campaign, release, failures, refused, next_try, cause) VALUES (?, ?, ?, ?, ?, ?)",
                tries.campaign,
                tries.release,
                tries.failures,
                int(tries.refused),
                tries.next_try.astimezone(timezone.utc).isoformat() if tries.next_try else None,
                json.dumps(tries.cause.to_dict()) if tries.cause else None,
            )
            self._connection.rows(
                "DELETE FROM attempts WHERE rowid NOT IN (SELECT rowid FROM attempts ORDER BY rowid DESC LIMIT ?)", _KEEP
            )

    def clear(self, release: str | None = None) -> int:
        """Forget the failures of `release` in every campaign (None: of all releases), as `otactl retry` asks; how many."""
        with self._connection.transaction():
            before = len(self.all())
            self._connection.rows("DELETE FROM attempts WHERE ? IS NULL OR release = ?", release, release)
            return before - len(self.all())


_SELECT = "SELECT campaign, release, failures, refused, next_try, cause FROM attempts"


def _tries(campaign: str, release: str, failures: int, refused: int, next_try: str | None, cause: str | None) -> Tries:
    """A row that rotted is refused until somebody asks for a retry: that harms nobody."""
    try:
        when = datetime.fromisoformat(next_try) if next_try else None
        why = Cause.from_dict(json.loads(cause)) if cause else None
        return Tries(campaign, release, int(failures), bool(refused), when, why)
    except (ValueError, TypeError, KeyError):
        return Tries(campaign, release, refused=True)
