"""What a boot means: the one place where memory (the record) meets the truth (the boot environment).

Rules:
 1. The boot is classified first; then the first rule that matches decides. The numbers are those of `docs/boot.md`.
 2. What no rule recognises is rolled back to the home slot.
 3. Every limit stands here. Starts of otad are counted, not boots: what is killed (out of memory) starts again in the same boot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from otad.bootenv import BootClass, BootStatus, Slot, classify
from otad.errors import Cause, Who
from otad.statemachine import Record, State

INSTALL_STARTS = 4  # in which INSTALL or REBOOT may be begun again: whatever kills otad there, the slot is not written for ever
VALIDATE_STARTS = 3  # in which a release without a system image may be validated again


@dataclass(frozen=True)
class Resumed:
    """Where the machine goes on.

    record   in the state to run now
    rule     number of the rule that decided
    refusal  why no update may begin in this boot; the record is then kept in memory only
    """

    record: Record
    rule: int
    refusal: Cause | None = None


def resume(record: Record | None, boot: BootStatus | None, boot_id: str, pointer: int | None) -> Resumed:
    """Settle memory against the truth.

    record   as the journal holds it; None when there is none
    boot     as the environment says now; None when it cannot be read
    boot_id  of this boot
    pointer  generation that the booted slot points at, if any
    """
    if boot is None or boot.booted is None:
        return _unknown(record, boot, boot_id)
    kind, booted = classify(boot), boot.booted
    same = record is not None and record.boot_id == boot_id
    now = _carried(record, booted, boot_id)
    if kind in _UNSETTLED or now.state is State.ROLLBACK:
        rule, state, goal = _unsettled(now, boot, kind, booted, same)
    elif record is None:
        rule, state, goal = 8, State.IDLE, None
    else:
        rule, state, goal = _settled(now, kind, booted, pointer)
    if state is State.ROLLBACK:
        cause = now.cause or _why(now, boot, kind, booted)
        return Resumed(replace(now, state=state, goal=goal or now.home, cause=cause), rule)
    by_hand = kind is BootClass.MOVED and state is State.IDLE and booted is not now.home
    return Resumed(replace(now, state=state), rule, _moved(boot, booted) if by_hand else None)


_UNSETTLED = {BootClass.FELL, BootClass.PENDING, BootClass.TRIAL, BootClass.ARMED}

_HARMLESS = {State.IDLE, State.CHECK, State.DOWNLOAD, State.VERIFY}
"""Nothing that boots is touched in them; and a download may take any number of boots."""

Ruling = tuple[int, State, Slot | None]
"""The rule that matched, the state that it leads to, and the goal when that is ROLLBACK (None: home)."""


def _unsettled(now: Record, boot: BootStatus, kind: BootClass, booted: Slot, same: bool) -> Ruling:
    """Rules 1 to 7: a trial or a rollback is under way."""
    was = now.state
    target = now.attempt.target if now.attempt else None
    if kind is BootClass.FELL:
        return 1, State.ROLLBACK, booted
    if kind is BootClass.PENDING:
        unread = was is State.ROLLBACK and not same  # it was written in an earlier boot, and the boot loader went elsewhere
        return 2, State.ROLLBACK, booted if unread else boot.selected
    if was is State.ROLLBACK:
        return 3, State.ROLLBACK, now.goal
    if kind is BootClass.TRIAL:
        if was in {State.REBOOT, State.VALIDATE, State.COMMIT} and target is booted:
            return 4, State.VALIDATE, None
        return 5, State.ROLLBACK, boot.fallback or booted.other
    if was is State.REBOOT and target is boot.selected and same:
        return 6, State.REBOOT, None
    return 7, State.ROLLBACK, booted


def _settled(now: Record, kind: BootClass, booted: Slot, pointer: int | None) -> Ruling:
    """Rules 9 to 14: an ordinary boot, with a record."""
    was, attempt = now.state, now.attempt
    target = attempt.target if attempt else None
    if was is State.COMMIT and target is booted:
        return 9, State.COMMIT, None
    if booted is not now.home:
        moved = kind is BootClass.MOVED and was is State.IDLE
        return (10, State.IDLE, None) if moved else (10, State.ROLLBACK, None)
    if was in _HARMLESS:
        return 11, was, None
    if was in {State.INSTALL, State.REBOOT} and now.starts <= INSTALL_STARTS:
        return 12, was, None
    if was in {State.VALIDATE, State.COMMIT} and attempt is not None and target is None:
        if pointer is not None and pointer == attempt.generation:
            return 13, State.COMMIT, None
        if now.starts <= VALIDATE_STARTS:
            return 13, State.VALIDATE, None
    return 14, State.ROLLBACK, None


def _carried(record: Record | None, booted: Slot, boot_id: str) -> Record:
    """The record as it enters this start: counted once it acts, and with this boot's id."""
    if record is None:
        return Record(State.IDLE, booted, boot_id)
    return replace(record, boot_id=boot_id, starts=record.starts + (record.state not in _HARMLESS))


