from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from otad import config
from otad.control import Exit, Reply, Verb, listener, openapi, server
from otad.control.listener import NAME
from otad.control.server import Server
from otad.errors import OtadError
from tests.control.fake_desk import FakeDesk, event


async def _json(response: aiohttp.ClientResponse) -> Any:
    assert response.content_type == "application/json"
    return await response.json()


async def test_reading(http: aiohttp.ClientSession, desk: FakeDesk) -> None:
    desk.tell(event(1, "check", "nothing"))
    for name, expected in {
        "status": desk.status(),
        "slots": desk.slots(),
        "health": desk.health(),
        "config": desk.config(),
        "history": [],
        "openapi.json": openapi.document(),
    }.items():
        async with http.get(f"/v1/{name}") as response:
            assert (response.status, await _json(response)) == (200, expected)


@pytest.mark.parametrize("verb", list(Verb))
async def test_an_order_reaches_the_desk_with_who_gave_it(http: aiohttp.ClientSession, desk: FakeDesk, verb: Verb) -> None:
    async with http.post(f"/v1/{verb.value}", json={"version": "1.1.0"}) as response:
        assert response.status == 200
        assert await _json(response) == {"exit": 0, "words": "release 1.1.0 is on its way", "remedy": "", "data": {}}
    (order,) = desk.orders
    assert (order[0], order[2]) == (verb, "1.1.0")
    assert order[1] == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize(("exit_", "status"), [(Exit.DONE, 200), (Exit.NOTHING, 200), (Exit.FAILED, 409), (Exit.USAGE, 400)])
async def test_how_it_ended_is_in_the_http_status_too(
    http: aiohttp.ClientSession, desk: FakeDesk, exit_: Exit, status: int
) -> None:
    desk.reply = Reply(exit_, "words", "remedy")
    async with http.post("/v1/pause") as response:
        assert (response.status, (await _json(response))["exit"]) == (status, int(exit_))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "word"),
    [
        ("POST", "/v1/install", b"{", 400, "bad-request", "not JSON"),
        ("POST", "/v1/install", b"[" * 10_000, 400, "bad-request", "not JSON"),
        ("POST", "/v1/install", b"\xff", 400, "bad-request", "not JSON"),
        ("POST", "/v1/install", b'["1.1.0"]', 400, "bad-request", "version"),
        ("POST", "/v1/install", b'{"version": 1}', 400, "bad-request", "version"),
        ("POST", "/v1/install", b'{"versoin": "1.1.0"}', 400, "bad-request", "version"),
        ("POST", "/v1/install", b" " * 20_000, 413, "too-large", "16384"),
        ("POST", "/v1/reboot", b"", 404, "unknown-verb", "/v1/reboot"),
        ("GET", "/v1/install", None, 405, "bad-method", "POST"),
        ("DELETE", "/v1/status", None, 405, "bad-method", "GET"),
        ("GET", "/v1/history?limit=-1", None, 400, "bad-request", "limit"),
        ("GET", "/v1/events?after=now", None, 400, "bad-request", "after"),
        ("GET", "/v1/events?after=99999999999999999999", None, 400, "bad-request", "after"),
    ],
)
async def test_what_cannot_be_answered_is_refused_in_words(
    http: aiohttp.ClientSession,
    desk: FakeDesk,
    method: str,
    path: str,
    body: bytes | None,
    status: int,
    code: str,
    word: str,
) -> None:
    async with http.request(method, path, data=body) as response:
        cause = await _json(response)
    assert (response.status, cause["code"]) == (status, code)
    assert word in cause["what"]
    assert cause["remedy"]
    assert not desk.orders


async def test_a_failure_of_the_desk_is_its_cause(http: aiohttp.ClientSession, desk: FakeDesk) -> None:
    desk.fault = OtadError("journal-full", "the journal cannot be written", "Free space")
    async with http.get("/v1/status") as response:
        assert response.status == 409
        assert (await _json(response))["remedy"] == "Free space"


async def test_events_come_stored_then_live_with_progress_between(http: aiohttp.ClientSession, desk: FakeDesk) -> None:
    desk.tell(event(1, "idle", "due"), event(2, "check", "admitted"))
    async with http.get("/v1/events?after=1") as response:
        assert response.content_type == "text/event-stream"
        assert await _frame(response) == ["id: 2", f"data: {_compact(event(2, 'check', 'admitted'))}"]
        progress = {"step": "download", "done": 1, "total": 2, "rate": None, "eta": None}
        desk.tell(progress)
        assert await _frame(response) == ["event: progress", f"data: {_compact(progress)}"]
        desk.tell(event(3, "download", "done"))
        assert (await _frame(response))[0] == "id: 3"


async def test_an_event_source_goes_on_where_it_was(http: aiohttp.ClientSession, desk: FakeDesk) -> None:
    desk.tell(*(event(n, "idle", "due") for n in (1, 2, 3)))
    async with http.get("/v1/events", headers={"Last-Event-ID": "2"}) as response:
        assert (await _frame(response))[0] == "id: 3"


async def test_silence_is_broken_so_that_a_client_that_left_is_noticed(
    http: aiohttp.ClientSession, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "KEEPALIVE", 0.01)
    async with http.get("/v1/events") as response:
        assert (await _frame(response))[0].startswith(":")
    await desk.closed.wait()  # the stream is given back to the desk


