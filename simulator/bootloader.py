"""U-Boot with otad's environment, as an executable specification. Pure.

Rules:
 1. It follows U-Boot 2023.01 and `recipes/u-boot/files/otad-scripts.env` line by line; where they differ, this is wrong.
 2. Every `saveenv` is an entry of `Boot.stores`. A power cut before the n-th leaves what the (n-1)-th stored; so does a torn
    copy, for the other of the redundant two still holds it. A U-Boot that cannot save is one cut before its first, every time.
 3. U-Boot stores all that is in its memory, the count that it keeps there although nothing is on trial included.
 4. What U-Boot keeps elsewhere than Linux looks is another `Env`: give `power_on` that one.

Sources: common/autoboot.c (bootdelay_process), include/bootcount.h, drivers/bootcount/bootcount_env.c, cmd/setexpr.c,
cmd/itest.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple

from otad.bootenv import Slot
from otad.bootenv.uboot import DECIMAL, HEX, strtoul


class Env(NamedTuple):
    """The data variables of the environment; empty is unset. A tuple: immutable, quick to compare and to hash."""

    boot_partition: str = ""
    upgrade_available: str = ""
    bootcount: str = ""
    bootlimit: str = ""
    otad_boots: str = ""
    otad_bootlimit: str = ""
    otad_fallback: str = ""
    otad_rollback: str = ""

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Env:
        """The data variables among `variables`."""
        return cls(*(variables.get(name, "") for name in cls._fields))


DEFAULT = Env("A", "0", "0", "3", "0", "8", "B", "")
"""`otad-data.env`, built into U-Boot: what a lost environment becomes again."""


RESETS = 32
"""More resets than any way to something that runs takes: 8 of a slot, 8 of the fallback, then recovery."""


class Stop(Enum):
    """Where a power-on ends when no slot boots."""

    RECOVERY = "recovery"
    RESET = "reset"  # the next power-on follows by itself


class Boot(NamedTuple):
    """One power-on: what runs now, every store made on the way in order, and the slot that would not load."""

    end: Slot | Stop
    stores: tuple[Env, ...]
    unloadable: Slot | None = None


Loads = Callable[[Slot], bool]
"""Whether a slot's kernel can be loaded. What the kernel then does is not U-Boot's to see."""


def power_on(env: Env, loads: Loads, *, recovery: bool = False) -> Boot:
    """What U-Boot does from reset until something runs, or until it resets; `recovery`: a recovery image can be loaded."""
    env, stores = _count_in_driver(env)
    if _ran_out(env):
        return _altbootcmd(env, loads, stores, recovery=recovery)
    return _bootcmd(env, loads, stores, recovery=recovery)


def settle(env: Env, loads: Loads, *, recovery: bool = False) -> tuple[Boot, Env]:
    """Power on, and again after each reset, until something runs; and the environment as then stored.

    Still Stop.RESET after `RESETS` means that nothing ever runs: no slot loads and there is no recovery.
    """
    boot = Boot(Stop.RESET, ())
    for _ in range(RESETS):
        boot = power_on(env, loads, recovery=recovery)
        env = stored(env, boot)
        if boot.end is not Stop.RESET:
            break
    return boot, env


def stored(env: Env, boot: Boot) -> Env:
    """What the environment holds after `boot`, from `env`."""
    return boot.stores[-1] if boot.stores else env


def retry(env: Env) -> Env:
    """What recovery stores after half an hour that nobody used, before it reboots: the slots get another chance, in turns."""
    if env.otad_fallback and env.otad_fallback == env.otad_rollback:
        env = env._replace(otad_rollback=env.boot_partition, boot_partition=env.otad_fallback, otad_fallback=env.boot_partition)
    return env._replace(bootcount="0", otad_boots="0")


def _count_in_driver(env: Env) -> tuple[Env, tuple[Env, ...]]:
    """bootcount_inc: counts from 0 and in memory only unless upgrade_available is a number other than 0."""
    if not strtoul(env.upgrade_available, DECIMAL):
        return env._replace(bootcount="1"), ()
    env = env._replace(bootcount=str(strtoul(env.bootcount, DECIMAL) + 1))
    return env, (env,)


def _ran_out(env: Env) -> bool:
    """bootcount_error: strictly more boots than the limit; a limit of 0 is none."""
    if not strtoul(env.upgrade_available, DECIMAL):
        return False
    limit = strtoul(env.bootlimit, DECIMAL)
    return limit > 0 and strtoul(env.bootcount, DECIMAL) > limit


def _bootcmd(env: Env, loads: Loads, stores: tuple[Env, ...], *, recovery: bool) -> Boot:
    """`run otad_count; run otad_boot`."""
    if env.upgrade_available != "1":
        env = env._replace(otad_boots=f"{_hextoul(env.otad_boots or '0') + 1:x}")
        stores = (*stores, env)
        # `itest N -gt` with nothing behind it is a usage error, hence false
        if env.otad_bootlimit and _hextoul(env.otad_boots) > _hextoul(env.otad_bootlimit):
            return _altbootcmd(env, loads, stores, recovery=recovery)
    return _otad_boot(env, loads, stores)


def _altbootcmd(env: Env, loads: Loads, stores: tuple[Env, ...], *, recovery: bool) -> Boot:
    """The fallback, once; then recovery; then the slots again, a minute later."""
    if env.upgrade_available == "1" and not env.otad_fallback:
        env = env._replace(upgrade_available="0", otad_fallback="A" if env.boot_partition == "B" else "B")
    if env.otad_fallback in ("A", "B") and env.otad_fallback != env.otad_rollback:
        env = env._replace(
            otad_rollback=env.boot_partition,
            boot_partition=env.otad_fallback,
            otad_fallback="" if env.upgrade_available == "1" else env.boot_partition,
            upgrade_available="0",
            bootcount="0",
            otad_boots="0",
        )
        return _otad_boot(env, loads, (*stores, env))  # run otad_boot does not return: it ends with reset
    if recovery:
        return Boot(Stop.RECOVERY, stores)
    return Boot(Stop.RESET, (*stores, retry(env)))


def _otad_boot(env: Env, loads: Loads, stores: tuple[Env, ...]) -> Boot:
    """`run otad_load; sleep 1; reset`."""
    slot = Slot.B if env.boot_partition == "B" else Slot.A
    if loads(slot):
        return Boot(slot, stores)
    return Boot(Stop.RESET, stores, slot)


def _hextoul(text: str) -> int:
    """A number as setexpr and itest read it. Raises ValueError for what the shell would not pass as one plain word."""
    if text.startswith("*") or text.split() != [text]:
        raise ValueError(f"{text!r}: U-Boot would take it for a memory address or for several words")
    return strtoul(text, HEX)
