"""U-Boot's environment, through libubootenv's fw_printenv and fw_setenv.

Rules:
 1. Values are read as U-Boot's scripts read them (`recipes/u-boot/files/otad-scripts.env`): what they take for A is A here.
 2. Each change is one `fw_setenv -s -`: one copy written and fsynced, the other kept. A cut leaves the old values or the new.
 3. Every change is read back: fw_setenv exits 0 for a variable that the environment's own flags forbid it to set.
 4. Nothing is written when the environment cannot be read, nor when it already says so: flash wears.

Sources: U-Boot 2023.01 drivers/bootcount/bootcount_env.c, include/bootcount.h, lib/strto.c; libubootenv 0.3.2.
"""

from __future__ import annotations

import string
import subprocess
from collections.abc import Callable, Mapping
from itertools import takewhile
from pathlib import Path

from otad.bootenv import BootStatus, Slot
from otad.errors import BootEnvironmentError, Who

ENV_VERSION = 2
"""Oldest `otad_env_version` of the scripts that this otad can trust (docs/adr/0002)."""

TIMEOUT = 10.0
"""Seconds for one run of a tool. It waits without end for /var/lock/fw_printenv.lock, so somebody must."""

DECIMAL, HEX = 10, 16

Change = Mapping[str, str]
"""Variables to set in one store; an empty value deletes, and U-Boot reads both alike."""


def strtoul(text: str, base: int) -> int:
    """A number as U-Boot's simple_strtoul reads it: leading digits, 0 if there are none; `0x` always means base 16."""
    if text[:2].lower() == "0x":
        text, base = text[2:], HEX
    digits = string.hexdigits if base == HEX else string.digits
    number = "".join(takewhile(digits.__contains__, text)).lstrip("0")
    return int(number[:15] or "0", base)  # no counter comes near; Python refuses to convert thousands of digits


def parse(printed: str) -> dict[str, str]:
    """The variables that fw_printenv printed. A line without `=` goes on with the value before it, and none of ours has two."""
    return dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)


def boot_status(env: Mapping[str, str], booted: Slot | None) -> BootStatus:
    """What the variables mean, read as U-Boot's scripts read them."""
    return BootStatus(
        booted=booted,
        selected=Slot.B if env.get("boot_partition") == "B" else Slot.A,
        trial=env.get("upgrade_available") == "1",
        tries=strtoul(env.get("bootcount", ""), DECIMAL),
        fallback=_slot(env.get("otad_fallback", "")),
        failed=_slot(env.get("otad_rollback", "")),
        unproven=strtoul(env.get("otad_boots", ""), HEX),
    )


RETIRE: Change = {"otad_fallback": ""}
PROVEN: Change = {"bootcount": "0", "otad_boots": "0"}


def arm(target: Slot, booted: Slot) -> Change:
    """Three trial boots of `target`, then `booted` again."""
    return {
        "boot_partition": target.value,
        "upgrade_available": "1",
        "bootcount": "0",  # always: U-Boot counts in memory even when stable, and any saveenv of its own keeps that 1
        "bootlimit": "3",
        "otad_boots": "0",
        "otad_fallback": booted.value,
        "otad_rollback": "",
    }


def confirm(booted: Slot) -> Change:
    """`booted` is stable; the fallback stays."""
    return {"boot_partition": booted.value, "upgrade_available": "0", "bootcount": "0", "otad_boots": "0", "otad_rollback": ""}


def rollback(goal: Slot, booted: Slot, keep: Slot | None = None) -> Change:
    """`goal` is stable, `keep` or nothing to fall back to; the booted slot failed unless it is the goal."""
    return {
        "boot_partition": goal.value,
        "upgrade_available": "0",
        "bootcount": "0",
        "otad_boots": "0",
        "otad_fallback": keep.value if keep else "",
        "otad_rollback": "" if goal is booted else booted.value,
    }


def script(change: Change) -> str:
    """`change` as `fw_setenv -s` reads it."""
    return "".join(f"{name}={value}\n" for name, value in change.items())


def env_problems(env: Mapping[str, str], found: BootStatus) -> list[str]:
    """Why U-Boot with these variables could not be trusted to fall back; see `BootEnvironment.problems`."""
    text = {name: env.get(name, "") for name in ("altbootcmd", "boot_partition", "bootcmd", "otad_count", "upgrade_available")}
    problems = []
    if not text["altbootcmd"]:
        problems.append("altbootcmd is empty: U-Boot would stop at its prompt when a trial runs out; install otad-scripts.env")
    if "run otad_count" not in text["bootcmd"] or not text["otad_count"]:
        problems.append("bootcmd does not run otad_count: stable boots are not counted; install otad-scripts.env")
    if (version := strtoul(env.get("otad_env_version", ""), DECIMAL)) < ENV_VERSION:
        problems.append(
            f"the saved boot scripts are version {version}, older than {ENV_VERSION}, and shadow those built into U-Boot; "
            "install otad-scripts.env with fw_setenv -s"
        )
    problems += [
        f"{name} is {env.get(name, '')!r}, not a positive number: failed boots would never end; set it to {default}"
        for name, base, default in (("bootlimit", DECIMAL, "3"), ("otad_bootlimit", HEX, "8"))
        if strtoul(env.get(name, ""), base) == 0
    ]
    if text["boot_partition"] not in ("A", "B"):
        problems.append(f"boot_partition is {text['boot_partition']!r}, neither A nor B; set it to the booted slot")
    if text["upgrade_available"] not in ("0", "1"):
        problems.append(f"upgrade_available is {text['upgrade_available']!r}, neither 0 nor 1; set it to 0")
    if found.booted is None:
        problems.append("the booted slot cannot be told: compare otad.slot= in /proc/cmdline with [slots] in otad.toml")
    stable = not found.trial and found.booted is found.selected
    if stable and found.failed is None and found.unproven == 0:
        problems.append(
            "U-Boot did not count this boot: it cannot save its environment, or keeps it elsewhere than fw_env.config says"
        )
    return problems


