"""The daemon: starts, settles what this boot means, runs the machine until nothing needs it, and ends.

Rules:
 1. Marking a stable boot as proven comes first: no mistake in the settings or the journal may end in a fallback.
 2. Without a journal nothing is begun and nothing is confirmed: the boot counts decide.
 3. SIGTERM stops the state at its next await; it is run again at the next start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
from functools import partial
from pathlib import Path

from otad import __version__, log
from otad.assembly import Assembly, Origin, assembled
from otad.bootenv import BootEnvironment, BootStatus, classify
from otad.bootenv.uboot import UBoot
from otad.bootfacts import found, prove
from otad.config import Config
from otad.config_files import DEFAULT, load, salvage
from otad.control import ending, listener, lock
from otad.control.server import Server
from otad.errors import BootEnvironmentError, Cause, ConfigError, OtadError
from otad.identity import device_id
from otad.journal import Journal
from otad.loop import drive
from otad.payload.generations import Generations
from otad.resume import resume
from otad.slots import Slots
from otad.statemachine import Outcome, State
from otad.watchdog import Watchdog

EX_CONFIG = 78  # sysexits.h: systemd need not try again until somebody has corrected it
SAY_SECONDS = 20.0  # what is owed to the fleet may take this long when the process ends
STOP_SECONDS = 60.0
_log = logging.getLogger(__name__)


def main() -> None:
    """The command `otad`."""
    parser = argparse.ArgumentParser(prog="otad", description="Keeps this device on the release that its fleet should run.")
    parser.add_argument("--config", type=Path, default=DEFAULT, help="settings (default: %(default)s)")
    parser.add_argument("--version", action="version", version=f"otad {__version__}")
    arguments = parser.parse_args()
    log.setup()
    watchdog = Watchdog()
    try:
        status = asyncio.run(run(arguments.config, watchdog))
    except OtadError as error:
        watchdog.status(str(error.cause))
        _log.error("%s", error.cause, extra={"code": error.cause.code})  # the cause says all
        status = EX_CONFIG if isinstance(error, ConfigError) else 1
        _leave(arguments.config, error.cause)
    finally:
        watchdog.close()
    raise SystemExit(status)


def _leave(path: Path, cause: Cause) -> None:
    """Tell otactl why there is no otad, unless there is one."""
    folder = salvage(path).paths.run
    if not lock.held(folder):
        ending.note(folder, cause)


async def run(path: Path, watchdog: Watchdog) -> int:
    """One life of the daemon, with the settings at `path`; its exit status. Raises OtadError when it cannot live."""
    needs = salvage(path)
    slots = Slots(needs.slots, needs.paths)
    boot = UBoot(needs.boot.fw_env, slots.booted)
    boot_id = needs.paths.boot_id.read_text().strip()
    began, status, unsafe = _prove(boot, needs.paths.run, boot_id)
    config = load(path)
    handle = lock.take(config.paths.run)
    try:
        journal = Journal.open(config.paths.data / "journal.db", config.report.keep)
        with contextlib.closing(journal):
            device = device_id(config.device.id, config.paths.data / "identity")
            journal.trouble = journal.trouble or device.trouble
            generations = Generations(config.paths.data, config.paths.run)
            there = generations.at(status.booted) if status and status.booted else None
            resumed = resume(journal.load(), status, boot_id, there.number if there else None)
            kind = classify(status)
            _log.info("this boot is %s: rule %d, %s", kind.value, resumed.rule, resumed.record.state.value)
            origin = Origin(boot, slots, generations, journal, device.name, began, unsafe or resumed.refusal)
            async with assembled(config, origin, watchdog.beat) as assembly:
                assembly.book.open(journal.load(), resumed, kind)
                return await _live(config, assembly, watchdog)
    finally:
        os.close(handle)


def _prove(boot: BootEnvironment, run_folder: Path, boot_id: str) -> tuple[BootStatus | None, BootStatus | None, Cause | None]:
    """The boot status as found and as it is now; None, and why, when the environment is not to be relied on."""
    try:
        return *prove(boot, partial(found, run_folder, boot_id)), None
    except BootEnvironmentError as error:
        _log.error("%s", error.cause)  # the cause says all
        return None, None, error.cause


async def _live(config: Config, assembly: Assembly, watchdog: Watchdog) -> int:
    """Serve, and drive the machine until it sleeps, reboots, or is told to end."""
    book = assembly.book
    book.watch(lambda record: watchdog.turn(resting=record.state is State.IDLE))
    book.watch(lambda record: watchdog.status(assembly.words(record)))
    at = listener.given(os.environ, os.getpid())
    server = Server(assembly.desk, config.daemon, config.paths.run / listener.NAME if at is None else at)
    assembly.orders.attached = lambda: server.clients
    await server.start()
    ending.clear(config.paths.run)
    machine = asyncio.ensure_future(_machine(assembly))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, machine.cancel)
    beside = [asyncio.ensure_future(work) for work in (watchdog.feed(), assembly.report())]
    book.announce()
    watchdog.ready()
    try:
        await machine
    except asyncio.CancelledError:
        _log.info("told to end in %s: it goes on from there at the next start", book.record.state.value)
    finally:
        watchdog.stopping(STOP_SECONDS)
        await server.stop()
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
    return 0


async def _machine(assembly: Assembly) -> None:
    """Until it reboots, or sleeps and nobody came while it took its leave."""
    while (await drive(assembly.book.record, assembly.ports, assembly.book)).outcome is Outcome.SLEEP:
        if await assembly.rest(SAY_SECONDS):
            return
