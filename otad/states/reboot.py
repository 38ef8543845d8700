"""REBOOT: arms the trial in one environment write, and reboots. Before the write the old slot boots, after it the new one."""

from __future__ import annotations

from otad.bootenv import BootStatus, Slot
from otad.errors import OtadError
from otad.ports import Ports
from otad.statemachine import Outcome, Record, Step

TELL_SECONDS = 5.0  # "about to reboot" is worth this much waiting, no more


async def run(record: Record, ports: Ports) -> Step:
    """BOOT; HELD or CANCELLED before arming (the slot is kept); FAILED when arming or the reboot did not work."""
    attempt = record.the_attempt
    target = attempt.the_target
    try:
        if not _armed(ports.boot.status(), target):
            hold = await ports.offers.still(attempt)
            if hold:
                await ports.host.start()  # an earlier run of this state may have stopped them
                return Step(hold.outcome, hold.cause, retry_after=hold.retry_after)
            await ports.witness.say(TELL_SECONDS)
        await ports.host.stop()
        await ports.host.sync()
        status = ports.boot.status()
        if not _armed(status, target):
            ports.slots.guard(target, status, 0)
            ports.boot.arm(target)
        await ports.host.reboot()
    except OtadError as error:
        return Step.failed(error)
    return Step(Outcome.BOOT)


def _armed(status: BootStatus, target: Slot) -> bool:
    """From arming on, a trial runs to its end: nobody is asked again."""
    return status.trial and status.selected is target
