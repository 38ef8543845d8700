"""Reports: the fleet is told what happened on this device. And the one Protocol of every place that is told.

Rules:
 1. An event is in the journal before it is told, and stays owed until the sink said that it has it: at least once, in order.
 2. A sink that is down, slow or wrong never holds an update up. It is asked again, less and less often.
 3. What was dropped before it could be told (the journal is bounded) is counted, and the count is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Batch:
    """What a sink is told in one go.

    events  JSON texts of events (otad.formats.event), oldest first; at least one
    lost    events just before these that were dropped untold
    last    sequence number of the last one
    """

    events: tuple[str, ...]
    lost: int
    last: int


class Sink(Protocol):
    """A place that events go to. `name` is stable: what it has been told is remembered by it."""

    name: str

    async def send(self, batch: Batch) -> None:
        """Returns when the sink has the batch, for good. The same batch may come again, with the same ids.

        Raises RetryLater when it may have it later, Rejected when it will not take this batch as it is.
        """
