"""The machine: what an update goes through, and the only edges it may take.

Rules:
 1. `TABLE` holds every edge. What is not in it cannot happen: `advance` raises KeyError.
 2. A state is saved before it runs (`Record`), so running it again after a cut is how it is resumed.
 3. A reboot ends the process: the edge leads back to the same state, and `resume` decides in the new boot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from otad.bootenv import Slot
from otad.errors import Cause, OtadError, RetryLater, Undecodable


class State(str, Enum):
    """Each does one thing; see `otad/states/`."""

    IDLE = "idle"
    CHECK = "check"
    DOWNLOAD = "download"
    VERIFY = "verify"
    INSTALL = "install"
    REBOOT = "reboot"
    VALIDATE = "validate"
    COMMIT = "commit"
    ROLLBACK = "rollback"


class Outcome(str, Enum):
    """How a state ended."""

    DUE = "due"  # a check is due, or asked for
    REVERT = "revert"  # undo a committed release: the other slot, or the previous generation
    SLEEP = "sleep"  # nothing to do: the process exits
    ADMITTED = "admitted"
    NOTHING = "nothing"  # no release for this device now; the cause says why
    DONE = "done"
    STAGED = "staged"  # the target slot already holds the release, proved by its hash
    LIVE = "live"  # nothing needs a reboot
    CORRUPT = "corrupt"  # the bytes are not those that were signed: the cache's are fetched again, once; the server's later
    ANOTHER = "another"  # a payload cannot be decoded from what was fetched: another encoding is fetched
    HELD = "held"  # a pause, a window or an inhibitor: what was done is kept
    FAILED = "failed"  # tried again within bounds
    REJECTED = "rejected"  # this release must not run here
    CANCELLED = "cancelled"  # by a person
    TAMPERED = "tampered"  # the bundle changed boot variables
    BOOT = "boot"  # a reboot was asked for; `resume` goes on


TABLE: Mapping[State, Mapping[Outcome, State]] = {
    State.IDLE: {
        Outcome.DUE: State.CHECK,
        Outcome.REVERT: State.VERIFY,
        Outcome.SLEEP: State.IDLE,
    },
    State.CHECK: {
        Outcome.ADMITTED: State.DOWNLOAD,
        Outcome.NOTHING: State.IDLE,
        Outcome.FAILED: State.IDLE,
        Outcome.CANCELLED: State.IDLE,
    },
    State.DOWNLOAD: {
        Outcome.DONE: State.VERIFY,
        Outcome.HELD: State.IDLE,
        Outcome.CORRUPT: State.IDLE,
        Outcome.FAILED: State.IDLE,
        Outcome.REJECTED: State.IDLE,
        Outcome.CANCELLED: State.IDLE,
    },
    State.VERIFY: {
        Outcome.DONE: State.INSTALL,
        Outcome.STAGED: State.REBOOT,
        Outcome.LIVE: State.VALIDATE,
        Outcome.CORRUPT: State.DOWNLOAD,
        Outcome.ANOTHER: State.DOWNLOAD,
        Outcome.FAILED: State.IDLE,
        Outcome.REJECTED: State.IDLE,
        Outcome.CANCELLED: State.IDLE,
    },
    State.INSTALL: {
        Outcome.DONE: State.REBOOT,
        Outcome.LIVE: State.VALIDATE,
        Outcome.ANOTHER: State.DOWNLOAD,
        Outcome.HELD: State.IDLE,
        Outcome.FAILED: State.IDLE,
        Outcome.REJECTED: State.IDLE,
        Outcome.CANCELLED: State.IDLE,
        Outcome.TAMPERED: State.ROLLBACK,
    },
    State.REBOOT: {
        Outcome.BOOT: State.REBOOT,  # a new boot
        Outcome.HELD: State.IDLE,
        Outcome.CANCELLED: State.IDLE,
        Outcome.FAILED: State.ROLLBACK,
    },
    State.VALIDATE: {
        Outcome.DONE: State.COMMIT,
        Outcome.FAILED: State.ROLLBACK,
    },
    State.COMMIT: {
        Outcome.DONE: State.IDLE,
        Outcome.FAILED: State.ROLLBACK,
    },
    State.ROLLBACK: {
        Outcome.DONE: State.IDLE,
        Outcome.BOOT: State.ROLLBACK,  # a new boot
        Outcome.FAILED: State.IDLE,
    },
}


INTERRUPTIBLE = frozenset({State.CHECK, State.DOWNLOAD, State.VERIFY, State.INSTALL})
"""What a person may stop at any await. From REBOOT on, a trial runs to its end."""


class Kind(str, Enum):
    """Why an attempt is made."""

    UPDATE = "update"
    BACK = "back"  # the fleet is sent back to an older release
    REVERT = "revert"  # a committed release is undone on this device


@dataclass(frozen=True)
class Attempt:
    """One try to bring the device to one release.

    id          ULID, names the attempt in events
    kind        why
    campaign    id of the campaign that offered it; empty for a revert
    release     SHA-256 (hex) of the release document
    version     its version, for people
    target      slot that gets the system image; None when the release has none
    generation  number of the set of applications and models that goes with it, once there is one
    refetched   the cache was corrupt once already
    reachable   the repository could be reached before the update, so it must be reachable after it
    asked       a person asked for it: the maintenance window does not hold it
    failed      blobs (SHA-256) from which a payload could not be decoded here; forgotten once it is installed
    """

    id: str
    kind: Kind
    campaign: str
    release: str
    version: str
    target: Slot | None
    generation: int | None = None
    refetched: bool = False
    reachable: bool = False
    asked: bool = False
    failed: tuple[str, ...] = ()

    @property
    def the_target(self) -> Slot:
        """The target of an attempt that has one. Raises LookupError: the table leads here only with a system image."""
        if self.target is None:
            raise LookupError(f"attempt {self.id} has no target slot")
        return self.target

    @property
    def the_generation(self) -> int:
        """The generation of an attempt past INSTALL. Raises LookupError for one before it."""
        if self.generation is None:
            raise LookupError(f"attempt {self.id} has no generation yet")
        return self.generation


@dataclass(frozen=True)
class Record:
    """What the journal remembers: enough to go on after a cut at any instant.

    home     slot last confirmed or settled
    boot_id  kernel's boot id when this was saved
    starts   how often otad was started since this attempt began to act (INSTALL)
    goal     slot that ROLLBACK makes for
    cause    why it is rolled back, told once, when the goal runs
    """

    state: State
    home: Slot
    boot_id: str
    starts: int = 0
    attempt: Attempt | None = None
    goal: Slot | None = None
    cause: Cause | None = None

    @property
    def the_attempt(self) -> Attempt:
        """The attempt of a state that has one. Raises LookupError in one that has none (IDLE, CHECK)."""
        if self.attempt is None:
            raise LookupError(f"{self.state.value} has no attempt")
        return self.attempt

    @property
    def the_goal(self) -> Slot:
        """The goal of ROLLBACK. Raises LookupError in every other state."""
        if self.goal is None:
            raise LookupError(f"{self.state.value} has no goal")
        return self.goal


@dataclass(frozen=True)
class Step:
    """How a state ended, and what it learnt.

    cause        why it did not go well
    attempt      as it now stands
    retry_after  seconds after which to look again, if somebody named them
    moved        bytes that were fetched, or written into place
    evidence     short named facts beyond the cause's own, for the report
    """

    outcome: Outcome
    cause: Cause | None = None
    attempt: Attempt | None = None
    retry_after: float | None = None
    moved: int = 0
    evidence: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def another(cls, attempt: Attempt, error: Undecodable) -> Step:
        """The step of a state in which a payload could not be decoded, and another encoding is there."""
        return cls(Outcome.ANOTHER, error.cause, replace(attempt, failed=(*attempt.failed, error.blob)))

    @classmethod
    def failed(cls, error: OtadError, outcome: Outcome = Outcome.FAILED) -> Step:
        """The step of a state that `error` ended."""
        return cls(outcome, error.cause, retry_after=error.retry_after if isinstance(error, RetryLater) else None)


def advance(record: Record, step: Step) -> Record:
    """The record after `step`. Raises KeyError for an edge that is not in TABLE."""
    state = TABLE[record.state][step.outcome]
    attempt = step.attempt or record.attempt
    if state is State.IDLE:
        return Record(state, _settled(record, step), record.boot_id)
    if state is State.ROLLBACK and record.state is not State.ROLLBACK:
        return replace(record, state=state, attempt=attempt, goal=record.home, cause=step.cause)
    if step.outcome is Outcome.CORRUPT and attempt is not None:
        attempt = replace(attempt, refetched=True)
    return replace(record, state=state, attempt=attempt)


def _settled(record: Record, step: Step) -> Slot:
    """The home slot once the machine is idle again: it moves at COMMIT and at the end of a ROLLBACK, never otherwise."""
    if step.outcome is Outcome.DONE:
        if record.state is State.COMMIT and record.attempt is not None and record.attempt.target is not None:
            return record.attempt.target
        if record.state is State.ROLLBACK and record.goal is not None:
            return record.goal
    return record.home
