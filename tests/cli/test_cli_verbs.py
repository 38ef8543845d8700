from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from datetime import datetime, timezone
from typing import Any

import pytest

from otad.control import Exit, Reply, Verb
from otad.formats.event import Event
from otad.journal import Journal
from tests.cli.conftest import Board
from tests.control.fake_desk import A_CAUSE, FakeDesk, event, of_attempt

CHECKED = [event(1, "idle", "due"), of_attempt(2, "check", "admitted")]
COMMITTED = [of_attempt(9, "commit", "done", running="1.1.0", booted="B")]
PROGRESS = {"step": "download", "done": 250_000_000, "total": 500_000_000, "rate": 4.1e6, "eta": 61.0}


_EVERY_VERB = {
    "status": 0,
    "check": 0,
    "install 1.1.0": 0,
    "pause": 0,
    "resume": 0,
    "cancel": 0,
    "retry": 0,
    "commit": 0,
    "rollback": 0,
    "history": 0,
    "health": 1,  # the fake desk's finding: a required check fails
    "slots": 0,
    "config": 0,
    "events": 0,
}


@pytest.mark.parametrize("words", _EVERY_VERB)
async def test_every_verb_as_a_program(board: Board, desk: FakeDesk, words: str) -> None:
    desk.tell(of_attempt(1, "idle", "due"))
    desk.follows = [of_attempt(2, "check", "admitted"), *COMMITTED]
    said = await board.spawned(*words.split(), "--json")
    assert (said.exit, said.err) == (_EVERY_VERB[words], "")
    assert json.loads(said.out)


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "retry"])
async def test_an_order_and_its_answer(board: Board, desk: FakeDesk, verb: str) -> None:
    desk.reply = Reply(Exit.DONE, "updates are paused on this device", "`otactl resume` goes on")
    said = await board.otactl(verb)
    assert (said.exit, said.err) == (0, "")
    assert said.out == "Updates are paused on this device\n  Next step   `otactl resume` goes on\n"
    assert [order[0] for order in desk.orders] == [Verb(verb)]


async def test_retry_of_one_version(board: Board, desk: FakeDesk) -> None:
    assert (await board.otactl("retry", "1.1.0")).exit == 0
    assert desk.orders[0][2] == "1.1.0"


@pytest.mark.parametrize("exit_", [Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.NOTHING])
async def test_the_exit_status_is_the_answers(board: Board, desk: FakeDesk, exit_: Exit) -> None:
    desk.reply = Reply(exit_, "words", "remedy", {"version": "1.1.0"})
    said = await board.otactl("cancel", "--json")
    assert said.exit == exit_
    assert json.loads(said.out) == {"exit": int(exit_), "words": "words", "remedy": "remedy", "data": {"version": "1.1.0"}}


async def test_a_check_that_finds_nothing(board: Board, desk: FakeDesk) -> None:
    desk.reply = Reply(Exit.NOTHING, "1.0.0 is current")
    said = await board.otactl("check")
    assert (said.exit, said.out) == (3, "1.0.0 is current\n")


async def test_an_update_is_watched_to_its_commit(board: Board, desk: FakeDesk) -> None:
    desk.follows = [*CHECKED, PROGRESS, of_attempt(3, "download", "done", durations={"state": 122.0}), *COMMITTED]
    said = await board.otactl("install", "1.1.0")
    assert said.exit == 0
    assert said.out.splitlines() == [
        "10:00:01  looking for a release",
        "10:00:02  1.1.0 is for this device (campaign c7)",
        "          download: 50% of 500 MB, 4.1 MB/s, 1 min 1 s to go",
        "10:00:03  1.1.0 is downloaded (2 min 2 s)",
        "10:00:09  1.1.0 is permanent",
        "This device runs 1.1.0",
    ]
    assert desk.orders[0][0::2] == (Verb.INSTALL, "1.1.0")


async def test_only_what_follows_the_order_is_watched(board: Board, desk: FakeDesk) -> None:
    """The end of an earlier update is not taken for the end of this one."""
    desk.tell(of_attempt(1, "commit", "done"))
    desk.follows = [of_attempt(2, "check", "admitted"), *COMMITTED]
    said = await board.otactl("check")
    assert "10:00:01" not in said.out
    assert "10:00:02" in said.out


async def test_a_failure_names_cause_and_next_step(board: Board, desk: FakeDesk) -> None:
    desk.follows = [*CHECKED, of_attempt(3, "install", "failed", cause=A_CAUSE)]
    said = await board.otactl("check")
    assert said.exit == 1
    assert "The update to 1.1.0 failed; this device runs 1.0.0" in said.out
    assert "model not found" in said.out
    assert "Next step   Publish 1.1.1 with the model" in said.out


