# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""People at a running board, with otactl: they pause, go on, cancel, go back, and are told what comes of it."""

import itertools
import json
import socket
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from otad.control import Exit
from otad.publisher import rollout
from simulator.depot import Depot, now
from simulator.fastboard import FastBoard
from simulator.system import System
from tests.support.board import (
    REAL_PARTS,
    A,
    B,
    chain,
    journal,
    keep,
    nothing_lost,
    otactl,
    rest,
    runs,
    until,
)
from tests.support.mirror import Mirror
from tests.support.slow import SlowInstall

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python
NUMBERS = itertools.count()
STAYS = "[daemon]\nresident = true\n[attempts]\nbackoff = 3600\n"


@pytest.fixture(scope="module")
def depot(tmp_path_factory):
    """1.1.0 in the channel stable."""
    depot = Depot.create(tmp_path_factory.mktemp("depot"))
    depot.offer(System("1.1.0", noise=4 << 20))
    return depot


@pytest.fixture
def channel(depot):
    """A channel of the test's own with 1.1.0: what is done to its campaign is nobody else's."""
    name = f"channel-{next(NUMBERS)}"
    depot.roll_out("1.1.0", name)
    return name


@asynccontextmanager
async def device(depot, repository, folder, channel="stable", more=""):
    """A board with 1.0.0, whose otad stays awake."""
    board = FastBoard.create(folder / "b", depot.image(System("1.0.0")), repository)
    board.configure("a", f'[repository]\nchannel = "{channel}"\n{STAYS}{more}')
    async with board:
        yield board


def told(board):
    """The chain of events; empty before there is a journal."""
    board.look()
    return chain(board) if (board.folder / "data" / "otad" / "journal.db").exists() else []


async def happens(board, *step):
    """Wait for the end of a state."""
    await until(lambda: step in told(board), " ".join(step))


async def serves(board):
    """Wait until otad listens: here no systemd keeps the socket while it starts."""

    def answers():
        board.look()
        with socket.socket(socket.AF_UNIX) as line:
            return not line.connect_ex(str(board.folder / "run" / "otad.sock"))

    await until(answers, "otad serves")


async def validates(board):
    """Wait until the new release is being validated."""
    await happens(board, "install", "done")
    await until(lambda: board.slot is B, "the trial")
    await serves(board)
    await tell(board, "status", says="its health is checked")


async def committed(board, slot=B, version="1.1.0", times=1):
    """Wait for the commit (or the second) of what then runs."""
    await until(lambda: told(board).count(("commit", "done")) == times, "the commit")
    assert (board.slot, runs(board)) == (slot, version)


async def tell(board, *words, exit_=Exit.DONE, says=" "):
    """otactl does it, and says so."""
    said = await otactl(board, *words)
    assert said.exit == exit_, said
    assert says[1:] in said.out + said.err, said  # its first letter may have become a capital
    return said.out


def last_cause(board):
    return journal(board)[1][-1]["cause"]


class TestPause:
    async def test_in_a_download(self, depot, tmp_path):
        """It is held where it is; what came is kept, and is not asked for again."""
        mirror = Mirror(depot, tmp_path)
        mirror.hold()
        async with mirror.served() as repository, device(depot, repository, tmp_path) as board:
            kept = keep(board)
            await board.power_on()
            updates = board.folder / "data" / "updates"
            await until(lambda: any(file.stat().st_size for file in updates.glob("*.part")), "bytes come")
            await tell(board, "pause", says="held")
            await happens(board, "download", "held")
            nothing_lost(board, kept)
            status = await tell(board, "status", says="otactl resume")
            assert "The update is held" in status
            await tell(board, "pause", exit_=Exit.NOTHING, says="already")
            assert any(file.stat().st_size for file in updates.glob("*.part"))
            mirror.let_go()
            await tell(board, "resume", says="go on")
            await committed(board)
            last = [path for path in mirror.asked if path.startswith("/blobs/")][-1]
            assert int(last.partition(" ")[2]) > 0
            await tell(board, "resume", exit_=Exit.NOTHING, says="not paused")

    async def test_in_an_install(self, depot, tmp_path):
        """SWUpdate ends its work; the trial is not begun. Then the slot is not written a second time."""
        async with depot.served() as repository, device(depot, repository, tmp_path) as board:
            slow = SlowInstall(board)
            await board.power_on()
            await slow.halfway()
            await tell(board, "pause", says="paused")
            slow.go()
            await happens(board, "reboot", "held")
            assert board.env.load().upgrade_available == "0"
            await tell(board, "resume")
            await committed(board)
            assert slow.count == 1

    async def test_outlives_a_power_cut(self, depot, tmp_path):
        async with depot.served() as repository, device(depot, repository, tmp_path) as board:
            kept, slow = keep(board), SlowInstall(board)
            await board.power_on()
            await slow.halfway()
            await tell(board, "pause")
            await board.cut()
            slow.go()
            assert await board.power_on() is A
            await happens(board, "install", "held")
            nothing_lost(board, kept)


