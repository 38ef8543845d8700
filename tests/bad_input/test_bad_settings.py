# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The settings are wrong, or the journal cannot be used: no otad, or one that begins nothing, and never a fallback."""

import os

import pytest

from otad.control import ending
from otad.statemachine import State
from simulator.fastboard import BoardError
from tests.support import failures
from tests.support.board import PATIENCE, REAL_PARTS, A, chain, goes_on, inside, journal, keep, otactl, rest, shown
from tests.support.failures import Place, fault

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python


async def cannot_live(board, status, *words):
    """otad ends with `status`, saying `words`; the boot is proven all the same, and otactl tells why there is no otad."""
    kept = keep(board)
    await board.power_on()
    with pytest.raises(BoardError, match=f"with status {status}\n") as caught:
        await board.settled(PATIENCE)
    for word in words:
        assert word in str(caught.value)
    env = board.env.load()
    assert (env.boot_partition, env.upgrade_available, env.otad_boots, env.bootcount) == ("A", "0", "0", "0")
    said = await otactl(board, "status")
    cause = ending.read(board.folder / "run")
    assert cause
    failures.tell(board, said.out + said.err, cause)
    for word in words:
        assert word in cause.what + cause.remedy
    assert keep(board) == kept
    return said


def wrong(what, toml, *words):
    """A drop-in that keeps otad from starting."""
    return pytest.param(
        toml,
        words,
        id=what,
        marks=fault(
            Place.SETTINGS, what, "otad does not start (exit status 78) until it is corrected; the boot is marked as good"
        ),
    )


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        wrong("An unknown key", "[download]\nretires = 3\n", "download.retires", "unknown key", "bad.toml"),
        wrong("A value of a wrong type", '[check]\ninterval = "often"\n', "check.interval", "number", "bad.toml"),
        wrong("Plain http", '[repository]\nurl = "http://updates.example.com/"\n', "repository", "https"),
        wrong("A soak that is longer than the deadline", "[health]\nsoak = 99999999\n", "health", "deadline"),
        wrong(
            "A deadline that otad-deadline does not keep to",
            "[health]\ndeadline = 99999999\n",
            "health.deadline",
            "OTAD_DEADLINE",
        ),
        wrong("A window that never opens", '[window]\nstart = "24:00"\nend = "25:00"\n', "window.start", "bad.toml"),
        wrong("Not TOML", "[download\n", "bad.toml", "not valid TOML"),
    ],
)
async def test_wrong_settings(bench, mirror, toml, words):
    async with mirror.served() as repository, bench.board(repository, "none") as board:
        board.configure("bad", toml)
        said = await cannot_live(board, 78, *words)
        assert said.exit != 0  # it has never run: there is nothing else to tell
        assert mirror.asked == []
        (board.folder / "conf.d" / "bad.toml").unlink()
        await board.cut()
        await board.power_on()
        await rest(board)
        assert mirror.asked
        said = await otactl(board, "status")
        assert (said.exit, said.err) == (0, "")
        assert "cannot run" not in said.out


async def test_settings_that_go_wrong_later(bench, mirror):
    """There is a journal to tell from, and the trouble beside it."""
    async with mirror.served() as repository, bench.board(repository, "none") as board:
        await board.power_on()
        await rest(board)
        await board.cut()
        board.configure("bad", "[download]\nretires = 3\n")
        said = await cannot_live(board, 78, "download.retires")
        assert said.exit == 0
        assert "1.0.0 runs in slot A" in said.out


@fault(
    Place.SETTINGS,
    "A file of authorities that is not there",
    "otad does not start (exit status 78): it could not tell its server from another. The boot is marked as good",
)
async def test_no_authority_file(bench, mirror, tmp_path):
    """The device could not tell its server from another."""
    async with mirror.served() as repository, bench.board(repository) as board:
        board.configure("bad", f'[repository]\nca = "{tmp_path / "absent.pem"}"\n')
        await cannot_live(board, 78, "absent.pem", "127.0.0.1", "`ca`")
        assert mirror.asked == []
        (board.folder / "conf.d" / "bad.toml").unlink()
        await goes_on(board)


