"""A device as a value: what outlives a power cut, what does not, and the canonical form in which two devices are the same.

Rules:
 1. Everything is immutable and compares by value: a snapshot is a reference, and what was seen before is found in a set.
 2. Names that only have to differ (ids of attempts, numbers of generations) are normalised to small ones, by order.
 3. Ghosts are what nobody on the device knows; only `properties` reads them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from otad.bootenv import BootStatus, Slot
from otad.bootenv.uboot import Change
from otad.journal.record import decode, encode
from otad.ports import Generation
from otad.statemachine import Record
from simulator.bootloader import DEFAULT, Env

BOOT = "now"  # boot id of the boot that runs; one of an earlier boot is PAST
PAST = "past"


class Content(NamedTuple):
    """What a slot holds. `whole` is False while it is written; `rotten`: it was whole, and its bits are not any more.

    proved    a ghost: it was confirmed here, and not given up since
    given_up  a ghost: it was proved, and was given up
    """

    version: str = ""
    whole: bool = True
    rotten: bool = False
    proved: bool = False
    given_up: bool = False

    def without_proof(self) -> Content:
        """As it is given up."""
        return self._replace(proved=False, given_up=self.proved or self.given_up)


class Made(NamedTuple):
    """A generation, and the id of the attempt that made it."""

    attempt: str
    generation: Generation


class Memory(NamedTuple):
    """What the journal holds that decides anything: the record (JSON), rows of `attempts`, rows of `settings`."""

    record: str | None = None
    attempts: tuple[tuple[str, str, int, int, str | None], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    def load(self) -> Record | None:
        """The record."""
        return None if self.record is None else remembered(self.record)


class Device(NamedTuple):
    """All that outlives a power cut.

    slots, pointers  of A and of B
    lost             a ghost: bits of `Lost`
    """

    env: Env
    slots: tuple[Content, Content]
    pointers: tuple[int | None, int | None] = (None, None)
    made: tuple[Made, ...] = ()
    memory: Memory = Memory()
    lost: int = 0

    def slot(self, slot: Slot) -> Content:
        """What a slot holds."""
        return self.slots[slot is Slot.B]

    def pointer(self, slot: Slot) -> int | None:
        """What a slot points at."""
        return self.pointers[slot is Slot.B]

    def generation(self, number: int | None) -> Generation | None:
        """One generation."""
        return next((made.generation for made in self.made if made.generation.number == number), None)

    def holding(self, slot: Slot, content: Content) -> Device:
        """With other content in a slot."""
        a, b = self.slots
        return self._replace(slots=(a, content) if slot is Slot.B else (content, b))

    def pointing(self, slot: Slot, number: int | None) -> Device:
        """With another pointer."""
        a, b = self.pointers
        return self._replace(pointers=(a, number) if slot is Slot.B else (number, b))

    def storing(self, change: Change) -> Device:
        """After one store of the environment."""
        return self._replace(env=self.env._replace(**change))


class Running(NamedTuple):
    """What a power cut forgets.

    slot      that runs
    current   generation that runs (tmpfs)
    found     boot status as this boot began (tmpfs); None before otad's first start
    apps      the applications run
    awake     the daemon runs
    refused   the record in the memory of a daemon that keeps nothing (`Resumed.refusal`); empty else
    examined  a ghost: the checks held in this boot, of what runs now
    """

    slot: Slot
    current: int | None
    found: BootStatus | None = None
    apps: bool = True
    awake: bool = False
    refused: str = ""
    examined: bool = False


class Lost:
    """What was lost while slot A was being installed, or was armed (`Device.lost`): both together are a residual."""

    ENVIRONMENT = 1
    JOURNAL = 2
    BOTH = 3


FRESH = Device(DEFAULT, (Content("1.0.0", proved=True), Content()))


def off(device: Device) -> Device:
    """As the power is off: the boot ids of what was are no one's any more."""
    text = device.memory.record
    if text is not None:
        device = device._replace(memory=device.memory._replace(record=_past(text)))
    return canonical(device, None)[0]


def canonical(device: Device, running: Running | None) -> tuple[Device, Running | None]:
    """The one of all that differ only in names, by which they are known."""
    record = device.memory.load()
    attempt = record.attempt if record else None
    ids = list(dict.fromkeys([made.attempt for made in device.made] + ([attempt.id] if attempt else [])))
    numbers = [made.generation.number for made in device.made]
    if ids == NAMES[: len(ids)] and numbers == NUMBERS[: len(numbers)]:
        return device, running
    told = {*device.pointers, *(made.generation.previous for made in device.made), running.current if running else None}
    told.add(attempt.generation if attempt else None)
    whole = told <= {*numbers, None}  # else one that is gone is still referred to: its number must not become another's
    new = dict(zip(numbers, NUMBERS, strict=False)) if whole else {number: number for number in (*numbers, *told) if number}
    named = dict(zip(ids, NAMES, strict=False))
    if record and attempt:
        attempt = replace(attempt, id=named[attempt.id], generation=new.get(attempt.generation or 0))
        device = device._replace(memory=device.memory._replace(record=encode(replace(record, attempt=attempt))))
    made = tuple(
        Made(named[name], replace(one, number=new[one.number], previous=new.get(one.previous or 0))) for name, one in device.made
    )
    a, b = device.pointers
    device = device._replace(pointers=(new.get(a or 0), new.get(b or 0)), made=made)
    return device, running and running._replace(current=new.get(running.current or 0))


NUMBERS = list(range(1, 100))
NAMES = [str(number) for number in NUMBERS]


@lru_cache(1 << 16)
def remembered(text: str) -> Record | None:
    """The record of a text that the journal holds."""
    return decode(text)


@lru_cache(1 << 16)
def _past(text: str) -> str:
    record = decode(text)
    return text if record is None else encode(replace(record, boot_id=PAST))
