# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""What the server gives is not what was signed."""

import re

import pytest

from tests.support.board import REAL_PARTS, chain, goes_on, refused
from tests.support.failures import Place, fault

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1 :]


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def longer(data: bytes) -> bytes:
    return data + b"more"


def unsigned(data: bytes) -> bytes:
    """Every signature begins with another digit."""
    return re.sub(rb'("sig": ?")(.)', lambda found: found[1] + (b"1" if found[2] == b"0" else b"0"), data)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(
            flipped,
            "blob-corrupt",
            id="flipped",
            marks=fault(
                Place.REPOSITORY,
                "Payload: altered bytes",
                "Drops what came; tries again, later each time, 3 times in a campaign. The slot is not touched",
            ),
        ),
        pytest.param(
            half,
            "blob-incomplete",
            id="truncated",
            marks=fault(Place.REPOSITORY, "Payload: truncated", "Fetches nothing, and tries again. The slot is not touched"),
        ),
        pytest.param(
            longer,
            "blob-oversize",
            id="longer",
            marks=fault(
                Place.REPOSITORY,
                "Payload: oversized",
                "Stops at the signed length and drops it; tries again, 3 times in a campaign. The slot is not touched",
            ),
        ),
    ],
)
async def test_a_tampered_blob(bench, mirror, change, code):
    async with mirror.served() as repository, bench.board(repository) as board:
        names = mirror.harm("blobs/*", change)
        event = await refused(board, code)
        assert event["state"] == "download"
        assert any(name in event["cause"]["what"] for name in names)
        mirror.heal()
        await goes_on(board)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(
            "releases",
            marks=fault(Place.REPOSITORY, "Release document: altered", "Does not use it; tries again. Nothing is fetched"),
        ),
        pytest.param(
            "encodings",
            marks=fault(Place.REPOSITORY, "Encodings document: altered", "Does not use it; tries again. Nothing is fetched"),
        ),
        pytest.param(
            "rollouts",
            marks=fault(Place.REPOSITORY, "Roll-outs document: altered", "Does not use it; tries again. Nothing is fetched"),
        ),
    ],
)
async def test_a_tampered_document(bench, mirror, document):
    async with mirror.served() as repository, bench.board(repository) as board:
        names = mirror.harm(f"targets/{document}/**/*.json", flipped)
        event = await refused(board, "arbitrary-target")
        assert event["state"] == ("download" if document == "encodings" else "check")
        assert any(name in event["cause"]["what"] for name in names)
        mirror.heal()
        await goes_on(board)


@pytest.mark.parametrize(
    ("role", "code"),
    [
        pytest.param(
            "timestamp",
            "wrong-key",
            marks=fault(
                Place.REPOSITORY,
                "Metadata: not signed as it must be",
                "Asks once more past caches for a newer root; believes nothing of it and tries again",
            ),
        ),
        pytest.param(
            "*.snapshot",
            "mix-and-match",
            marks=fault(
                Place.REPOSITORY, "Metadata: files that do not belong together", "Believes nothing of it and tries again"
            ),
        ),
        ("*.releases", "mix-and-match"),
        ("*.rollouts", "mix-and-match"),
    ],
)
async def test_metadata_with_a_broken_signature(bench, mirror, role, code):
    """Only the timestamp is not named by anything above it: there the signature is what is wrong."""
    async with mirror.served() as repository, bench.board(repository) as board:
        names = mirror.harm(f"metadata/{role}.json", unsigned)
        event = await refused(board, code)
        assert any(name in event["cause"]["what"] for name in names)
        assert chain(board) == [("idle", "due"), ("check", "failed")]
        mirror.heal()
        await goes_on(board)
