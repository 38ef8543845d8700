# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Metadata that is too old, too long or not whole. What an attacker may do with it is tested in tests/trust."""

from datetime import timedelta

import pytest

from otad.publisher import publish
from simulator.depot import now
from tests.support.board import PATIENCE, REAL_PARTS, chain, refused, steered
from tests.support.failures import Place, fault

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # with one Python
TIMESTAMP = "metadata/timestamp.json"
NEVER = '[window]\nstart = "{0:%H:%M}"\nend = "{1:%H:%M}"\n'


@fault(
    Place.REPOSITORY,
    "Metadata: expired",
    "Believes nothing of it and tries again: nobody signs there any more, or somebody holds the device back",
)
async def test_expired(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        publish.refresh(bench.depot.workspace, mirror.out, now=now() - timedelta(days=60))
        steered(board, synchronised=True)
        await refused(board, "expired", "timestamp.json", "the system clock, synchronised")
        assert chain(board) == [("idle", "due"), ("check", "failed")]


@fault(Place.REPOSITORY, "Metadata: older than what this device has seen", "Believes nothing of it and tries again")
async def test_rolled_back(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        later = now().astimezone() + timedelta(hours=2)
        board.configure("window", NEVER.format(later, later + timedelta(hours=1)))
        publish.refresh(bench.depot.workspace, mirror.out, now=now())
        await board.power_on()
        await board.settled(PATIENCE)
        assert chain(board)[-1] == ("install", "held")
        await board.cut()
        board.pass_hours()
        mirror.heal()  # as it was published before
        await refused(board, "stale-mirror", "timestamp.json")


@fault(Place.REPOSITORY, "Metadata: truncated", "Believes nothing of it and tries again")
async def test_truncated(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        mirror.harm(TIMESTAMP, lambda data: data[:100])
        await refused(board, "not-metadata", "timestamp.json")


@fault(Place.REPOSITORY, "Metadata: oversized", "Stops reading at the limit, believes nothing of it and tries again")
async def test_oversized(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        mirror.harm(TIMESTAMP, lambda data: data + b" " * (1 << 20))
        await refused(board, "endless-data", "timestamp.json")
