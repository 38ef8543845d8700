"""What must hold: on every effect (`on_*`), and wherever a device ends that nothing happens to any more (`at_rest`).

Rules:
 1. A broken property raises `Broken` with its name and what was seen; the explorer adds the history that led there.
 2. The known residuals are named here, counted, and nothing else is let through.
"""

from __future__ import annotations

from enum import Enum

from otad.bootenv import Slot
from otad.bootenv.uboot import boot_status
from otad.statemachine import Attempt, Kind, Record, State
from simulator.sweep.device import Device, Lost, Running
from simulator.sweep.scenario import Nature, Scenario

GOOD_END = "it ends on a good slot, unless both are bad"
BOOTS = 18  # at most, until a device to which nothing happens any more has settled


class Residual(str, Enum):
    """What is known and accepted, each with its reason."""

    BOTH_LOST = "environment and journal lost while slot A was being installed, or was armed"
    """Nobody knows any more that A was not the slot that ran: U-Boot's default takes it."""
    GIVEN_UP = "a good slot was given up on trial or by otad, or lost its environment, and what was gone back to is bad"
    """What was given up so is never tried again by itself (docs/adr/0012); the default environment takes B for good."""
    NO_OTAD = "environment lost while a release in which otad never starts was armed in slot A"
    """U-Boot's default takes A, not on trial, so otad-deadline lets it be, and nobody else is there."""
    LATE_ROT = "rot between the health check and confirm"
    """What was healthy a moment ago is confirmed; its unproven boots run out and the fallback comes."""


class Broken(Exception):  # it says what happened
    """A property does not hold."""

    def __init__(self, name: str, seen: str) -> None:
        super().__init__(f"{name}: {seen}")
        self.name = name
        self.seen = seen


def must(holds: bool, name: str, seen: str) -> None:
    """Raise Broken unless it `holds`."""
    if not holds:
        raise Broken(name, seen)


def saved(device: Device, state: State) -> None:
    """Before something is done that only one state does: the journal says that this is the state."""
    record = device.memory.load()
    must(record is not None and record.state is state, "save, then act", f"{state.value} acts, the journal says {record}")


_ACTS = {State.INSTALL, State.REBOOT, State.VALIDATE, State.COMMIT}


def on_kept(before: Record | None, device: Device, here: Slot) -> None:
    """After a commit of the journal: a release that failed on trial is refused in the same breath, and no trial is left alone.

    A ROLLBACK that cannot write the environment does leave one alone; otad-deadline and the next start see to it.
    """
    after = device.memory.load()
    if after and after.state is State.IDLE and (before is None or before.state in _ACTS):
        must(device.env.upgrade_available != "1", "otad never leaves a trial alone", f"it is idle after {before}; {device.env}")
    attempt = after.attempt if after else None
    ends = before and before.state is State.ROLLBACK and before.goal is here and device.env.otad_rollback == ""
    if ends and after and after.state is not State.ROLLBACK:
        must(after.home is here, "home is where a rollback ends", f"{after} in slot {here.value}")
    began = after and after.state is State.ROLLBACK and before and before.state is not State.ROLLBACK
    failed = began and after and after.cause and after.cause.code in {"unhealthy", "boot-failed"}
    if failed and attempt and attempt.kind is not Kind.REVERT:
        refused = any(release == attempt.release and refused for _, release, _, refused, _ in device.memory.attempts)
        must(refused, "a release that failed on trial is refused", f"{attempt} is not in {device.memory.attempts}")


def on_write(device: Device, running: Running, slot: Slot) -> None:
    """Before a slot is written."""
    saved(device, State.INSTALL)
    status = boot_status(device.env._asdict(), running.slot)
    must(slot is not running.slot, "never write the booted slot", f"slot {slot.value} runs")
    must(slot is not status.selected, "never write the selected or armed slot", f"slot {slot.value} is selected")
    must(slot is not status.fallback, "never write the fallback", f"slot {slot.value} is the fallback")
    must(device.pointer(slot) is None, "only a whole slot is pointed at", f"slot {slot.value} is written while it has a pointer")


def on_arm(device: Device, target: Slot, attempt: Attempt | None) -> None:
    """Before a slot is armed."""
    saved(device, State.REBOOT)
    content, pointer = device.slot(target), device.pointer(target)
    must(content.whole and content.version != "", "never arm partial or unverified bytes", f"slot {target.value}: {content}")
    must(attempt is not None, "only an attempt arms", f"slot {target.value}")
    if attempt is None or (attempt.kind is Kind.REVERT and pointer is None):
        return  # the factory's slot has no generation
    own = pointer == attempt.generation and (attempt.kind is Kind.REVERT or content.version == attempt.version)
    must(own, "the attempt's own release is armed", f"{content} with generation {pointer} for {attempt}")


def on_armed(device: Device, running: Running) -> None:
    """After a slot was armed: the trial has fresh counters and a way back that is good."""
    env = device.env
    must(env.bootcount in {"", "0"} and env.otad_boots in {"", "0"}, "a trial begins with fresh counters", f"{env}")
    must(env.otad_fallback == running.slot.value, "a trial falls back to what runs", f"{env}")
    must(env.otad_rollback == "", "a trial begins with no slot given up", f"{env}")


def on_confirmed(device: Device) -> None:
    """After the booted slot was confirmed."""
    env = device.env
    fresh = env.bootcount in {"", "0"} and env.otad_boots in {"", "0"}
    must(fresh and env.upgrade_available != "1", "a confirmed slot is stable, with fresh counters", f"{env}")


def on_rolled_back(device: Device, keep: Slot | None) -> None:
    """After a slot was selected by a rollback that leaves `keep` as the fallback."""
    env = device.env
    left = keep.value if keep else ""
    must(env.otad_fallback == left, "what a rollback leaves is no fallback", f"{env}")
    must(env.upgrade_available != "1", "a rollback ends the trial", f"{env}")