def _slot(text: str) -> Slot | None:
    return Slot(text) if text in ("A", "B") else None


class UBoot:
    """The BootEnvironment of U-Boot with otad's scripts.

    `fw_env` is the fw_env.config that says where the environment is; `booted` tells the slot that runs now.
    """

    def __init__(
        self,
        fw_env: Path,
        booted: Callable[[], Slot | None],
        printenv: tuple[str, ...] = ("fw_printenv",),
        setenv: tuple[str, ...] = ("fw_setenv",),
    ) -> None:
        self._fw_env = fw_env
        self._booted = booted
        self._printenv = (*printenv, "-c", str(fw_env))
        self._setenv = (*setenv, "-c", str(fw_env), "-s", "-")

    def status(self) -> BootStatus:
        """Read the variables and the booted slot as they are now."""
        return boot_status(self._read(), self._booted())

    def problems(self, found: BootStatus) -> list[str]:
        """Why updates cannot be trusted to fall back here, in words; empty when all is well."""
        return env_problems(self._read(), found)

    def retire(self) -> None:
        """The inactive slot is about to be written: it is no fallback any more."""
        self._store(RETIRE)

    def arm(self, target: Slot) -> None:
        """Select `target` for trial boots, with fresh counters; the booted slot becomes the fallback."""
        booted = self._known_booted(f"arm slot {target.value}")
        if target is booted:
            raise BootEnvironmentError(
                "arm-booted",
                f"cannot arm slot {target.value}: it is the one that runs now, so it would fall back to itself",
                "Report this as a fault of otad",
                who=Who.OS_BUILDER,
            )
        self._store(arm(target, booted))

    def confirm(self) -> None:
        """The booted slot is good: end its trial."""
        self._store(confirm(self._known_booted("confirm the booted slot")))

    def rollback(self, goal: Slot, keep: Slot | None = None) -> None:
        """Select `goal`, no trial, `keep` or nothing as the fallback; note the booted slot as failed if it is not the goal."""
        self._store(rollback(goal, self._known_booted(f"roll back to slot {goal.value}"), keep))

    def proven(self) -> None:
        """This stable boot reached user space: clear the counts."""
        self._store(PROVEN)

    def _known_booted(self, to: str) -> Slot:
        booted = self._booted()
        if booted is None:
            raise BootEnvironmentError(
                "slot-unknown",
                f"cannot {to}: otad.slot= on the kernel command line is missing, or names another slot than the root device",
                "Compare /proc/cmdline with [slots] in otad.toml",
                who=Who.OS_BUILDER,
            )
        return booted

    def _store(self, change: Change) -> None:
        """Make `change` true in one store. Raises BootEnvironmentError when it does not hold afterwards."""
        if not _missing(change, self._read()):
            return
        self._run(self._setenv, "write", script(change))
        if wrong := _missing(change, self._read()):
            raise BootEnvironmentError(
                "bootenv-mismatch",
                f"fw_setenv exited 0 but the boot environment does not hold {', '.join(sorted(wrong))} as written",
                f"Look for a .flags variable in fw_printenv, and whether {self._fw_env} names two good copies",
                evidence={name: f"wrote {change[name]!r}, found {value!r}" for name, value in wrong.items()},
            )

    def _read(self) -> dict[str, str]:
        env = parse(self._run(self._printenv, "read", ""))
        if not env:
            raise self._failed(self._printenv, "read", "printed no variable: the environment is blank", "")
        return env

    def _run(self, command: tuple[str, ...], to: str, given: str) -> str:
        try:
            done = subprocess.run(
                command, input=given, capture_output=True, encoding="utf-8", errors="replace", timeout=TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired as error:
            said = f"did not end within {TIMEOUT:g} s: another process may hold /var/lock/fw_printenv.lock"
            raise self._failed(command, to, said, "") from error
        except OSError as error:
            raise self._failed(command, to, f"could not be started: {error.strerror}", "") from error
        if done.returncode:
            words = (done.stderr or done.stdout).strip()
            raise self._failed(command, to, f"exited {done.returncode}: {words or 'it said nothing'}", words)
        return done.stdout

    def _failed(self, command: tuple[str, ...], to: str, how: str, words: str) -> BootEnvironmentError:
        return BootEnvironmentError(
            f"bootenv-{to}",
            f"cannot {to} the boot environment: {command[0]} {how}",
            f"Run `{command[0]} -c {self._fw_env}` by hand; it must name the two places where this U-Boot keeps its environment",
            evidence={"command": " ".join(command), "said": words[-4096:]},
        )


def _missing(change: Change, env: Mapping[str, str]) -> dict[str, str]:
    """What `env` says otherwise than `change`."""
    return {name: env.get(name, "") for name, value in change.items() if env.get(name, "") != value}