async def test_a_hold_is_not_done_and_says_why(board: Board, desk: FakeDesk) -> None:
    desk.follows = [*CHECKED, of_attempt(3, "install", "held", cause={**A_CAUSE, "what": "the window opens at 02:00"})]
    said = await board.otactl("check")
    assert said.exit == 1
    assert "held" in said.out
    assert "The window opens at 02:00" in said.out


async def test_a_watched_update_as_json_is_one_document(board: Board, desk: FakeDesk) -> None:
    desk.follows = [*CHECKED, PROGRESS, of_attempt(3, "install", "failed", cause=A_CAUSE)]
    said = await board.otactl("check", "--json")
    told = json.loads(said.out)
    assert (said.exit, told["exit"]) == (1, 1)
    assert told["data"]["cause"] == A_CAUSE
    assert told["data"]["event"] == desk.follows[-1]
    assert told["remedy"] == A_CAUSE["remedy"]


async def test_without_waiting(board: Board, desk: FakeDesk) -> None:
    desk.follows = CHECKED
    said = await board.otactl("install", "1.1.0", "--no-wait")
    assert (said.exit, said.out) == (0, "Release 1.1.0 is on its way\n")


async def test_a_reboot_is_told_well(board: Board, desk: FakeDesk) -> None:
    desk.follows = [*CHECKED, of_attempt(3, "reboot", "boot")]
    said = await board.otactl("install", "1.1.0")
    assert said.exit == 0
    assert "The device reboots into slot B" in said.out
    assert "otactl status" in said.out


async def test_a_trial_that_a_person_gives_up(board: Board, desk: FakeDesk) -> None:
    desk.reply = Reply(Exit.DONE, "the trial is undone")
    desk.follows = [of_attempt(3, "validate", "failed", cause=A_CAUSE), of_attempt(4, "rollback", "boot")]
    said = await board.otactl("rollback")
    assert said.exit == 0
    assert "former slot" in said.out


async def test_a_trial_that_fails_while_it_is_watched(board: Board, desk: FakeDesk) -> None:
    desk.reply = Reply(Exit.DONE, "the soak ends as soon as every check has passed")
    desk.follows = [of_attempt(3, "validate", "failed", cause=A_CAUSE), of_attempt(4, "rollback", "boot")]
    said = await board.otactl("commit")
    assert said.exit == 1
    assert "The soak ends" in said.out
    assert "model not found" in said.out


async def test_history(board: Board, desk: FakeDesk) -> None:
    said = await board.otactl("history")
    assert (said.exit, said.out) == (3, "No update has been tried on this device yet.\n")
    desk.tell(of_attempt(1, "rollback", "done", cause=A_CAUSE), {**COMMITTED[0], "attempt": "01B", "version": "1.2.0"})
    said = await board.otactl("history")
    assert said.out.index("1.2.0") < said.out.index("1.1.0")
    assert "committed" in said.out
    assert "Publish 1.1.1" in said.out
    told = json.loads((await board.otactl("history", "--json", "-n", "1")).out)
    assert [attempt["id"] for attempt in told] == ["01B"]


async def test_slots(board: Board, desk: FakeDesk) -> None:
    said = await board.otactl("slots")
    assert said.exit == 0
    assert "runs, boots next" in said.out
    assert "altbootcmd is empty" in said.out
    assert json.loads((await board.otactl("slots", "--json")).out) == desk.slots()


async def test_health(board: Board, desk: FakeDesk) -> None:
    said = await board.otactl("health")
    assert said.exit == 1
    assert "model not found" in said.out
    assert "Next step   See what inference needs" in said.out
    assert json.loads((await board.otactl("health", "--json")).out) == desk.health()


async def test_config(board: Board, desk: FakeDesk) -> None:
    said = await board.otactl("config")
    assert '[repository]\nurl = "https://updates.example/"\nca = (not set)\n' in said.out
    assert json.loads((await board.otactl("config", "--json")).out) == desk.config()


async def test_events(board: Board, desk: FakeDesk) -> None:
    assert (await board.otactl("events")).out == ""
    desk.tell(*CHECKED, PROGRESS, of_attempt(3, "install", "failed", cause=A_CAUSE))
    said = await board.otactl("events", "-n", "2")
    assert said.exit == 0
    assert "10:00:01" not in said.out
    assert "Publish 1.1.1" in said.out
    told = [json.loads(line) for line in (await board.otactl("events", "--json")).out.splitlines()]
    assert told == [*CHECKED, desk.told[-1]]


