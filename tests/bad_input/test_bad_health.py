# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""A release whose health checks say no, say nothing, or do not stop talking."""

import json

import pytest

from otad.formats.event import EVIDENCE_TOTAL
from tests.support.board import PATIENCE, REAL_PARTS, A, B, harmless, keep
from tests.support.failures import Place, fault

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python
BACK = "Reboots into the old slot at once, keeps the failed boot's log, and refuses the release for this campaign"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        pytest.param(
            ["sh", "-c", "echo no camera; exit 3"],
            "exited 3: no camera",
            id="fails",
            marks=fault(Place.HEALTH, "A check fails, after its retries", BACK),
        ),
        pytest.param(
            ["sleep", "1000"],
            "did not end",
            id="hangs",
            marks=fault(Place.HEALTH, "A check hangs", f"Kills it after its time-out. {BACK}"),
        ),
        pytest.param(
            ["yes", "all is well"],
            "did not end",
            id="floods",
            marks=fault(Place.HEALTH, "A check floods its output", f"Keeps the last 4 KiB of it. {BACK}"),
        ),
    ],
)
async def test_a_check(bench, mirror, command, says):
    async with mirror.served() as repository, bench.board(repository) as board:
        kept = keep(board)
        board.configure(
            "health",
            "[[health.checks]]\ntype = 'command'\nname = 'camera'\nretries = 0\ntimeout = 0.5\n"
            f"options = {{ command = {json.dumps(command)} }}\n",
        )
        await board.power_on()
        assert await board.settled(PATIENCE) is A
        assert board.boots == [A, B, A]
        event = await harmless(board, kept, "check-failed", "camera", says)
        assert event["evidence"]["archive"].endswith(".tar.gz")
        assert len(json.dumps(event)) < 2 * EVIDENCE_TOTAL
