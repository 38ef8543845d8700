"""VERIFY: everything that can be known before anything is changed."""

from __future__ import annotations

from dataclasses import replace

from otad.bootenv import Slot
from otad.errors import Cause, Corrupt, OtadError, Rejected, RetryLater, Who
from otad.ports import Ports
from otad.statemachine import Attempt, Kind, Outcome, Record, Step


async def run(record: Record, ports: Ports) -> Step:
    """DONE; STAGED or LIVE when what is wanted is here already; CORRUPT once; REJECTED; FAILED when it may pass later."""
    attempt = record.the_attempt
    try:
        if attempt.target:
            _environment(ports, attempt.target)
        if attempt.generation is not None:
            return await _present(attempt, ports)
        release = await ports.offers.release(attempt)
        if attempt.target and release.system:
            ports.slots.guard(attempt.target, ports.boot.status(), release.system.disk)
        await ports.delivery.prove(attempt, release)
    except Corrupt as error:
        return Step(Outcome.FAILED if attempt.refetched else Outcome.CORRUPT, error.cause)
    except Rejected as error:
        return Step(Outcome.REJECTED, error.cause)
    except OtadError as error:
        return Step(Outcome.FAILED, error.cause)
    return Step(Outcome.DONE)


async def _present(attempt: Attempt, ports: Ports) -> Step:
    """A generation that exists already: the target slot, or the running one, must still be what was installed."""
    generation = ports.generations.number(attempt.the_generation)
    if attempt.target is None:
        return Step(Outcome.LIVE) if generation else _gone(attempt, "it is no longer on this device")
    ports.slots.guard(attempt.target, ports.boot.status(), 0)
    if generation and generation.system and await ports.slots.holds(attempt.target, generation.system):
        return Step(Outcome.STAGED)
    ports.generations.unpoint(attempt.target)
    return _gone(attempt, f"slot {attempt.target.value} does not hold it any more as it was installed")


def _gone(attempt: Attempt, why: str) -> Step:
    """What was here is not: an update fetches it again, a revert has nowhere to fetch it from."""
    what = f"release {attempt.version} cannot be taken as it stands: {why}"
    if attempt.kind is Kind.REVERT:
        remedy = "Install a release with `otactl install VERSION`; `otactl history` lists those that ran here"
        return Step(Outcome.REJECTED, Cause("slot-changed", what, remedy))
    cause = Cause("slot-changed", what, "Nothing to do: it is fetched again", Who.NOBODY)
    return Step(Outcome.CORRUPT, cause, replace(attempt, generation=None))


def _environment(ports: Ports, target: Slot) -> None:
    """The environment must be one in which a bad release comes back by itself."""
    if ports.found is None:
        raise RetryLater("environment-unknown", "how this boot began is not known", "Reboot the device", who=Who.FIELD)
    problems = ports.boot.problems(ports.found)
    if problems:
        raise Rejected(
            "environment-unsafe",
            f"slot {target.value} is not written: a bad release could not be undone, because {'; '.join(problems)}",
            "Correct the boot loader's environment; `otactl slots` shows it",
            who=Who.OS_BUILDER,
        )