async def test_a_mistake_far_from_what_the_boot_needs(bench, mirror):
    """The main file itself is no TOML any more: where the slots and the environment are is still read from it."""
    async with mirror.served() as repository, bench.board(repository) as board:
        settings = board.folder / "otad.toml"
        good = settings.read_text()
        settings.write_text(good.replace("[download]", "[download"))
        await cannot_live(board, 78, "not valid TOML")
        settings.write_text(good)
        await board.cut()
        await board.power_on()
        assert await board.settled(PATIENCE) is not A


@pytest.mark.parametrize("damage", [b"", os.urandom(5000), b"SQLite format 3\0" + bytes(8000)], ids=["empty", "noise", "torn"])
async def test_a_damaged_journal(bench, mirror, damage):
    """Set aside and said; the boot environment decides."""
    async with mirror.served() as repository, bench.board(repository) as board:
        kept = keep(board)
        path = board.folder / "data" / "otad" / "journal.db"
        path.write_bytes(damage)
        await board.power_on()
        assert await board.settled(PATIENCE) is not A
        assert chain(board)[-1] == ("commit", "done")
        first = journal(board)[1][0]
        if damage:  # an empty file is a new journal
            assert first["cause"]["code"] == "journal-set-aside"
            assert path.with_name("journal.db.damaged-1").read_bytes() == damage
        assert keep(board) == kept


@fault(Place.DATA, "Journal: damaged", "Sets it aside and begins a new one; the boot environment decides what runs")
async def test_a_damaged_journal_is_said(bench, mirror):
    async with mirror.served() as repository, bench.board(repository, "none") as board:
        path = board.folder / "data" / "otad" / "journal.db"
        path.write_bytes(os.urandom(5000))
        await board.power_on()
        await rest(board)
        cause = journal(board)[1][0]["cause"]
        await shown(board, cause)


@fault(Place.DATA, "Journal: cannot be opened", "Changes nothing but that the boot is good, and ends; systemd starts it again")
async def test_a_journal_that_cannot_be_opened(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        path = board.folder / "data" / "otad" / "journal.db"
        path.mkdir()
        await cannot_live(board, 1, str(path))
        assert mirror.asked == []
        path.rmdir()
        await board.cut()
        await board.power_on()
        assert await board.settled(PATIENCE) is not A


@fault(
    Place.DATA,
    "Read-only, as after errors of the medium",
    "Changes nothing but that the boot is good, and ends; systemd starts it again",
)
async def test_a_data_partition_that_cannot_be_written(bench, mirror):
    """Mounted read-only, as after errors of the medium: nothing is changed but that this boot is good."""
    async with mirror.served() as repository, bench.board(repository, "none") as board:
        await board.power_on()
        await rest(board)
        await board.cut()
        before = journal(board)
        usual, data = board.otad, board.folder / "data"
        inside(board, f"mount --bind {data} {data}; mount -o remount,bind,ro {data}")
        board.pass_hours()
        asked = list(mirror.asked)
        await cannot_live(board, 1, "journal.db", "findmnt")
        assert mirror.asked == asked
        assert journal(board)[1] == before[1]
        board.otad = usual
        (board.folder / "conf.d" / "channel.toml").unlink()
        record, _ = journal(board)
        assert record is not None
        assert record.state is State.IDLE
        await goes_on(board)


@fault(
    Place.DATA,
    "Missing: not mounted",
    "Changes nothing but that the boot is good, writes nothing below the mount point, and ends; systemd starts it again",
)
async def test_no_data_partition(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        inside(board, f"mount -t tmpfs tmpfs {board.folder / 'data'}")
        await cannot_live(board, 1, "journal.db", "findmnt")
        assert mirror.asked == []
