"""What a release brings, and the one Protocol of everything that installs it.

A handler is found by its kind. `check` looks and changes nothing; `install` may run twice, and running it again after a cut
leaves the same result. Both raise OtadError kinds: Rejected for what this device must not take, RetryLater for what may pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from otad.bootenv import Slot
from otad.encoding import Source
from otad.formats.release import Payload, PayloadKind

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all); both of the same thing, in order."""


@dataclass(frozen=True)
class Installed:
    """What ended up where: SHA-256 (hex) and length in bytes of what a later read must find again."""

    payload: str  # SHA-256 of the decoded payload: its identity
    sha256: str
    length: int


class PayloadHandler(Protocol):
    """Installs one kind of payload."""

    kind: PayloadKind

    async def check(self, payload: Payload, source: Source, target: Slot) -> None:
        """Whether it could be installed here: signature, hardware, target, room. Changes nothing."""

    async def install(self, payload: Payload, source: Source, target: Slot, progress: Progress) -> Installed:
        """Put it in place for `target`, durably (fsync) before it returns."""
