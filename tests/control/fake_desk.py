"""A desk that says what a test wants it to say, and remembers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from otad.control import Desk, Exit, Reply, Verb
from otad.control.status import Facts, describe
from otad.errors import OtadError
from otad.statemachine import Record

A_CAUSE = {
    "code": "health-failed",
    "what": 'check "inference" failed: /usr/bin/smoke exited 3: model not found',
    "remedy": "Publish 1.1.1 with the model",
    "who": "integrator",
    "evidence": {},
}


def event(seq: int, state: str, outcome: str, **more: Any) -> dict[str, Any]:
    """A stored event as the journal gives it."""
    return {
        "seq": seq,
        "id": f"01E{seq:023}",
        "device": "d1",
        "boot": "b1",
        "time": f"2026-11-22T10:00:{seq % 60:02}.000Z",
        "state": state,
        "outcome": outcome,
        "running": "1.0.0",
        "booted": "A",
        **more,
    }


def of_attempt(seq: int, state: str, outcome: str, **more: Any) -> dict[str, Any]:
    """A stored event of an attempt at 1.1.0."""
    known = {"attempt": "01A", "kind": "update", "campaign": "c7", "release": "ab" * 32, "version": "1.1.0", "slot": "B"}
    return event(seq, state, outcome, **known, **more)


class FakeDesk:
    """`reply` answers every verb; `follows` are the events that an order sets going; `fault` is raised by everything."""

    def __init__(self, record: Record | None = None) -> None:
        self.record = record
        self.told: list[dict[str, Any]] = []
        self.orders: list[tuple[Verb, str, str | None]] = []
        self.reply = Reply(Exit.DONE, "release 1.1.0 is on its way")
        self.follows: list[dict[str, Any]] = []
        self.fault: OtadError | None = None
        self.closed = asyncio.Event()
        self._changed = asyncio.Event()

    async def do(self, verb: Verb, by: str, version: str | None = None) -> Reply:
        self.orders.append((verb, by, version))
        if self.fault:
            raise self.fault
        self.tell(*self.follows)
        return self.reply

    def tell(self, *events: dict[str, Any]) -> None:
        self.told += events
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def status(self) -> dict[str, Any]:
        if self.fault:
            raise self.fault
        stored = [told for told in self.told if "seq" in told]
        return describe(self.record, stored, {}, Facts(version="1.0.0", slot="A", awake=True))

    def slots(self) -> dict[str, Any]:
        a = {"device": "/dev/mmcblk0p2", "version": "1.0.0", "release": None, "booted": True, "selected": True}
        b = {"device": "/dev/mmcblk0p3", "version": None, "release": None, "booted": False, "selected": False}
        flags = {"trial": False, "fallback": False, "failed": False}
        return {"slots": {"A": a | flags, "B": b | flags}, "tries": 0, "unproven": 0, "problems": ["altbootcmd is empty"]}

    def health(self) -> dict[str, Any]:
        return {
            "checks": [
                {"name": "network", "ok": True, "words": "eth0 is up", "evidence": {}},
                {"name": "inference", "ok": False, "words": "exit status 3", "evidence": {"stderr": "model not found"}},
            ]
        }

    def config(self) -> dict[str, Any]:
        return {"repository": {"url": "https://updates.example/", "ca": None}, "check": {"interval": 14400.0}}

    def history(self, limit: int) -> list[dict[str, Any]]:
        from otad.control.history import attempts  # noqa: PLC0415 - the fake borrows it, most tests do not

        return attempts(told for told in self.told if "seq" in told)[:limit]

    async def events(self, after: int) -> AsyncIterator[dict[str, Any]]:
        at = 0
        try:
            while True:
                changed = self._changed
                page = self.told[at:]
                at += len(page)
                for told in page:
                    if told.get("seq", after + 1) > after:
                        yield told
                await changed.wait()
        finally:
            self.closed.set()


def as_desk(desk: FakeDesk) -> Desk:
    """mypy sees here that the fake satisfies the Protocol."""
    return desk
