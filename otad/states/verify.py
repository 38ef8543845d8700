"""VERIFY: everything that can be known before anything is changed."""

from __future__ import annotations

from dataclasses import replace

from otad.bootenv import Slot
from otad.errors import Cause, Corrupt, OtadError, Rejected, RetryLater, Undecodable, Who
from otad.ports import Ports
from otad.statemachine import Attempt, Kind, Outcome, Record, Step


async def run(record: Record, ports: Ports) -> Step:
    """DONE; STAGED or LIVE when what is wanted is here already; CORRUPT once; ANOTHER; REJECTED; FAILED."""
    attempt = record.the_attempt
    try:
        if attempt.target:
            _environment(ports, attempt.target)
        if attempt.kind is Kind.REVERT:
            return _revert(attempt, ports)
        if attempt.generation is not None:
            return await _staged(attempt, attempt.the_target, ports)
        release = await ports.offers.release(attempt)
        if attempt.target and release.system:
            ports.slots.guard(attempt.target, ports.boot.status(), release.system.disk)
        await ports.delivery.prove(attempt, release, attempt.target or record.home)
    except Undecodable as error:
        return Step.another(attempt, error)
    except Corrupt as error:
        return Step.failed(error, Outcome.FAILED if attempt.refetched else Outcome.CORRUPT)
    except Rejected as error:
        return Step.failed(error, Outcome.REJECTED)
    except OtadError as error:
        return Step.failed(error)
    return Step(Outcome.DONE)


def _revert(attempt: Attempt, ports: Ports) -> Step:
    """Going back needs no download: the other slot is known good, or the previous applications are still here."""
    if attempt.target is None:
        if ports.generations.number(attempt.the_generation):
            return Step(Outcome.LIVE)
    else:
        status = ports.boot.status()
        ports.slots.guard(attempt.target, status, 0)
        if status.fallback is attempt.target:
            return Step(Outcome.STAGED)
    raise Rejected(
        "nothing-to-revert-to",
        f"release {attempt.version} is no longer whole on this device",
        "Install one with `otactl install VERSION`; `otactl history` lists those that ran here",
    )


async def _staged(attempt: Attempt, target: Slot, ports: Ports) -> Step:
    """The target slot had this release already (held before arming, or sent back to): it must still be what was installed."""
    ports.slots.guard(target, ports.boot.status(), 0)
    generation = ports.generations.number(attempt.the_generation)
    if generation and generation.system and await ports.slots.holds(target, generation.system):
        return Step(Outcome.STAGED)
    ports.generations.unpoint(target)
    cause = Cause(
        "slot-changed",
        f"slot {target.value} does not hold release {attempt.version} any more as it was installed",
        "Nothing to do: it is fetched again",
        Who.NOBODY,
    )
    return Step(Outcome.CORRUPT, cause, replace(attempt, generation=None))


def _environment(ports: Ports, target: Slot) -> None:
    """The environment must be one in which a bad release comes back by itself."""
    if ports.found is None:
        raise RetryLater("environment-unknown", "how this boot began is not known", "Reboot the device", who=Who.FIELD)
    problems = ports.boot.problems(ports.found)
    if problems:
        raise RetryLater(
            "environment-unsafe",
            f"slot {target.value} is not written: a bad release could not be undone, because {'; '.join(problems)}",
            "Correct the boot loader's environment; `otactl slots` shows it",
            who=Who.OS_BUILDER,
        )
