# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The boot environment can be read, and cannot be written."""

import shutil
from itertools import repeat

import pytest

from tests.support.board import (
    PATIENCE,
    REAL_PARTS,
    A,
    B,
    chain,
    goes_on,
    harmless,
    journal,
    keep,
    refused,
    rest,
    runs,
    shown,
    stays,
)
from tests.support.failures import Place, fault

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python

# What a change looks like to fw_setenv -s -, as a shell pattern
RETIRE = "otad_fallback="
ARM = "*upgrade_available=1*"
CONFIRM = "*upgrade_available=0?bootcount=0?otad_boots=0?otad_rollback=*"
ROLLBACK = "*otad_fallback=?otad_rollback=*"
ANY = "*"

FAILS = 'echo "Cannot write environment, error 1" >&2; exit 1'
LIES = "exit 0"


def breaks(board, change, how, slot=""):
    """fw_setenv does not make `change` in `slot` (empty: in neither)."""
    stub = board.folder / "bin" / "fw_setenv"
    stub.parent.mkdir(exist_ok=True)
    stub.write_text(
        "#!/bin/sh\n"
        "wanted=$(cat)\n"
        f'if grep -q "otad.slot={slot}" "$OTAD_BOARD/cmdline"; then case "$wanted" in {change}) {how} ;; esac; fi\n'
        f'printf "%s\\n" "$wanted" | exec {shutil.which("fw_setenv")} "$@"\n'
    )
    stub.chmod(0o755)


def repaired(board):
    (board.folder / "bin" / "fw_setenv").unlink()


RETIRED, ARMED = [("install", "failed")], [("reboot", "failed"), ("rollback", "done")]


@pytest.mark.parametrize(
    ("change", "end", "how", "code"),
    [
        pytest.param(
            RETIRE,
            RETIRED,
            FAILS,
            "bootenv-write",
            id="retire fails",
            marks=fault(Place.BOOT, "`fw_setenv` fails: before the slot is written", "Writes nothing, and tries again later"),
        ),
        pytest.param(RETIRE, RETIRED, LIES, "bootenv-mismatch", id="retire lies"),
        pytest.param(
            ARM,
            ARMED,
            FAILS,
            "bootenv-write",
            id="arm fails",
            marks=fault(
                Place.BOOT, "`fw_setenv` fails: at arming", "Does not reboot; the installed slot is kept, and tried again later"
            ),
        ),
        pytest.param(
            ARM,
            ARMED,
            LIES,
            "bootenv-mismatch",
            id="arm lies",
            marks=fault(
                Place.BOOT, "`fw_setenv` says yes and writes nothing", "Reads back, so it does not reboot; tried again later"
            ),
        ),
    ],
)
async def test_before_the_trial(bench, mirror, change, end, how, code):
    async with mirror.served() as repository, bench.board(repository) as board:
        breaks(board, change, how)
        await refused(board, code, "fw_setenv")
        assert chain(board)[-len(end) :] == end
        assert board.boots == [A]
        repaired(board)
        await goes_on(board)


@pytest.mark.parametrize(
    ("change", "trials", "how", "code"),
    [
        pytest.param(
            CONFIRM,
            1,
            FAILS,
            "bootenv-write",
            id="confirm fails",
            marks=fault(
                Place.BOOT,
                "`fw_setenv` fails: at the commit",
                "No success is told: the new release is undone, and not tried again",
            ),
        ),
        pytest.param(CONFIRM, 1, LIES, "bootenv-mismatch", id="confirm lies"),
        pytest.param(
            ANY,
            3,
            FAILS,
            "bootenv-write",
            id="anything fails",
            marks=fault(
                Place.BOOT,
                "`fw_setenv` fails: in the new slot, always",
                "Neither confirmed nor undone by a write: its three boots run out, and U-Boot takes the old slot",
            ),
        ),
        pytest.param(ANY, 3, LIES, "bootenv-mismatch", id="anything lies"),
    ],
)
async def test_in_the_trial(bench, mirror, change, trials, how, code):
    """What cannot be confirmed is no success. Nor can it be undone by a write, if none works: then its boots run out."""
    async with mirror.served() as repository, bench.board(repository) as board:
        kept = keep(board)
        breaks(board, change, how, slot="B")
        await board.power_on()
        assert await board.settled(PATIENCE) is A
        assert board.boots == [A, *repeat(B, trials), A]
        await harmless(board, kept, code, "fw_setenv")
        assert ("commit", "failed") in chain(board)
        assert ("commit", "done") not in chain(board)
        await stays(board)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        pytest.param(
            FAILS,
            "bootenv-write",
            id="fails",
            marks=fault(
                Place.BOOT,
                "`fw_setenv` fails: while a bad release is undone",
                "Its boots run out, and the old slot runs. That all is settled is noted in the first boot in which it can be",
            ),
        ),
        pytest.param(LIES, "bootenv-mismatch", id="lies"),
    ],
)
async def test_while_rolling_back(bench, mirror, how, code):
    """The old system runs again, and cannot note that all is settled: it is noted in the next boot in which it can be."""
    async with mirror.served() as repository, bench.board(repository) as board:
        kept = keep(board)
        board.configure(
            "health", '[[health.checks]]\ntype = "command"\nname = "model"\nretries = 0\noptions = { command = ["false"] }\n'
        )
        breaks(board, ROLLBACK, how)
        await board.power_on()
        assert await board.settled(PATIENCE) is A
        assert board.boots == [A, B, B, B, A]
        assert runs(board) == "1.0.0"
        event = next(event for event in reversed(journal(board)[1]) if event["state"] == "rollback")
        assert (event["outcome"], event["cause"]["code"]) == ("failed", code)
        await shown(board, event["cause"])
        repaired(board)
        await board.cut()
        assert await board.power_on() is A
        await rest(board)
        await harmless(board, kept, "boot-failed")


@fault(Place.BOOT, "`fw_setenv` fails: at every start", "Begins no update in this boot; tries in the next")
async def test_nothing_can_be_written(bench, mirror):
    """Not even that this boot is good: updates are refused, for the reason that fw_setenv gave."""
    async with mirror.served() as repository, bench.board(repository) as board:
        breaks(board, ANY, FAILS)
        kept = keep(board)
        await board.power_on()
        assert await board.settled(PATIENCE) is A
        assert chain(board) == [("idle", "due"), ("check", "nothing")]
        cause = journal(board)[1][-1]["cause"]
        assert cause["code"] == "bootenv-write"
        await shown(board, cause)
        assert keep(board) == kept
        assert mirror.asked == []
        repaired(board)
        await goes_on(board)