def _unknown(record: Record | None, boot: BootStatus | None, boot_id: str) -> Resumed:
    """Rule 0: nothing is written, nothing is begun."""
    home = record.home if record else Slot.A
    refusal = (
        Cause(
            "environment-unreadable",
            "the boot environment cannot be read, so no update could be undone",
            "Run `fw_printenv` and compare /etc/fw_env.config with the boot loader's environment offsets",
            Who.OS_BUILDER,
        )
        if boot is None
        else Cause(
            "slot-unknown",
            "the kernel command line and the root device do not agree on the booted slot",
            "Check `otad.slot=` and `root=` in /proc/cmdline against [slots] in otad.toml",
            Who.OS_BUILDER,
        )
    )
    return Resumed(Record(State.IDLE, home, boot_id), 0, refusal)


def _moved(boot: BootStatus, booted: Slot) -> Cause:
    return Cause(
        "slot-moved",
        f"slot {boot.selected.value} was selected by hand while slot {booted.value} runs",
        "Reboot to settle it; updates are refused until then",
    )


def _why(now: Record, boot: BootStatus, kind: BootClass, booted: Slot) -> Cause:
    """Why this boot is rolled back, for the person who reads the report."""
    version = f"release {now.attempt.version}" if now.attempt else "the system"
    facts = {"boot": kind.value, "tries": str(boot.tries), "unproven_boots": str(boot.unproven), "state": now.state.value}
    if kind is BootClass.FELL:
        lost = boot.failed or boot.selected
        what = f"{version} did not come up in slot {lost.value}: the boot loader gave it up and fell back to slot {booted.value}"
        return Cause("boot-failed", what, "Read what the failed boots logged: `otactl history`", Who.INTEGRATOR, facts)
    if kind is BootClass.TRIAL:
        what = f"slot {booted.value} is on trial, but the journal was lost or knows of no trial (it says {now.state.value})"
        return Cause("trial-unknown", what, "Nothing to do: the release is offered again", Who.NOBODY, facts)
    if kind in {BootClass.ARMED, BootClass.PENDING}:
        what = f"slot {boot.selected.value} was selected, but the boot loader booted slot {booted.value}"
        remedy = "Compare /etc/fw_env.config with the boot loader's environment offsets"
        return Cause("environment-disagrees", what, remedy, Who.OS_BUILDER, facts)
    if booted is not now.home:
        what = f"slot {booted.value} runs although slot {now.home.value} was the last one confirmed"
        return Cause("slot-unexpected", what, "Nothing to do: the confirmed slot is selected again", Who.NOBODY, facts)
    what = f"{version} could not be finished: {now.state.value} was interrupted, and otad started {now.starts} times"
    return Cause("interrupted", what, "Look at what ended otad: `journalctl -u otad`, and at the power supply", Who.FIELD, facts)