async def test_one_stream_too_many_is_refused_in_words_until_one_ends(
    http: aiohttp.ClientSession, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STREAMS", 2)
    monkeypatch.setattr(server, "KEEPALIVE", 0.01)
    async with http.get("/v1/events"):
        async with http.get("/v1/events"):
            async with http.get("/v1/events") as third:
                cause = await _json(third)
            assert (third.status, cause["code"]) == (503, "too-many-streams")
            assert cause["remedy"]
        await desk.closed.wait()
        while True:  # until the server has noticed
            async with http.get("/v1/events") as again:
                if again.status == 200:
                    return


async def test_a_reader_that_never_reads_is_cut_off(
    server: Server, desk: FakeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[Server.__module__], "READS", 0.01)
    desk.tell(event(1, "check", "nothing", words="x" * 2**22))  # more than any socket buffer holds
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(0)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, str(tmp_path / "run" / NAME))
        await loop.sock_sendall(client, b"GET /v1/events HTTP/1.1\r\nHost: otad\r\n\r\n")
        await desk.closed.wait()
        while await loop.sock_recv(client, 2**16):
            pass  # what was on its way, and then the end
    await server.stop()
    assert server.clients == 0


async def test_clients_are_counted_while_they_are_served(http: aiohttp.ClientSession, desk: FakeDesk, server: Server) -> None:
    assert server.clients == 0
    desk.tell(event(1, "idle", "due"))
    async with http.get("/v1/events") as response:
        await _frame(response)
        assert server.clients == 1
        async with http.get("/v1/status"):
            pass
    await server.stop()
    assert server.clients == 0
    assert desk.closed.is_set()


async def test_stopping_ends_the_streams(http: aiohttp.ClientSession, desk: FakeDesk, server: Server, tmp_path: Path) -> None:
    desk.tell(event(1, "idle", "due"))
    async with http.get("/v1/events") as response:
        await _frame(response)
        desk.tell(event(2, "reboot", "boot"))  # the last that a daemon says before it ends
        await server.stop()
        assert (await _frame(response))[0] == "id: 2"
        assert await response.content.read() == b""
    assert not (tmp_path / "run" / NAME).exists()


async def test_the_socket_is_for_its_group_alone(server: Server, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "run" / NAME).stat().st_mode) == 0o660


async def test_a_dead_socket_is_replaced(desk: FakeDesk, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / NAME))
    served = Server(desk, config.Daemon(), tmp_path / NAME)
    await served.start()
    assert await _status(tmp_path / NAME) == 200
    await served.stop()


async def test_a_socket_that_systemd_gave_is_used_and_stays(desk: FakeDesk, tmp_path: Path) -> None:
    path = tmp_path / NAME
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(str(path))
        given.listen()
        served = Server(desk, config.Daemon(), os.dup(given.fileno()))
        await served.start()
        assert await _status(path) == 200
        await served.stop()
        assert path.exists()


def test_only_a_socket_meant_for_this_process_is_taken() -> None:
    assert listener.given({"LISTEN_PID": "77", "LISTEN_FDS": "1"}, 77) == 3
    assert listener.given({"LISTEN_PID": "76", "LISTEN_FDS": "1"}, 77) is None
    assert listener.given({"LISTEN_PID": "77", "LISTEN_FDS": "0"}, 77) is None
    assert listener.given({}, 77) is None


_AS_NOBODY = """
import http.client, json, os, socket
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for method, path in [("GET", "/v1/status"), ("POST", "/v1/rollback")]:
    connection = http.client.HTTPConnection("otad")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect("/proc/self/fd/0")
    connection.request(method, path)
    answer = connection.getresponse()
    print(json.dumps([answer.status, json.loads(answer.read())["code"]]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_stranger_is_turned_away_even_from_an_open_socket(server: Server, desk: FakeDesk, tmp_path: Path) -> None:
    path = tmp_path / "run" / NAME
    path.chmod(0o666)
    handle = os.open(path, os.O_PATH)  # the folders above are closed to nobody: it gets the socket itself
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _AS_NOBODY, stdin=handle, stdout=asyncio.subprocess.PIPE)
    os.close(handle)
    said, _ = await process.communicate()
    assert [json.loads(line) for line in said.splitlines()] == [[403, "not-permitted"]] * 2
    assert not desk.orders


async def _status(path: Path) -> int:
    connector = aiohttp.UnixConnector(str(path))
    async with aiohttp.ClientSession("http://otad", connector=connector) as http, http.get("/v1/health") as response:
        return response.status


async def _frame(response: aiohttp.ClientResponse) -> list[str]:
    lines: list[str] = []
    while (line := (await response.content.readline()).decode().rstrip("\n")) or not lines:
        lines.append(line)
    return lines


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def test_every_route_is_described() -> None:
    described = {(path, method) for path, methods in openapi.document()["paths"].items() for method in methods}
    served = {
        (route.resource.canonical, route.method.lower())
        for route in Server(FakeDesk(), config.Daemon(), 0)._app().router.routes()
        if route.resource and route.method != "HEAD"
    }
    assert described == served
