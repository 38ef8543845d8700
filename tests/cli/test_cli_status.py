from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from otad import config, config_files
from otad.bootenv import Slot
from otad.cli import places
from otad.errors import Cause, Who
from otad.formats.event import Event
from otad.journal import Journal, Pause
from otad.statemachine import Attempt, Kind, Record, State
from tests.cli.conftest import Board
from tests.control.fake_desk import FakeDesk

NOW = datetime.now(timezone.utc)
ATTEMPT = Attempt("01A", Kind.UPDATE, "c7", "ab" * 32, "1.1.0", Slot.B)
CAUSE = Cause("health-failed", 'check "inference" failed: exit status 3', "Publish 1.1.1 with the model", Who.INTEGRATOR)


def _keep(board: Board, record: Record, *events: Event) -> None:
    journal = Journal.open(board.data / "journal.db")
    journal.transition(record, *events)
    journal.close()


def _event(number: int, state: str, outcome: str, cause: Cause | None = None) -> Event:
    return Event(f"E{number}", "d1", "b1", NOW, state, outcome, running="1.0.0", booted="A", version="1.1.0", cause=cause)


async def test_a_sleeping_device_tells_from_its_journal(board: Board) -> None:
    _keep(board, Record(State.IDLE, Slot.A, "b1"), _event(1, "check", "nothing", Cause("current", "1.0.0 is current", "")))
    said = await board.otactl("status")
    assert (said.exit, said.err) == (0, "")
    assert "1.0.0 runs in slot A" in said.out
    assert "nothing to install: 1.0.0 is current" in said.out
    assert "otad sleeps" in said.out
    assert not board.run.exists()  # nobody was woken, nothing was made


async def test_a_failure_comes_with_its_next_step_and_who_takes_it(board: Board) -> None:
    _keep(board, Record(State.IDLE, Slot.A, "b1"), _event(1, "rollback", "done", CAUSE))
    said = await board.otactl("status")
    assert "The update to 1.1.0 failed at" in said.out
    assert 'Check "inference" failed: exit status 3' in said.out
    assert "Next step   Publish 1.1.1 with the model" in said.out
    assert "the integrator" in said.out


async def test_a_pause_a_hold_and_a_next_check(board: Board) -> None:
    held = Cause("window", "the window opens at 02:00", "`otactl install 1.1.0` does it now", Who.NOBODY)
    _keep(board, Record(State.IDLE, Slot.A, "b1"), _event(1, "install", "held", held))
    journal = Journal.open(board.data / "journal.db")
    journal.settings.put_time("next_check", NOW)
    journal.close()
    said = await board.otactl("status")
    assert "The update is held" in said.out
    assert "Next check" in said.out
    journal = Journal.open(board.data / "journal.db")
    journal.settings.put_paused(Pause("ada", NOW))
    journal.close()
    said = await board.otactl("status")
    assert "by ada since" in said.out
    assert "otactl resume" in said.out
    assert "Next check" not in said.out


async def test_an_update_that_was_cut_off_says_how_it_goes_on(board: Board) -> None:
    _keep(board, Record(State.INSTALL, Slot.A, "b1", attempt=ATTEMPT))
    said = await board.otactl("status")
    assert "installing 1.1.0 in slot B" in said.out
    assert "systemctl start otad" in said.out


async def test_json_is_the_status_document(board: Board) -> None:
    _keep(board, Record(State.IDLE, Slot.A, "b1"), _event(1, "check", "nothing"))
    told = json.loads((await board.otactl("status", "--json")).out)
    assert told["running"] == {"version": "1.0.0", "slot": "A", "release": None}
    assert (told["state"], told["awake"], told["seq"]) == ("idle", False, 1)


async def test_a_device_on_which_otad_never_ran(board: Board) -> None:
    said = await board.otactl("status")
    assert said.exit == 4
    assert "never run" in said.err
    assert "findmnt" in said.err
    told = json.loads((await board.otactl("status", "--json")).out)
    assert (told["exit"], told["code"]) == (4, "no-journal")


async def test_a_damaged_journal_is_said(board: Board) -> None:
    (board.data / "journal.db").write_bytes(b"rot" * 5000)
    said = await board.otactl("status")
    assert said.exit == 1
    assert "journal" in said.err
    assert "Next step" in said.err


