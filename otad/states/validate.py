"""VALIDATE: the new release proves itself, in the boot that would confirm it."""

from __future__ import annotations

from otad.errors import OtadError
from otad.ports import Ports
from otad.statemachine import Outcome, Record, Step


async def run(record: Record, ports: Ports) -> Step:
    """DONE when every required check held through the soak time; FAILED with the check that did not."""
    attempt = record.the_attempt
    try:
        if attempt.target is None:
            await ports.host.stop()
            ports.generations.activate(attempt.the_generation)  # tmpfs: a cut boots the old applications
            await ports.host.start()
        cause = await ports.health.examine(attempt)
    except OtadError as error:
        return Step.failed(error)
    return Step(Outcome.FAILED, cause) if cause else Step(Outcome.DONE)
