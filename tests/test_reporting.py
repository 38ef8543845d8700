# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Reports of whole updates on the fast board, to a real HTTP sink: in order, at least once, success only at COMMIT."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from otad.bootenv import Slot
from otad.control import Exit
from simulator.depot import Depot
from simulator.fastboard import FastBoard
from simulator.system import System
from tests.support.board import GOOD_UPDATE, REAL_PARTS, chain, otactl, rest

pytestmark = [*REAL_PARTS, pytest.mark.slow]


@asynccontextmanager
async def sink(got, board, statuses=(), patience=0.0):
    """Takes events into `got`, with the slot in which they came; answers after `patience` s: `statuses` first, then 204."""
    answers = list(statuses)

    async def post(request):
        told = await request.json()
        await asyncio.sleep(patience)
        status = answers.pop(0) if answers else 204
        if status == 204:
            got.extend((event, board.slot) for event in told["events"])
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/events", post)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    board.configure("report", f'[report]\nurl = "http://127.0.0.1:{runner.addresses[0][1]}/events"\n')
    try:
        yield
    finally:
        await runner.cleanup()


async def updated(tmp_path, system, statuses=()):
    """One update with a sink; what it got."""
    depot = Depot.create(tmp_path / "depot")
    got: list[tuple[dict[str, Any], Slot]] = []
    depot.offer(system)
    async with (
        depot.served() as repository,
        FastBoard.create(tmp_path / "b", depot.image(System("1.0.0")), repository) as board,
        sink(got, board, statuses),
    ):
        await board.power_on()
        await board.settled(timeout=120)
    return got


def told(got):
    return [(event["state"], event["outcome"]) for event, _ in got]


async def test_a_good_update_is_told_in_order_and_the_reboot_before_it(tmp_path):
    got = await updated(tmp_path, System("1.1.0"))
    assert told(got) == GOOD_UPDATE
    assert [slot for _, slot in got] == [Slot.A] * 5 + [Slot.B] * 2
    assert len({event["id"] for event, _ in got}) == len(got)
    about = {(event["campaign"], event["version"], event["slot"]) for event, _ in got if event.get("attempt")}
    assert len(about) == 1


async def test_a_bad_update_tells_its_cause_and_never_success(tmp_path):
    got = await updated(tmp_path, System("1.1.0", healthy=False))
    assert ("commit", "done") not in told(got)
    last = got[-1][0]
    assert (last["state"], last["outcome"], last["cause"]["code"]) == ("rollback", "done", "check-failed")
    assert "nonsense" in last["cause"]["what"] + str(last["cause"]["evidence"])
    assert last["running"] == "1.0.0"


async def test_what_a_sink_did_not_take_comes_again_in_order(tmp_path):
    got = await updated(tmp_path, System("1.1.0"), statuses=[503, 500, 503])
    assert told(got)[0] == ("idle", "due")
    assert told(got)[-1] == ("commit", "done")
    ids = [event["id"] for event, _ in got]
    assert ids == sorted(ids)


async def test_who_comes_while_otad_takes_its_leave_is_served(tmp_path):
    depot = Depot.create(tmp_path / "depot")
    depot.offer(System("1.0.0"))
    async with (
        depot.served() as repository,
        FastBoard.create(tmp_path / "b", depot.image(System("1.0.0")), repository) as board,
        sink([], board, patience=3600),
    ):
        await board.power_on()
        await rest(board)
        await asyncio.sleep(1)  # nothing needs it any more: it only waits for the fleet to listen
        said = await otactl(board, "check")
        assert (said.exit, said.err) == (Exit.NOTHING, "")
        assert chain(board) == [("idle", "due"), ("check", "nothing")] * 2
