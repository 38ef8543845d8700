from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from otad.errors import RetryLater
from otad.formats.event import Event
from otad.journal import Journal
from otad.report import Batch
from otad.report.outbox import Outbox, only, owed
from otad.report.reporter import REFUSALS, Reporter
from otad.report.sink_http import HttpSink

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=timezone.utc)


class Fleet:
    """A server that keeps what it gets, and answers as it is told to: a status, or "lost" for taking it and hanging up."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.answers: list[int | str] = []
        self.headers: dict[str, str] = {}
        self.poison = ""
        self.url = ""
        self.taken: asyncio.Queue[None] = asyncio.Queue()

    @property
    def ids(self) -> list[str]:
        return [event["id"] for body in self.bodies for event in body["events"]]

    async def take(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        answer = self.answers.pop(0) if self.answers else 204
        if self.poison and any(event["id"] == self.poison for event in body["events"]):
            return web.Response(status=422, text="what is this")
        if answer == "lost":
            self.bodies.append(body)
            assert request.transport
            request.transport.close()
        elif isinstance(answer, int) and answer < 300:
            self.bodies.append(body)
            self.taken.put_nowait(None)
        return web.Response(status=answer if isinstance(answer, int) else 500, headers=self.headers)


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    server = Fleet()
    app = web.Application()
    app.router.add_post("/events", server.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"
    yield server
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "journal.db", keep=100)
    yield opened
    opened.close()


@pytest.fixture
def reporter(journal: Journal, fleet: Fleet, session: aiohttp.ClientSession) -> Reporter:
    return make(journal, fleet.url, session)


def make(journal: Journal, url: str, session: aiohttp.ClientSession) -> Reporter:
    sink = HttpSink(session, url, "dev-1", timeout=5)
    return Reporter(Outbox(journal, "http"), sink, backoff=0.001, backoff_max=0.01, jitter=lambda: 0.5)


def happen(journal: Journal, *numbers: int) -> None:
    for n in numbers:
        journal.events.append(Event(f"E{n:03}", "dev-1", "boot-1", NOW, "idle", "due"))


def names(*numbers: int) -> list[str]:
    return [f"E{n:03}" for n in numbers]


async def test_events_arrive_in_order_and_once(journal: Journal, reporter: Reporter, fleet: Fleet) -> None:
    happen(journal, 1, 2, 3)
    assert owed(journal.connection) == 3
    assert await reporter.flush(5)
    assert await reporter.flush(5)
    assert fleet.ids == names(1, 2, 3)
    assert fleet.bodies[0] | {"events": []} == {"schema": 1, "device": "dev-1", "lost": 0, "events": []}
    assert owed(journal.connection) == 0


async def test_a_lost_answer_brings_the_same_events_again(journal: Journal, reporter: Reporter, fleet: Fleet) -> None:
    fleet.answers = ["lost"]
    happen(journal, 1, 2)
    assert not await reporter.flush(5)
    assert reporter.trouble
    happen(journal, 3)
    assert await reporter.flush(5)
    assert fleet.ids == names(1, 2, 1, 2, 3)
    assert reporter.trouble is None


async def test_a_restart_after_a_lost_answer_loses_nothing(
    journal: Journal, reporter: Reporter, fleet: Fleet, session: aiohttp.ClientSession
) -> None:
    happen(journal, 1, 2)
    assert await reporter.flush(5)
    happen(journal, 3)
    fleet.answers = ["lost"]
    assert not await reporter.flush(5)
    journal.close()
    again = Journal.open(journal.connection.path, keep=100)
    assert await make(again, fleet.url, session).flush(5)
    assert fleet.ids == names(1, 2, 3, 3)
    again.close()


async def test_a_wake_tells_at_once_and_a_failure_is_tried_again(journal: Journal, reporter: Reporter, fleet: Fleet) -> None:
    task = asyncio.create_task(reporter.run())
    fleet.answers = [503, 500, 401, 403, 404]
    happen(journal, 1)
    reporter.wake()
    await fleet.taken.get()
    happen(journal, 2)
    reporter.wake()
    await fleet.taken.get()
    task.cancel()
    assert fleet.ids == names(1, 2)
    assert fleet.answers == []


async def test_a_server_that_is_down_gets_everything_when_it_is_up(
    journal: Journal, fleet: Fleet, session: aiohttp.ClientSession, unused_tcp_port: int
) -> None:
    happen(journal, 1, 2)
    down = make(journal, f"http://127.0.0.1:{unused_tcp_port}/events", session)
    assert not await down.flush(5)
    assert down.trouble
    assert down.trouble.code == "connection-refused"
    assert "report.url" in down.trouble.remedy
    assert await make(journal, fleet.url, session).flush(5)
    assert fleet.ids == names(1, 2)


async def test_nobody_asks_before_the_time_that_the_server_named(journal: Journal, reporter: Reporter, fleet: Fleet) -> None:
    fleet.answers, fleet.headers = [503], {"Retry-After": "1000"}
    happen(journal, 1)
    assert not await reporter.flush(5)
    task = asyncio.create_task(reporter.run())
    reporter.wake()
    assert not await reporter.flush(5)
    assert fleet.bodies == []
    assert not task.done()
    task.cancel()


async def test_one_poisonous_event_is_skipped_and_the_rest_arrives_in_order(
    journal: Journal, reporter: Reporter, fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.poison = "E005"
    happen(journal, *range(1, 10))
    assert [await reporter.flush(5) for _ in range(REFUSALS)] == [False] * (REFUSALS - 1) + [True]
    assert fleet.ids == names(1, 2, 3, 4, 6, 7, 8, 9)
    assert [r for r in caplog.records if r.levelname == "ERROR" and "E005" in r.getMessage()]


async def test_a_redirect_is_not_followed(journal: Journal, reporter: Reporter, fleet: Fleet) -> None:
    fleet.answers, fleet.headers = [302], {"Location": fleet.url}
    happen(journal, 1)
    assert not await reporter.flush(5)
    assert fleet.bodies == []


async def test_dropped_events_are_counted_once(journal: Journal, reporter: Reporter, fleet: Fleet) -> None:
    happen(journal, *range(1, 11))
    assert await reporter.flush(5)
    happen(journal, *range(11, 151))  # 100 are kept: 11 to 50 are gone
    fleet.answers = ["lost"]
    assert not await reporter.flush(5)
    assert await reporter.flush(5)
    assert [body["lost"] for body in fleet.bodies] == [0, 40, 40]
    assert fleet.ids[-100:] == names(*range(51, 151))


async def test_a_rotten_event_counts_as_lost(journal: Journal, reporter: Reporter, fleet: Fleet) -> None:
    happen(journal, 1, 2, 3)
    journal.connection.rows("UPDATE events SET json = 'rot' WHERE seq IN (1, 2)")
    assert await reporter.flush(5)
    assert (fleet.ids, fleet.bodies[0]["lost"]) == (names(3), 2)


async def test_a_new_sink_is_owed_what_is_kept_and_has_lost_nothing(journal: Journal) -> None:
    happen(journal, *range(1, 151))
    batch = Outbox(journal, "new").next(events=10)
    assert batch
    assert (batch.lost, batch.last, len(batch.events)) == (0, 60, 10)


async def test_a_sink_that_is_no_longer_configured_is_owed_nothing(journal: Journal, reporter: Reporter, fleet: Fleet) -> None:
    happen(journal, 1, 2, 3)
    Outbox(journal, "old")  # nobody tells it any more
    only(journal, ["http"])
    assert await reporter.flush(5)
    assert owed(journal.connection) == 0
    happen(journal, 4)
    assert owed(journal.connection) == 1
    only(journal, [])
    assert owed(journal.connection) == 0


async def test_batches_are_bounded_in_bytes_but_never_empty(journal: Journal) -> None:
    happen(journal, 1, 2, 3)
    outbox = Outbox(journal, "small")
    one = outbox.next(size=1)
    assert one
    assert len(one.events) == 1
    two = outbox.next(size=2 * len(one.events[0]))
    assert two
    assert len(two.events) == 2


async def test_a_sink_that_hangs_does_not_hold_up_a_reboot(journal: Journal) -> None:
    class Hanging:
        name = "hanging"

        async def send(self, _batch: Batch) -> None:
            await asyncio.Event().wait()

    happen(journal, 1)
    reporter = Reporter(Outbox(journal, "hanging"), Hanging())
    task = asyncio.create_task(reporter.run())
    await asyncio.sleep(0)
    assert not await reporter.flush(0.01)
    assert owed(journal.connection) == 1
    task.cancel()


async def test_a_journal_that_fails_is_trouble_and_not_the_end(journal: Journal) -> None:
    class Good:
        name = "good"

        async def send(self, batch: Batch) -> None:
            pass

    happen(journal, 1)
    reporter = Reporter(Outbox(journal, "good"), Good())
    journal.connection.rows("ALTER TABLE outbox RENAME TO gone")
    assert not await reporter.flush(5)
    assert reporter.trouble
    assert reporter.trouble.code.startswith("journal-")


async def test_trouble_is_logged_once(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    class Down:
        name = "down"

        async def send(self, _batch: Batch) -> None:
            raise RetryLater("down", "it is down")

    happen(journal, 1)
    reporter = Reporter(Outbox(journal, "down"), Down())
    for _ in range(3):
        assert not await reporter.flush(5)
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == 1
