"""What a person on the device may ask for, and how it is answered.

Rules:
 1. Reading changes nothing and is for the group `otad`; changing what runs is for root and the group `otad-admin`.
 2. A verb is answered with a `Reply` at once; what follows from it is seen in the events.
 3. The daemon satisfies `Desk`; the server only carries.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol


class Verb(str, Enum):
    """What changes something; reading has its own methods below."""

    CHECK = "check"
    INSTALL = "install"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    COMMIT = "commit"
    ROLLBACK = "rollback"


class Exit(int, Enum):
    """Exit statuses of otactl."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOTHING = 3
    UNREACHABLE = 4


@dataclass(frozen=True)
class Reply:
    """The daemon's answer to a verb: how it ended, in words, and the next step if there is one."""

    exit: Exit
    words: str
    remedy: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class Desk(Protocol):
    """The daemon, as a person meets it. Every value is plain JSON data."""

    async def do(self, verb: Verb, by: str, version: str | None = None) -> Reply:
        """Take an order from user `by`. `check` answers when the check is done; the others as soon as they are taken up."""

    def status(self) -> dict[str, Any]:
        """The same document as `otad.control.status.describe` makes from a sleeping daemon's journal, with live progress."""

    def slots(self) -> dict[str, Any]:
        """Both slots: device, what they hold, booted, selected, on trial, known good; and the boot environment's problems."""

    def health(self) -> dict[str, Any]:
        """The last findings of the health checks."""

    def config(self) -> dict[str, Any]:
        """The settings in force, secrets left out."""

    def history(self, limit: int) -> list[dict[str, Any]]:
        """Past attempts, newest first: release, kind, how each ended, cause, durations."""

    def events(self, after: int) -> AsyncIterator[dict[str, Any]]:
        """Stored events that follow number `after`, then live ones, with progress in between."""
