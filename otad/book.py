"""The book: each transition as it is kept and told. The Book of the loop.

Rules:
 1. The record, the event and what was learnt about the release are one transaction.
 2. A release that ran on trial and came back is refused for the rest of its campaign; one that could not be installed is tried
    again, within the bounds of [attempts]; a link that fails says nothing about the release.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

from ulid import ULID

from otad.bootenv import BootClass, Slot
from otad.config import Attempts
from otad.formats.event import Event
from otad.journal import Journal, Tries
from otad.journal.record import NOT_UNDERSTOOD
from otad.orders import Orders
from otad.resume import Resumed
from otad.running import Running
from otad.statemachine import Attempt, Kind, Outcome, Record, State, Step

COMMITTED = "committed"  # setting: campaign, release (SHA-256) and version that were committed last
_log = logging.getLogger(__name__)
_UNCOUNTED = {State.CHECK, State.DOWNLOAD, State.ROLLBACK}  # FAILED there is about the link, or about an earlier failure


class TransitionBook:
    """Book over the journal. `record` is the machine's, as it stands; who `watch`es is told of every turn."""

    def __init__(
        self,
        journal: Journal,
        orders: Orders,
        limits: Attempts,
        device: str,
        running: Callable[[], Running],
    ) -> None:
        self._journal = journal
        self._orders = orders
        self._limits = limits
        self._device = device
        self.record: Record
        self._running = running
        self._watchers: list[Callable[[Record], None]] = []
        self._keeps = True
        self._trouble = journal.trouble  # told with the first check
        self._began = time.monotonic()

    def turn(self, before: Record, step: Step, after: Record) -> None:
        """Keep a transition, with all that follows from it: a cut leaves everything of it or nothing."""
        tries, event = self._learnt(before, step, after), self._event(before, step)
        with self._journal.transaction():
            if self._keeps:
                self._journal.transition(after, event, tries=tries)
            else:
                self._journal.events.append(event)
            if _committed(before, after):
                self._journal.settings.put(COMMITTED, _about(before.the_attempt))
            self._orders.plan(before, step, after, tries.next_try if tries else None)
        if before.state is State.COMMIT and after.state is State.IDLE:
            self._journal.migrate()  # not before: a trial that fails is read by the older otad
        _say(event)
        self.record, self._began = after, time.monotonic()
        self._orders.answer(before, step, after)
        self.announce()

    def watch(self, watcher: Callable[[Record], None]) -> None:
        """Tell `watcher` the record after each turn."""
        self._watchers.append(watcher)

    def announce(self) -> None:
        """Tell those who watch how things stand."""
        for watcher in self._watchers:
            watcher(self.record)

    def open(self, before: Record | None, resumed: Resumed, kind: BootClass) -> None:
        """Begin with what a boot (or a restart) means: the record as it goes on, and the release that fell back."""
        self.record = after = resumed.record
        self._keeps = resumed.refusal is None  # else memory stays as it is until the boot can be understood
        if not self._keeps:
            return
        tries = None
        if after.state is State.ROLLBACK and not (before and _begun(before)):
            if before and after.attempt is None and kind is BootClass.FELL:
                self.record = after = replace(after, attempt=self._died(before.home))
            fell = kind in {BootClass.FELL, BootClass.TRIAL}
            tries = self._tries(after, Step(Outcome.FAILED, after.cause), final=fell)
        self._journal.transition(after, tries=tries)

    def _died(self, slot: Slot) -> Attempt | None:
        """The committed release whose slot does not boot any more, as an attempt: it is refused and told like one."""
        known = self._journal.settings.get(COMMITTED)
        if not known:
            return None
        return Attempt(str(ULID()), Kind.UPDATE, known["campaign"], known["release"], known.get("version", ""), slot)

    def _learnt(self, before: Record, step: Step, after: Record) -> Tries | None:
        """What this transition says about the release."""
        if after.state is State.ROLLBACK and before.state is not State.ROLLBACK:
            final = step.outcome is Outcome.TAMPERED or before.state in {State.VALIDATE, State.COMMIT}
            return self._tries(before, step, final=final)
        if step.outcome is Outcome.REVERT:
            undone = self._journal.settings.get(COMMITTED) or {}
            known = self._journal.attempts.of(undone.get("campaign", ""), undone.get("release", ""))
            return known.rejected(step.cause)  # else the next check would bring it straight back
        if step.outcome is Outcome.REJECTED:
            return self._tries(before, step, final=True)
        corrupt = step.outcome is Outcome.CORRUPT and after.state is State.IDLE
        failed = step.outcome is Outcome.FAILED and before.state not in _UNCOUNTED
        return self._tries(before, step, final=False) if corrupt or failed else None

    def _tries(self, record: Record, step: Step, *, final: bool) -> Tries | None:
        attempt = record.attempt
        if attempt is None or attempt.kind is Kind.REVERT:
            return None
        known = self._journal.attempts.of(attempt.campaign, attempt.release)
        if final:
            return known.rejected(step.cause)
        return known.failed(step.cause, _now(), self._limits.limit, self._limits.backoff)

    def _event(self, before: Record, step: Step) -> Event:
        attempt = step.attempt or before.attempt
        running = self._running()
        cause = step.cause or (before.cause if before.state is State.ROLLBACK else None)
        if step.outcome is Outcome.DUE:
            cause, self._trouble = self._trouble, None
        event = Event(
            id=str(ULID()),
            device=self._device,
            boot=before.boot_id,
            time=_now(),
            state=before.state.value,
            outcome=step.outcome.value,
            running=running.version,
            booted=running.slot.value if running.slot else "",
            cause=cause,
            evidence=step.evidence,
            durations={"state": round(time.monotonic() - self._began, 3)},
            bytes={before.state.value: step.moved} if step.moved else {},
        )
        if attempt is None:
            return event
        target = attempt.target.value if attempt.target else ""
        return replace(
            event,
            attempt=attempt.id,
            kind=attempt.kind.value,
            campaign=attempt.campaign,
            release=attempt.release,
            version=attempt.version,
            slot=target,
        )


def _begun(before: Record) -> bool:
    """A rollback that this otad began, and learnt from. What a newer one saved reads as a rollback that nobody learnt from."""
    return before.state is State.ROLLBACK and not (before.cause and before.cause.code == NOT_UNDERSTOOD)


def _committed(before: Record, after: Record) -> bool:
    """A release came to stay. A revert brings none: what it goes back to was committed before."""
    done = before.state is State.COMMIT and after.state is State.IDLE
    return done and before.the_attempt.kind is not Kind.REVERT


def _about(attempt: Attempt) -> dict[str, str]:
    return {"campaign": attempt.campaign, "release": attempt.release, "version": attempt.version}


def _say(event: Event) -> None:
    """One line for the log: what ended, how, and why."""
    level = logging.WARNING if event.cause and event.outcome not in {Outcome.NOTHING, Outcome.HELD} else logging.INFO
    about = f" (release {event.version})" if event.version else ""
    why = f": {event.cause}" if event.cause else ""
    fields = {"state": event.state, "outcome": event.outcome, "release": event.version, "attempt": event.attempt}
    _log.log(level, "%s: %s%s%s", event.state, event.outcome, about, why, extra=fields)


def _now() -> datetime:
    return datetime.now(timezone.utc)
