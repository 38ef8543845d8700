"""Where a committed release can be undone to: the other slot if it is known good, or the previous set of applications."""

from __future__ import annotations

from ulid import ULID

from otad.errors import Rejected
from otad.ports import Ports
from otad.statemachine import Attempt, Kind

FACTORY = "of the factory"  # in place of a version: the image that came with the device says what it is once it runs


def revert(ports: Ports) -> Attempt:
    """The attempt that undoes what runs. Raises Rejected when there is nothing to go back to, OtadError when nobody can tell."""
    if ports.refusal:
        raise Rejected(ports.refusal.code, ports.refusal.what, ports.refusal.remedy, who=ports.refusal.who)
    status = ports.boot.status()
    booted, target = status.booted, status.fallback
    running = ports.generations.at(booted) if booted else None
    before = ports.generations.number(running.previous) if running and running.previous is not None else None
    if before:
        return Attempt(str(ULID()), Kind.REVERT, "", before.release, before.version, None, before.number)
    there = ports.generations.at(target) if target else None
    factory = running is None or running.system is None  # no image was installed here yet: the fallback is U-Boot's default
    if target is None or target is booted or (there is None and factory):
        raise Rejected(
            "nothing-to-revert-to",
            "there is no release to go back to: the other slot is not known to be good",
            "`otactl slots` shows what it holds; `otactl install VERSION` brings a release anew",
        )
    if there:
        return Attempt(str(ULID()), Kind.REVERT, "", there.release, there.version, target, there.number)
    return Attempt(str(ULID()), Kind.REVERT, "", "", FACTORY, target)
