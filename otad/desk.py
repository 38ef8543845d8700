"""The desk: the daemon as a person meets it. Verbs become orders, what the journal and the ports know becomes documents.

Rules:
 1. A verb that cannot be done now says why and what to do instead; it is never queued in silence.
 2. Reading asks no network and writes nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from otad.admission import Reason
from otad.bootenv import Slot
from otad.config import Config
from otad.control import Exit, Reply, Verb
from otad.errors import Cause, OtadError, discreet
from otad.journal import Journal, Pause
from otad.monitor import Monitor
from otad.orders import Orders
from otad.ports import Ports
from otad.revert import revert
from otad.statemachine import INTERRUPTIBLE, TABLE, Outcome, Record, State


@dataclass(frozen=True)
class Counter:
    """Desk of a running daemon; `record` gives the record as it stands now."""

    settings: Config
    journal: Journal
    orders: Orders
    ports: Ports
    monitor: Monitor
    record: Callable[[], Record]

    async def do(self, verb: Verb, by: str, version: str | None = None) -> Reply:
        """Take an order from user `by`."""
        orders: Mapping[Verb, Callable[[], Reply]] = {
            Verb.PAUSE: lambda: self._pause(by),
            Verb.RESUME: self._resume,
            Verb.CANCEL: lambda: self._cancel(by),
            Verb.RETRY: lambda: self._retry(version),
            Verb.COMMIT: self._commit,
            Verb.ROLLBACK: lambda: self._rollback(by),
        }
        if verb in {Verb.CHECK, Verb.INSTALL}:
            return await self._check(version)
        return orders[verb]()

    async def _check(self, version: str | None) -> Reply:
        """Look now; answered when CHECK has ended."""
        state = self.record().state
        if state is State.CHECK:
            return Reply(Exit.FAILED, "a check is under way", "Try again when it has ended; `otactl events -f` shows it")
        if state is not State.IDLE:
            return Reply(Exit.FAILED, f"an update is under way ({state.value})", "Wait for it, or `otactl cancel`")
        step = await asyncio.shield(self.orders.check(version))
        if step.outcome is Outcome.ADMITTED and step.attempt:
            data = {"version": step.attempt.version, "campaign": step.attempt.campaign, "attempt": step.attempt.id}
            return Reply(Exit.DONE, f"release {step.attempt.version} is on its way", "", data)
        cause = step.cause
        nothing = step.outcome is Outcome.NOTHING and (version is None or (cause and cause.code == Reason.CURRENT))
        exit_ = Exit.NOTHING if nothing else Exit.FAILED
        return Reply(exit_, cause.what if cause else step.outcome.value, cause.remedy if cause else "")

    def _pause(self, by: str) -> Reply:
        already = self.journal.settings.paused()
        if already:
            return Reply(Exit.NOTHING, f"updates are paused already, by {already.by}", "`otactl resume` ends it")
        self.journal.settings.put_paused(Pause(by, datetime.now(timezone.utc)))
        self.orders.hold()
        state = self.record().state
        if Outcome.HELD in TABLE[state]:
            return Reply(
                Exit.DONE, f"updates are paused; {state.value} is held at its next safe point", "`otactl resume` goes on"
            )
        return Reply(Exit.DONE, "updates are paused on this device", "`otactl resume` goes on")

    def _resume(self) -> Reply:
        if not self.journal.settings.paused():
            return Reply(Exit.NOTHING, "updates are not paused here")
        self.journal.settings.put_paused(None)
        self.orders.stir()
        self.orders.check()
        return Reply(Exit.DONE, "updates go on; a check begins now")

    def _cancel(self, by: str) -> Reply:
        state = self.record().state
        if state in INTERRUPTIBLE:
            cause = Cause(
                "cancelled", f"cancelled in {state.value} by {by}", "`otactl install VERSION` or the next check begins again"
            )
            self.orders.cancel(cause)
            return Reply(Exit.DONE, f"{state.value} is cancelled; the running system is untouched")
        if state is State.IDLE:
            return Reply(Exit.NOTHING, "nothing is under way")
        remedy = (
            "`otactl rollback` undoes the trial" if state is State.VALIDATE else "It ends by itself; `otactl status` shows how"
        )
        return Reply(Exit.FAILED, f"{state.value} cannot be cancelled: from arming on, a trial runs to its end", remedy)

    def _retry(self, version: str | None) -> Reply:
        """Lift refusals, of every release or of the one release with this version."""
        releases = {event["release"] for event in self.journal.events.latest(1000) if version and event.get("version") == version}
        known = [t for t in self.journal.attempts.all() if version is None or t.release in releases]
        if not known:
            return Reply(Exit.NOTHING, f"no failure of {'release ' + version if version else 'any release'} is remembered here")
        for tries in known:
            self.journal.attempts.clear(tries.release)
        self.orders.check()
        return Reply(Exit.DONE, f"{len(known)} refused or waiting release(s) may be tried again; a check begins now")

    def _commit(self) -> Reply:
        if self.record().state is not State.VALIDATE:
            return Reply(Exit.NOTHING, "no release is being validated", "`otactl status` shows what is under way")
        self.orders.hurry.set()
        return Reply(Exit.DONE, "the soak ends as soon as every check has passed")

    def _rollback(self, by: str) -> Reply:
        record = self.record()
        cause = Cause("asked", f"undone by {by} with otactl rollback", "`otactl retry` lets the release come again")
        if record.state is State.VALIDATE:
            self.orders.abandon.set()
            return Reply(Exit.DONE, "the trial is undone; the device reboots into the old slot")
        if record.state is not State.IDLE:
            return Reply(Exit.FAILED, f"an update is under way ({record.state.value})", "`otactl cancel`, then roll back")
        try:
            attempt = revert(self.ports)
        except OtadError as error:
            return Reply(Exit.FAILED, error.cause.what, error.cause.remedy)
        self.orders.revert(attempt, cause)
        return Reply(
            Exit.DONE, f"release {attempt.version} comes back, on trial", "", {"version": attempt.version, "attempt": attempt.id}
        )

    # -- reading ----------------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The status document, with live progress."""
        return self.monitor.status()

    def slots(self) -> dict[str, Any]:
        """Both slots and the environment's problems. Raises OtadError when the environment cannot be read."""
        status = self.ports.boot.status()
        running = self.monitor.running()  # a factory image has no generation, and says itself what it is
        held = {slot: running if slot is running.slot else self.ports.generations.at(slot) for slot in Slot}
        devices = {Slot.A: self.settings.slots.a, Slot.B: self.settings.slots.b}
        return {
            "slots": {
                slot.value: {
                    "device": str(devices[slot]),
                    "version": generation.version if (generation := held[slot]) else None,
                    "release": generation.release if generation else None,
                    "booted": status.booted is slot,
                    "selected": status.selected is slot,
                    "trial": status.trial and status.selected is slot,
                    "fallback": status.fallback is slot,
                    "failed": status.failed is slot,
                }
                for slot in Slot
            },
            "tries": status.tries,
            "unproven": status.unproven,
            "problems": self.ports.boot.problems(self.ports.found or status),
        }

    def health(self) -> dict[str, Any]:
        """The last findings."""
        return self.monitor.health()

    def config(self) -> dict[str, Any]:
        """The settings in force, but for what is secret within URLs."""
        shown: dict[str, Any] = json.loads(discreet(self.settings.model_dump_json()))
        return shown

    def history(self, limit: int) -> list[dict[str, Any]]:
        """Past attempts, newest first."""
        return self.monitor.history(limit)

    def events(self, after: int) -> AsyncIterator[dict[str, Any]]:
        """Stored events after `after`, then live ones with progress in between."""
        return self.monitor.follow(after)
