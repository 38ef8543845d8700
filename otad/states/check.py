"""CHECK: is there a release that this device may have now?"""

from __future__ import annotations

from otad.errors import Cause, OtadError
from otad.ports import Ports
from otad.statemachine import Outcome, Record, Step


async def run(record: Record, ports: Ports) -> Step:
    """ADMITTED with the attempt; NOTHING with the reason; FAILED when the repository cannot be believed or reached."""
    if ports.refusal:
        return Step(Outcome.NOTHING, ports.refusal)
    try:
        found = await ports.offers.best(record.home, ports.orders.wanted())
    except OtadError as error:
        return Step(Outcome.FAILED, error.cause)
    if isinstance(found, Cause):
        if found.code != "paused":
            ports.delivery.forget()  # a paused roll-out keeps what was fetched for it, nothing else does
        return Step(Outcome.NOTHING, found)
    return Step(Outcome.ADMITTED, attempt=found)