@pytest.mark.skipif(os.geteuid() != 0, reason="root may read everything: only root can show what others may not")
def test_a_journal_that_this_user_may_not_read() -> None:
    with tempfile.TemporaryDirectory() as name:  # not tmp_path: the folders above that are closed to others
        board = Board(Path(name))
        Path(name).chmod(0o755)
        _keep(board, Record(State.IDLE, Slot.A, "b1"))
        board.data.chmod(0o700)
        words = ["otactl", "status", "--config", str(board.settings)]
        code = f"import sys; sys.argv = {words!r}; import os, otad.cli.status, otad.config, otad.journal.reader; "
        code += "os.setgroups([]); os.setgid(65534); os.setuid(65534); otad.cli.main()"
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.returncode == 4
    assert "usermod -aG otad nobody" in said.stderr


async def test_an_awake_daemon_is_asked(board: Board, desk: FakeDesk) -> None:
    desk.record = Record(State.DOWNLOAD, Slot.A, "b1", attempt=ATTEMPT)
    said = await board.otactl("status")
    assert said.exit == 0
    assert "downloading 1.1.0" in said.out
    assert json.loads((await board.otactl("status", "--json")).out)["awake"] is True


async def test_an_odd_configuration_is_explained(board: Board) -> None:
    board.settings.write_text("[paths\n")
    said = await board.otactl("status")
    assert said.exit == 1
    assert str(board.settings) in said.err


async def test_help_and_mistakes_go_through_typer(board: Board) -> None:
    said = await board.otactl("status", "--help", settings=False)
    assert said.exit == 0
    assert "--json" in said.out
    assert (await board.otactl("status", "--jsno")).exit == 2
    assert (await board.otactl("status", "--config", settings=False)).exit == 2


_HEAVY = ("typer", "click", "rich", "pydantic", "aiohttp", "tuf", "http.client", "asyncio", "otad.config")


def test_status_imports_nothing_heavy(board: Board) -> None:
    """The budget is 200 ms of CPU on a slow device; what is imported decides, and does not depend on the machine."""
    _keep(board, Record(State.IDLE, Slot.A, "b1"), _event(1, "check", "nothing"))
    code = f"""
import sys
from otad.cli import main
sys.argv = ["otactl", "status", "--config", {str(board.settings)!r}]
try:
    main()
except SystemExit as end:
    assert end.code == 0
print(*(name for name in {_HEAVY!r} if name in sys.modules))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == ""


def test_places_are_those_of_the_settings(board: Board) -> None:
    """Read without pydantic, but as otad.config reads them: defaults, both conf.d, the later file winning."""
    board.settings.write_text('[repository]\nurl = "https://updates.example/"\n[device]\nproduct = "camera"\n')
    assert places.Places() == places.Places(**{name: getattr(config.Paths(), name) for name in places.Places._fields})
    assert config_files.DEFAULT == places.DEFAULT
    for folder, text in (
        (board.settings.parent, f'[paths]\ndata = "{board.data}"\nrun = "/run/one"\ncmdline = "/c"\n'),
        (board.data, '[paths]\nrun = "/run/two"\n'),
    ):
        (folder / "conf.d").mkdir()
        (folder / "conf.d" / "10-paths.toml").write_text(text)
    read = places.read(board.settings)
    paths = config_files.load(board.settings).paths
    assert read == places.Places(**{name: getattr(paths, name) for name in places.Places._fields})
    assert str(read.run) == "/run/two"


async def test_history_and_events_of_a_sleeping_daemon_are_told_from_the_journal(board: Board) -> None:
    failed = replace(_event(2, "validate", "failed", CAUSE), attempt="01A", kind="update")
    _keep(board, Record(State.IDLE, Slot.A, "b1"), _event(1, "check", "admitted"), failed)
    said = await board.otactl("history")
    assert (said.exit, "1.1.0" in said.out) == (0, True)
    assert "Publish 1.1.1 with the model" in said.out
    told = await board.otactl("events", "--json")
    assert [json.loads(line)["state"] for line in told.out.splitlines()] == ["check", "validate"]
    assert json.loads((await board.otactl("events", "--json", "-n", "1")).out)["state"] == "validate"
    assert not (board.run / "otad.sock").exists()
