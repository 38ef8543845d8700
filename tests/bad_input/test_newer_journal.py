# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The journal of a newer otad: a trial of it came to nothing, and the older one goes on with what it left."""

import json
import sqlite3
import zlib
from contextlib import closing

import pytest

from tests.support.board import PATIENCE, REAL_PARTS, A, B, chain, check_again, harmless, journal, keep, runs, until
from tests.support.failures import Place, fault

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update; with one Python


def state(board):
    record, _ = journal(board)
    return record.state.value if record else None


def newer(path):
    """As an otad would leave it that has a state, a table and a column more."""
    with closing(sqlite3.connect(path)) as db, db:
        plain = json.loads(db.execute("SELECT json FROM record").fetchone()[0])
        assert plain["state"] == "validate"
        text = json.dumps(plain | {"state": "burn-in", "more": 1})
        db.execute("UPDATE record SET json = ?, crc = ?", (text, zlib.crc32(text.encode())))
        db.execute("CREATE TABLE burns (id INTEGER)")
        db.execute("ALTER TABLE attempts ADD COLUMN burnt INTEGER DEFAULT 0")
        db.execute("PRAGMA user_version = 99")


@fault(
    Place.DATA,
    "Journal: left by a newer otad, whose trial failed",
    "Reads what it understands, keeps the old slot, and does not install that release again",
)
async def test_what_a_newer_otad_left(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        kept = keep(board)
        board.configure(
            "health", '[[health.checks]]\ntype = "command"\nname = "burn"\noptions = { command = ["sleep", "1000"] }\n'
        )
        await board.power_on()
        await until(lambda: state(board) == "validate", "the trial is examined")
        await board.cut()
        assert board.boots == [A, B]
        newer(board.folder / "data" / "otad" / "journal.db")
        board.env.set({"bootcount": "3"})  # the newer one died in all three of its boots
        assert await board.power_on() is A
        assert await board.settled(PATIENCE) is A
        await harmless(board, kept, "record-unknown", "burn-in")
        await check_again(board)
        assert chain(board)[-1] == ("check", "nothing")
        assert journal(board)[1][-1]["cause"]["code"] == "refused"
        assert runs(board) == "1.0.0"
