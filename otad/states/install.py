"""INSTALL: writes the inactive slot. A cut leaves it unknown, unarmed and no fallback; running again writes it anew."""

from __future__ import annotations

from dataclasses import replace

from otad.bootenv import BootStatus, Slot
from otad.errors import OtadError, Rejected, Tampered, Undecodable, Who
from otad.formats.release import Release
from otad.ports import Ports
from otad.statemachine import Attempt, Outcome, Record, Step


async def run(record: Record, ports: Ports) -> Step:
    """DONE; LIVE when nothing needs a reboot; HELD or CANCELLED by the fleet or a person; ANOTHER; TAMPERED; REJECTED; FAILED."""
    attempt = record.the_attempt
    try:
        hold = await ports.offers.still(attempt)
        if hold:
            return Step(hold.outcome, hold.cause, retry_after=hold.retry_after)
        release = await ports.offers.release(attempt)
        return await _write(attempt, release, attempt.target or record.home, ports)
    except Tampered as error:
        return Step.failed(error, Outcome.TAMPERED)
    except Undecodable as error:
        return Step.another(attempt, error)
    except Rejected as error:
        return Step.failed(error, Outcome.REJECTED)
    except OtadError as error:
        return Step.failed(error)


async def _write(attempt: Attempt, release: Release, slot: Slot, ports: Ports) -> Step:
    if attempt.target:
        ports.slots.guard(attempt.target, ports.boot.status(), release.system.disk if release.system else 0)
        ports.boot.retire()  # from here on the boot loader must not fall back to it
        ports.generations.unpoint(attempt.target)
    before = ports.boot.status()
    try:
        installed = await ports.delivery.install(attempt, release, slot)
    finally:  # however it ended, cancelled too: what a bundle has armed must be disarmed
        _compare(before, attempt, ports)
    generation = ports.generations.create(attempt, release, installed)
    if attempt.target:
        ports.generations.point(attempt.target, generation.number)  # last: only a whole slot is pointed at
    attempt, written = replace(attempt, generation=generation.number, failed=()), sum(one.length for one in installed)
    return Step(Outcome.DONE if attempt.target else Outcome.LIVE, attempt=attempt, moved=written)


def _compare(before: BootStatus, attempt: Attempt, ports: Ports) -> None:
    """Raises Tampered unless the boot environment says what it said `before`."""
    if ports.boot.status() != before:
        raise Tampered(
            "bundle-arms",
            f"the bundle of release {attempt.version} changed the boot environment itself",
            "Build it without a bootenv section: otad selects the slot once it is proved",
            who=Who.INTEGRATOR,
        )