def on_confirm(scenario: Scenario, device: Device, running: Running) -> Residual | None:
    """Before the booted slot, or what runs in it, is confirmed."""
    saved(device, State.COMMIT)
    must(running.examined, "never confirm what was not healthy in this boot", f"slot {running.slot.value}, {running}")
    content = device.slot(running.slot)
    if content.rotten:
        return Residual.LATE_ROT
    record = device.memory.load()
    attempt = record.attempt if record else None
    pointer = device.pointer(running.slot)
    if attempt and attempt.target:
        own = pointer == attempt.generation and (pointer is not None or attempt.kind is Kind.REVERT)  # the factory's has none
        must(own, "what is confirmed is one generation", f"{attempt}, slot {running.slot.value} points at {pointer}")
    good = scenario.runs_well(device, running)
    must(good, "never confirm a bad release", f"slot {running.slot.value} holds {content}, runs {runs(device, running)}")
    return None


def on_select(device: Device, goal: Slot, keep: Slot | None) -> None:
    """Before a slot is selected by a rollback that leaves `keep` as the fallback."""
    saved(device, State.ROLLBACK)
    if keep:
        status, record = boot_status(device.env._asdict(), None), device.memory.load()
        revert = record is not None and record.the_attempt.kind is Kind.REVERT
        untried = status.trial and status.selected is keep and status.tries == 0
        must(revert and untried, "only a revert that was never booted stays a fallback", f"{device.env} {record}")
    content = device.slot(goal)
    must(content.whole and content.version != "", "never roll back to partial bytes", f"slot {goal.value}: {content}")


def on_turned(before: Record, after: Record, running: Running) -> None:
    """After a transition of the machine: a device that stays where it is has its applications; the next event may be far off."""
    stays = before.state in {State.REBOOT, State.ROLLBACK} and after.state is State.IDLE
    must(running.apps or not stays, "the applications of a device that stays run", f"{after} {running}")


def on_any(device: Device, running: Running | None) -> None:
    """After every effect: what runs is one set."""
    if running is None or not running.apps:
        return
    generation = device.generation(running.current)
    if generation and generation.system:
        image = device.slot(running.slot).version
        one = generation.system.payload == image
        must(
            one, "the running set is exactly one generation", f"{generation.version} (for {generation.system.payload}) on {image}"
        )


def runs(device: Device, running: Running) -> str:
    """The version whose set runs: the generation's if one is active, else the image's."""
    generation = device.generation(running.current)
    return generation.version if generation else device.slot(running.slot).version


def at_rest(scenario: Scenario, device: Device, running: Running) -> Residual | None:
    """Where a device ends when nothing happens to it any more."""
    env, record, here = device.env, device.memory.load(), running.slot
    told = f"{env} {record} {running}"
    if not scenario.runs_well(device, running):
        return on_bad(scenario, device, f"slot {here.value} runs {runs(device, running)}")
    must(env.upgrade_available != "1", "no trial is left armed", told)
    must(env.otad_rollback == "", "no stale otad_rollback", told)
    must(env.boot_partition == here.value, "the slot that runs is the one selected", told)
    must(env.bootcount in {"", "0"} and env.otad_boots in {"", "0"}, "a stable boot is proven", told)
    must(record is not None and record.state is State.IDLE, "it ends idle", told)
    must(record is not None and record.home is here, "home is the slot that runs", told)
    must(running.apps, "the applications run", told)
    must(running.current == device.pointer(here), "what runs is what the slot points at", told)
    must(_settled(scenario, device, running), "a good release arrives, or it is said why not", f"{device.memory.attempts} {told}")
    return None


def _settled(scenario: Scenario, device: Device, running: Running) -> bool:
    """The release on offer runs, or this device refuses it."""
    refused = any(refused for _, release, _, refused, _ in device.memory.attempts if release == scenario.version)
    return refused or runs(device, running) == scenario.version


def undisturbed(scenario: Scenario, device: Device, running: Running) -> None:
    """Where a device ends to which nothing happened at all."""
    generation = device.generation(running.current)
    if scenario.nature is Nature.SICKENS and not scenario.system and generation and generation.previous is None:
        return  # what the factory brought is no generation, so there is nothing to go back to: it is told, and stays
    arrives = scenario.nature is Nature.GOOD
    seen = f"it runs {runs(device, running)}, {device.memory.attempts}"
    must((runs(device, running) == scenario.version) is arrives, "a good release arrives, and no other", seen)


def without_otad(scenario: Scenario, device: Device) -> Residual | None:
    """Where a slot runs for ever in which otad does not."""
    if device.lost & Lost.ENVIRONMENT:
        return Residual.NO_OTAD
    return on_bad(scenario, device, "Linux runs without otad")


def in_recovery(scenario: Scenario, device: Device) -> Residual | None:
    """Where recovery comes again and again: of two slots that take turns, none is good."""
    env = device.env
    turns = env.otad_fallback != "" and env.otad_fallback == env.otad_rollback
    good = [content for content in device.slots if scenario.of(content) is Nature.GOOD]
    must(not (turns and good), "of two slots that take turns, each gets its own", f"{env}; there is {good}")
    return on_bad(scenario, device, "recovery")


def on_bad(scenario: Scenario, device: Device, seen: str) -> Residual | None:
    """Where a device ends on a slot that is not good, or in recovery: nothing that is known to be good may be left."""
    good = [content for content in device.slots if scenario.of(content) is Nature.GOOD]
    must(not any(content.proved for content in good), GOOD_END, f"{seen}; there is {good}")
    return Residual.GIVEN_UP if any(content.given_up for content in good) else None