async def test_events_that_are_followed_until_one_leaves(board: Board, desk: FakeDesk) -> None:
    desk.tell(CHECKED[0])
    words = (sys.executable, "-m", "otad.cli", "events", "-f", "--json", "--config", str(board.settings))
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    assert json.loads(await process.stdout.readline()) == CHECKED[0]
    desk.tell(PROGRESS, CHECKED[1])
    assert json.loads(await process.stdout.readline()) == CHECKED[1]
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0


async def test_leaving_a_watched_update_does_not_end_it(board: Board, desk: FakeDesk) -> None:
    desk.follows = CHECKED
    words = (sys.executable, "-m", "otad.cli", "check", "--config", str(board.settings))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=pipe)
    assert process.stdout
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    assert b"it goes on" in err
    assert [order[0] for order in desk.orders] == [Verb.CHECK]


async def test_a_console_that_does_not_know_its_width(board: Board, desk: FakeDesk) -> None:
    """A serial console says 0 columns: text is wrapped at 80, in colour."""
    desk.reply = Reply(Exit.FAILED, "no " * 60)
    ours, theirs = pty.openpty()
    words = (sys.executable, "-m", "otad.cli", "pause", "--config", str(board.settings))
    process = await asyncio.create_subprocess_exec(*words, stdout=theirs, env={**os.environ, "TERM": "linux"})
    os.close(theirs)
    assert await process.wait() == 1
    lines = os.read(ours, 4096).decode().splitlines()
    os.close(ours)
    assert len(lines) == 3
    assert lines[0].startswith("\033[31mNo no")


async def test_on_a_terminal_there_is_a_bar_with_rate_and_time(board: Board, desk: FakeDesk) -> None:
    desk.follows = [*CHECKED, PROGRESS]
    ours, theirs = pty.openpty()
    words = (sys.executable, "-m", "otad.cli", "check", "--config", str(board.settings))
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    process = await asyncio.create_subprocess_exec(*words, stdout=theirs, env=environment)
    os.close(theirs)
    screen = await asyncio.to_thread(_read_until, ours, b"1 min 1 s to go")
    desk.tell(*COMMITTED)
    screen += await asyncio.to_thread(_read_until, ours, b"This device runs 1.1.0")
    assert await process.wait() == 0
    os.close(ours)
    assert b"4.1 MB/s" in screen


def _read_until(terminal: int, words: bytes) -> bytes:
    screen = b""
    while words not in screen:
        screen += os.read(terminal, 4096)
    return screen


@pytest.mark.parametrize("words", [["reboot"], ["install"], ["pause", "now"], ["history", "-n", "0"], ["events", "--since"]])
async def test_usage(board: Board, words: list[str]) -> None:
    assert (await board.otactl(*words)).exit == 2


@pytest.mark.parametrize("verb", ["pause", "check", "slots", "health"])
async def test_unreachable(board: Board, verb: str) -> None:
    said = await board.otactl(verb)
    assert said.exit == 4
    assert "systemctl status otad.socket" in said.err
    assert _compact(await board.otactl(verb, "--json")) == {"exit": 4, "code": "no-socket"}


def _compact(said: Any) -> dict[str, Any]:
    told = json.loads(said.out)
    return {"exit": told["exit"], "code": told["code"]}


async def test_help_names_every_verb(board: Board) -> None:
    said = await board.otactl("--help", settings=False)
    readers = ["status", "history", "health", "slots", "config", "events"]
    for verb in [*(verb.value for verb in Verb), *readers]:
        assert f" {verb} " in said.out


def test_the_shell_completes_versions_from_the_journal(board: Board) -> None:
    def completed(typed: str) -> list[str]:
        asked = {"_OTACTL_COMPLETE": "complete_bash", "COMP_WORDS": f"otactl install --config {board.settings} {typed}"}
        environment = {**os.environ, **asked, "COMP_CWORD": "4"}
        command = [sys.executable, "-m", "otad.cli"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    assert completed("1.") == []  # no journal yet, and no error in the middle of a command line
    journal = Journal.open(board.data / "journal.db")
    for number, version in enumerate(("1.1.0", "1.2.0", "1.1.0", "2.0.0", "")):
        when = datetime.now(timezone.utc)
        journal.events.append(Event(f"E{number}", "d1", "b1", when, "download", "done", version=version))
    journal.close()
    assert completed("1.") == ["1.1.0", "1.2.0"]
