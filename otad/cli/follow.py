"""Watching an update to its end.

Rules:
 1. It ends with the attempt, or with the reboot that cuts the connection: then it says so, and how to go on.
 2. Leaving (Ctrl-C) changes nothing: the daemon goes on by itself.
 3. A cut that is no reboot is bridged: `Client.follow` takes the stream up again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from otad.cli import say, words
from otad.cli.watch import Watch
from otad.control import Exit, Reply, Verb
from otad.control.client import Client
from otad.control.status import ended, failed
from otad.statemachine import Outcome, State

Document = dict[str, Any]
LEFT = 130
"""Exit status after Ctrl-C, as a shell's own."""


def run(client: Client, verb: Verb, version: str | None, watch: Watch, *, as_json: bool) -> int:
    """Give an order, show in `watch` what follows from it; the exit status."""
    try:
        with watch:
            seen = int(client.get("status")["seq"])
            watch.begin(_ASKING.get(verb, ""))
            answer = client.order(verb, version)
            if answer.exit is Exit.DONE:
                if verb not in _ASKING:  # there the events say it
                    watch.answered(answer.words)
                answer = _end(verb, answer, _watched(client, seen, watch))
    except KeyboardInterrupt:
        say.line("Not watched any more; it goes on. `otactl status` tells how, `otactl cancel` ends it.", to=sys.stderr)
        return LEFT
    return say.reply(answer, as_json=as_json)


_ASKING = {Verb.CHECK: "asking the repository", Verb.INSTALL: "asking the repository"}


def _watched(client: Client, seen: int, watch: Watch) -> list[Document]:
    """The stored events to the end, each shown as it came."""
    told: list[Document] = []
    for event in _to_the_end(client, seen):
        if "seq" in event:
            told.append(event)
            watch.happened(event)
        else:
            watch.progress(event)
    return told


def _to_the_end(client: Client, seen: int) -> Iterator[Document]:
    """The events up to the one that ends the attempt, or to the cut that a reboot makes."""
    rebooting = False
    for event in client.follow(seen):
        if event is None:
            if rebooting:
                return
        else:
            yield event
            if "seq" in event:
                if event["outcome"] == Outcome.BOOT or ended(event):
                    return
                rebooting = words.next_state(event) in (State.REBOOT, State.ROLLBACK)


def _end(verb: Verb, answer: Reply, told: list[Document]) -> Reply:
    """What came of an order that was taken up; its data have the last event, and the cause when it did not go well."""
    last = told[-1]
    cause = next((event["cause"] for event in told if failed(event)), None) or last.get("cause")
    data = {**answer.data, "event": last, "cause": cause}
    if not ended(last):
        return _rebooting(verb, last, data)
    if last["outcome"] == Outcome.DONE and (last["state"] == State.COMMIT or verb is Verb.ROLLBACK):
        return Reply(Exit.DONE, words.ended(last), "", {**data, "cause": None})
    end = Exit.NOTHING if last["outcome"] == Outcome.NOTHING else Exit.FAILED
    return Reply(end, words.ended(last), (cause or {}).get("remedy", ""), data)


def _rebooting(verb: Verb, last: Document, data: Document) -> Reply:
    """The device goes down while it is watched: forth into the new slot, or back out of it."""
    remedy = "Once the device is back, `otactl status` tells how it went"
    if State.ROLLBACK in (words.next_state(last), last["state"]):
        if verb is Verb.ROLLBACK:
            return Reply(Exit.DONE, "the device reboots into its former slot", remedy, {**data, "cause": None})
        return Reply(Exit.FAILED, "the update is undone: the device reboots into its former slot", remedy, data)
    slot = f"slot {last['slot']}" if last.get("slot") else "the new release"
    return Reply(Exit.DONE, f"the device reboots into {slot}", remedy, {**data, "cause": None})