class TestFleet:
    """What the integrator does to the campaign while a device is in the middle of it."""

    @staticmethod
    def change(depot, channel, how):
        how(depot.workspace, channel, now=now() + timedelta(seconds=2))
        depot.publish()

    async def test_paused_before_the_install(self, depot, channel, tmp_path):
        async with depot.served() as repository, device(depot, repository, tmp_path, channel) as board:
            kept = keep(board)
            slow = SlowInstall(board, checks=True)
            await board.power_on()
            await slow.halfway()
            self.change(depot, channel, rollout.pause)
            slow.go()
            await happens(board, "install", "held")
            nothing_lost(board, kept)
            assert last_cause(board)["code"] == "paused"
            assert list((board.folder / "data" / "updates").iterdir())
            self.change(depot, channel, rollout.resume)
            await tell(board, "install", "1.1.0", "--no-wait")
            await committed(board)

    async def test_stopped_before_the_install(self, depot, channel, tmp_path):
        async with depot.served() as repository, device(depot, repository, tmp_path, channel) as board:
            kept, slow = keep(board), SlowInstall(board, checks=True)
            await board.power_on()
            await slow.halfway()
            self.change(depot, channel, rollout.stop)
            slow.go()
            await happens(board, "install", "cancelled")
            nothing_lost(board, kept)
            assert last_cause(board)["code"] == "stopped"
            await tell(board, "check", exit_=Exit.NOTHING, says="stopped")
            assert not list((board.folder / "data" / "updates").iterdir())

    async def test_paused_before_the_trial(self, depot, channel, tmp_path):
        """HELD before arming: the slot is kept, and not written again when the device is let in again."""
        async with depot.served() as repository, device(depot, repository, tmp_path, channel) as board:
            kept, slow = keep(board), SlowInstall(board)
            await board.power_on()
            await slow.halfway()
            self.change(depot, channel, rollout.pause)
            slow.go()
            await happens(board, "reboot", "held")
            nothing_lost(board, kept)
            await tell(board, "status", says="paused")
            written = board.slots[B].stat().st_mtime_ns
            await board.cut()
            assert await board.power_on() is A
            self.change(depot, channel, rollout.resume)
            await serves(board)
            await tell(board, "check", "--no-wait")
            await committed(board)
            assert ("verify", "staged") in chain(board)
            assert slow.count == 1
            assert board.slots[B].stat().st_mtime_ns == written

    async def test_stopped_before_the_trial(self, depot, channel, tmp_path):
        async with depot.served() as repository, device(depot, repository, tmp_path, channel) as board:
            kept, slow = keep(board), SlowInstall(board)
            await board.power_on()
            await slow.halfway()
            self.change(depot, channel, rollout.stop)
            slow.go()
            await happens(board, "reboot", "cancelled")
            nothing_lost(board, kept)
            assert board.boots == [A]


class TestWindow:
    async def test_closed_and_overridden(self, depot, tmp_path):
        """Fetched in time, installed in the window, or at once when somebody says so."""
        hour = datetime.now().astimezone().hour
        window = f'[window]\nstart = "{(hour + 2) % 24:02}:00"\nend = "{(hour + 3) % 24:02}:00"\n'
        async with depot.served() as repository, device(depot, repository, tmp_path, more=window) as board:
            kept = keep(board)
            await board.power_on()
            await happens(board, "install", "held")
            nothing_lost(board, kept)
            assert last_cause(board)["code"] == "window"
            await tell(board, "status", says="window")
            await tell(board, "install", "1.1.0", "--no-wait", says="1.1.0")
            await committed(board)


class TestCancel:
    @pytest.mark.parametrize("where", ["download", "install"])
    async def test_what_is_under_way(self, depot, tmp_path, where):
        mirror = Mirror(depot, tmp_path)
        async with mirror.served() as repository, device(depot, repository, tmp_path) as board:
            kept, slow = keep(board), SlowInstall(board)
            if where == "download":
                mirror.hold()
            await board.power_on()
            if where == "download":
                await until(lambda: any(path.startswith("/blobs/") for path in mirror.asked), "the download begins")
            else:
                await slow.halfway()
            await tell(board, "cancel", says="is cancelled")
            await happens(board, where, "cancelled")
            nothing_lost(board, kept)
            mirror.let_go()
            slow.go()
            await tell(board, "cancel", exit_=Exit.NOTHING, says="nothing is under way")
            await tell(board, "install", "1.1.0", "--no-wait")
            await committed(board)


