# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The settings are wrong: no otad, or one that waits, and never a fallback."""

from datetime import timedelta

import pytest

from simulator.depot import now
from tests.support.board import PATIENCE, REAL_PARTS, A, B, calm, chain, goes_on, harmless, keep, otactl, rest
from tests.support.failures import Place, fault
from tests.support.no_otad import cannot_live

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python


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


@fault(
    Place.SETTINGS,
    "A window that is closed now",
    "Downloads, and holds the rest until it opens; `otactl install VERSION` does not wait",
)
async def test_a_closed_window(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        kept, opens = keep(board), now().astimezone() + timedelta(hours=2)
        board.configure("window", f'[window]\nstart = "{opens:%H:%M}"\nend = "{opens + timedelta(hours=1):%H:%M}"\n')
        await board.power_on()
        assert await board.settled(PATIENCE) is A
        assert chain(board)[-1] == ("install", "held")
        await harmless(board, kept, "window", f"{opens:%H:%M}")


@fault(Place.SETTINGS, "A window whose start and end are the same", "Always open; `otactl pause` is what keeps updates away")
async def test_a_window_without_an_end(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        kept, minute = keep(board), f"{now().astimezone() + timedelta(hours=2):%H:%M}"
        board.configure("window", f'[window]\nstart = "{minute}"\nend = "{minute}"\n')
        await board.power_on()
        assert await board.settled(PATIENCE) is B
        await calm(board, kept)


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
