"""Which applications and models go with which slot: `/data/otad/generations/<n>/`, and the slots' pointers into it.

Rules:
 1. A generation never changes once a pointer names it. It is written, synced, renamed into place; then a pointer may move.
 2. A pointer is a relative link in `/data/otad/slots/`, replaced by one rename: a cut leaves the old one or the new one.
 3. `/run/otad/current` is what runs in this boot. It is in tmpfs, so a cut boots what the slot points at.
 4. What cannot be read is unknown (None), never a crash: the slots boot without it.
 5. Bounded: a generation lives while a slot points at it, it runs, or one of these can be reverted to it.
"""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from otad import durable
from otad.bootenv import Slot
from otad.errors import RetryLater, Who
from otad.formats.release import Payload, PayloadKind, Release
from otad.payload import Installed
from otad.ports import Generation
from otad.statemachine import Attempt

FILE = "generation.json"
log = logging.getLogger(__name__)


class Stored(BaseModel):
    """`generation.json`. `attempt` is the id of the attempt that made it; keys of a newer otad are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    attempt: str
    generation: Generation


class Generations:
    """The Generations port. `data` is on the data partition, `run` in tmpfs."""

    def __init__(self, data: Path, run: Path) -> None:
        self._all = data / "generations"
        self._slots = data / "slots"
        self._current = run / "current"

    def create(self, attempt: Attempt, release: Release, installed: Sequence[Installed]) -> Generation:
        """The generation of `attempt`, durable; the same one when called again. Raises RetryLater when it cannot be written.

        What the release does not name is carried over: from what runs, and so is the image when it brings none.
        """
        made = next((number for number in self._numbers() if self._attempt(number) == attempt.id), None)
        number = made or max(self._numbers(), default=0) + 1
        base = self.at(attempt.target.other) if attempt.target else self.current()
        generation = Generation(
            number=number,
            release=attempt.release,
            version=release.version,
            payloads=_joined(base.payloads if base else (), release.payloads),
            system=_image(release, installed),
        )
        if attempt.target is None and base:
            generation = replace(generation, system=base.system, previous=base.number)
        if self.number(number) != generation:
            with _writing(self._all):
                self._write(Stored(attempt=attempt.id, generation=generation))
        return generation

    def at(self, slot: Slot) -> Generation | None:
        """What a slot points at."""
        return self._follow(self._slots / slot.value)

    def current(self) -> Generation | None:
        """What runs in this boot."""
        return self._follow(self._current)

    def number(self, number: int) -> Generation | None:
        """One generation; None when it is gone or damaged."""
        stored = self._read(number)
        return stored.generation if stored else None

    def point(self, slot: Slot, number: int) -> None:
        """Make a slot point at a generation, durably. Raises RetryLater when there is none, or it cannot be written."""
        if self.number(number) is None:
            raise RetryLater(
                "generation-missing",
                f"slot {slot.value} cannot point at generation {number}: it is missing or damaged",
                "The release is installed again",
            )
        with _writing(self._slots):
            durable.folder(self._slots)
            durable.link(self._slots / slot.value, Path("..") / self._all.name / str(number))

    def unpoint(self, slot: Slot) -> None:
        """The slot's content is about to become unknown. Durable. Raises RetryLater when it cannot be written."""
        with _writing(self._slots):
            durable.folder(self._slots)
            durable.remove(self._slots / slot.value)

    def activate(self, number: int | None) -> None:
        """Make this generation (None: no generation) the current one, in tmpfs only. Raises RetryLater when it cannot be."""
        with _writing(self._current.parent):
            if number is None:
                self._current.unlink(missing_ok=True)
                return
            self._current.parent.mkdir(parents=True, exist_ok=True)
            durable.link(self._current, self._all / str(number))

    def collect(self) -> None:
        """Drop what rule 5 does not keep. What cannot be read or deleted is logged, and tried again the next time."""
        try:
            unneeded = set(self._numbers()) - self._needed()
        except (OSError, ValueError) as error:
            log.warning("no generation was deleted, because not all can be read: %s", error)
            return
        for number in sorted(unneeded):
            folder = self._all / str(number)
            try:
                (folder / FILE).unlink(missing_ok=True)  # first, so that a half deleted one is unknown
                shutil.rmtree(folder)
            except OSError as error:
                log.warning("generation %d was not deleted: %s", number, error)

    def _needed(self) -> set[int | None]:
        """What rule 5 keeps. Raises OSError or ValueError when a pointer, or what it points at, cannot be read: nobody knows."""
        needed: set[int | None] = set()
        for link in (self._current, *(self._slots / slot.value for slot in Slot)):
            with suppress(FileNotFoundError):  # no pointer, or one to nothing
                number = int(link.readlink().name)
                needed |= {number, self._load(number).generation.previous}
        return needed

    def _numbers(self) -> list[int]:
        if not self._all.is_dir():
            return []
        return [int(entry.name) for entry in self._all.iterdir() if entry.name.isdecimal()]

    def _follow(self, link: Path) -> Generation | None:
        try:
            name = link.readlink().name
        except OSError:
            return None
        return self.number(int(name)) if name.isdecimal() else None

    def _attempt(self, number: int) -> str | None:
        stored = self._read(number)
        return stored.attempt if stored else None

    def _read(self, number: int) -> Stored | None:
        try:
            stored = self._load(number)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("generation %d is unknown: %s cannot be read: %s", number, self._all / str(number) / FILE, error)
            return None
        return stored if stored.generation.number == number else None

    def _load(self, number: int) -> Stored:
        return Stored.model_validate_json((self._all / str(number) / FILE).read_bytes())

    def _write(self, stored: Stored) -> None:
        folder = self._all / str(stored.generation.number)
        durable.folder(folder)
        durable.write(folder / FILE, stored.model_dump_json().encode())


def _joined(running: Sequence[Payload], brought: Sequence[Payload]) -> tuple[Payload, ...]:
    """What the release brings, and what runs and is not replaced by it: there is one image, and one of each other name."""
    names = {_name(payload) for payload in brought}
    return (*brought, *(payload for payload in running if _name(payload) not in names))


def _name(payload: Payload) -> tuple[PayloadKind, str]:
    return payload.kind, "" if payload.kind is PayloadKind.SYSTEM else payload.name


def _image(release: Release, installed: Sequence[Installed]) -> Installed | None:
    system = release.system
    return next((one for one in installed if system and one.payload == system.sha256), None)


@contextmanager
def _writing(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise RetryLater(
            "data-full" if full else "data-unwritable",
            f"cannot write {where}: {error.strerror}",
            "Free space on the data partition" if full else "Look at the data partition (`dmesg`, `findmnt`)",
            who=Who.FIELD,
        ) from error