class TestTrial:
    LONG = "[health]\nsoak = 600\nrepository = false\n"

    async def test_committed_early(self, depot, tmp_path):
        async with depot.served() as repository, device(depot, repository, tmp_path, more=self.LONG) as board:
            await board.power_on()
            await validates(board)
            await tell(board, "cancel", exit_=Exit.FAILED, says="otactl rollback")
            await tell(board, "commit", says="soak ends")
            await committed(board)

    async def test_given_up(self, depot, tmp_path):
        async with depot.served() as repository, device(depot, repository, tmp_path, more=self.LONG) as board:
            kept = keep(board)
            await board.power_on()
            await validates(board)
            await tell(board, "rollback", "--no-wait", says="undone")
            await happens(board, "rollback", "done")
            await rest(board)
            assert board.boots == [A, B, A]
            nothing_lost(board, kept)
            await tell(board, "check", exit_=Exit.NOTHING, says="failed here before")


class TestBack:
    async def test_and_forth_again(self, depot, tmp_path):
        """The old slot comes back on trial, and stays; the release does not come again until somebody lets it."""
        async with depot.served() as repository, device(depot, repository, tmp_path) as board:
            await board.power_on()
            await committed(board)
            await tell(board, "rollback", "--no-wait", says="comes back")
            await committed(board, A, "1.0.0", times=2)
            env = board.env.load()
            assert (env.boot_partition, env.upgrade_available, env.otad_rollback) == ("A", "0", "")
            assert board.boots == [A, B, A]
            await tell(board, "check", exit_=Exit.NOTHING, says="otactl retry")
            await tell(board, "retry", says="may be tried again")
            await committed(board, times=3)
            history = json.loads(await tell(board, "history", "--json"))
            assert [attempt["version"] for attempt in history] == ["1.1.0", "of the factory", "1.1.0"]

    async def test_nowhere(self, depot, tmp_path):
        async with depot.served() as repository, device(depot, repository, tmp_path, "none") as board:
            board.env.set({"otad_fallback": ""})
            kept = keep(board)
            await board.power_on()
            await rest(board)
            await tell(board, "rollback", exit_=Exit.FAILED, says="no release to go back to")
            nothing_lost(board, kept)

    async def test_to_the_empty_slot_of_a_new_board(self, depot, tmp_path):
        """U-Boot's default says that it is good; nothing was installed yet, so nothing can be undone."""
        async with depot.served() as repository, device(depot, repository, tmp_path, "none") as board:
            kept = keep(board)
            await board.power_on()
            await rest(board)
            await tell(board, "rollback", exit_=Exit.FAILED, says="no release to go back to")
            nothing_lost(board, kept)

    async def test_to_a_slot_that_does_not_boot(self, depot, tmp_path):
        """It was good and has rotted since: the trial of it ends where it began."""
        async with depot.served() as repository, device(depot, repository, tmp_path) as board:
            await board.power_on()
            await committed(board)
            with board.slots[A].open("r+b") as slot:
                slot.write(bytes(1 << 20))
            await tell(board, "rollback", "--no-wait", says="comes back")
            await happens(board, "rollback", "done")
            assert last_cause(board)["code"] == "boot-failed"
            assert board.boots[-1] is B


class TestWords:
    @staticmethod
    def stop(depot, channel):
        rollout.stop(depot.workspace, channel, now=now() + timedelta(seconds=2))
        depot.publish()

    async def test_what_does_not_exist(self, depot, channel, tmp_path):
        async with depot.served() as repository, device(depot, repository, tmp_path, channel) as board:
            self.stop(depot, channel)
            await board.power_on()
            await rest(board)
            await tell(board, "install", "9.9.9", exit_=Exit.FAILED, says="roll-out of 9.9.9")
            await tell(board, "commit", exit_=Exit.NOTHING, says="no release is being validated")
            await tell(board, "retry", exit_=Exit.NOTHING, says="no failure")
            await tell(board, "config", says="[repository]")
            await tell(board, "slots", says="fallback")
            await tell(board, "slots", says="1.0.0")  # the image's own word: no otad installed it
            await tell(board, "health")
            await board.cut()
            await tell(board, "pause", exit_=Exit.UNREACHABLE, says="systemctl")
