"""COMMIT: the release becomes what this device is. Reached only from VALIDATE in this very boot, or when already confirmed."""

from __future__ import annotations

from otad.errors import BootEnvironmentError, OtadError
from otad.ports import Ports
from otad.statemachine import Outcome, Record, Step


async def run(record: Record, ports: Ports) -> Step:
    """DONE after one environment write (or one pointer); FAILED when it does not hold: then the trial is undone."""
    attempt = record.the_attempt
    try:
        status = ports.boot.status()
        if status.booted is None or (attempt.target and status.booted is not attempt.target):
            raise BootEnvironmentError(
                "wrong-slot",
                f"release {attempt.version} cannot be confirmed: its slot does not run",
                "Nothing to do: it is undone",
            )
        if attempt.target is None:
            ports.generations.point(status.booted, attempt.the_generation)
        elif status.trial:
            ports.boot.confirm()
    except OtadError as error:
        return Step.failed(error)
    ports.generations.collect()
    ports.delivery.forget()
    return Step(Outcome.DONE)
