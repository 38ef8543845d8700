"""A history as a person reads it: what happened, and how the device stood after it."""

from __future__ import annotations

from collections.abc import Iterator

from otad.bootenv import Slot
from simulator.bootloader import Env
from simulator.sweep.device import Content, Device, Running
from simulator.sweep.explore import Violation
from simulator.sweep.graph import Node


def told(violation: Violation) -> str:
    """The property, what was seen, and the history that led there; a state is only shown where it changed."""
    lines = [f"BROKEN: {violation.property}", f"  seen: {violation.seen}", f"  in: {violation.scenario}", ""]
    return "\n".join((*lines, *_steps(violation)))


def _steps(violation: Violation) -> Iterator[str]:
    before = ""
    for number, (what, node) in enumerate(violation.history, 1):
        after = stands(node)
        yield f"{number:3}. {what or 'so it goes on'}"
        if after != before:
            yield f"     {after}"
        before = after


def stands(node: Node) -> str:
    """One line: where it stands, the slots, the environment, the journal, and what runs."""
    device = node.device
    slots = " ".join(f"{slot.value}={_content(device, slot)}" for slot in Slot)
    return f"[{node.place.value}] {slots} | {_environment(device.env)} | {_memory(device)}{_running(node.running)}"


def _content(device: Device, slot: Slot) -> str:
    content, pointer = device.slot(slot), device.pointer(slot)
    if not content.whole:
        return "half"
    return f"{content.version or 'nothing'}{_marks(content)}{f'(g{pointer})' if pointer else ''}"


def _marks(content: Content) -> str:
    return "".join(mark for mark, holds in ((" rotten", content.rotten), (" proved", content.proved)) if holds)


def _environment(env: Env) -> str:
    trial = f", on trial ({env.bootcount} boots)" if env.upgrade_available == "1" else f", {env.otad_boots or 0} unproven"
    back = f", fallback {env.otad_fallback}" if env.otad_fallback else ""
    failed = f", given up {env.otad_rollback}" if env.otad_rollback else ""
    return f"selects {env.boot_partition}{trial}{back}{failed}"


def _memory(device: Device) -> str:
    record = device.memory.load()
    if record is None:
        return "no journal"
    goal = f" to {record.goal.value}" if record.goal else ""
    what = f" {record.attempt.kind.value} {record.attempt.version}" if record.attempt else ""
    refused = ", ".join(release for _, release, _, refused, _ in device.memory.attempts if refused)
    return f"journal: {record.state.value}{goal}{what}, home {record.home.value}{f', refuses {refused}' if refused else ''}"


def _running(running: Running | None) -> str:
    if running is None:
        return ""
    current = f", generation {running.current}" if running.current else ""
    return f" | {running.slot.value} runs{current}{'' if running.apps else ', applications stopped'}"
