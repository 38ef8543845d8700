"""CHECK: is there a release that this device may have now?"""

from __future__ import annotations

from otad.errors import OtadError
from otad.ports import Ports
from otad.statemachine import Attempt, Outcome, Record, Step


async def run(_: Record, ports: Ports) -> Step:
    """ADMITTED with the attempt; NOTHING with the reason; FAILED when the repository cannot be believed or reached."""
    if ports.refusal:
        return Step(Outcome.NOTHING, ports.refusal)
    try:
        found = await ports.offers.best(ports.orders.wanted())
    except OtadError as error:
        return Step.failed(error)
    if isinstance(found, Attempt):
        return Step(Outcome.ADMITTED, attempt=found)
    if found.outcome is not Outcome.HELD:
        ports.delivery.forget()  # a pause keeps what was fetched, nothing else does
    return Step(Outcome.NOTHING, found.cause, retry_after=found.retry_after)
