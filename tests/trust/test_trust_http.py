"""What link and server do to one small file."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from otad import config
from otad.errors import OtadError, Rejected, RetryLater
from otad.fetch.session import open_session
from otad.trust import NotFound
from otad.trust.http import HttpFetch
from tests.support.certs import Authority
from tests.support.trust_device import Device
from tests.support.tuf_repository import TufRepository, TufServer

PATH = "metadata/timestamp.json"


@pytest.fixture
def http(server: TufServer, session: aiohttp.ClientSession) -> HttpFetch:
    return HttpFetch(session, server.url)


async def test_whole_files_to_the_last_byte(http: HttpFetch, repo: TufRepository) -> None:
    repo.files["a+b%201.json"] = b"x" * 100_000
    assert await http.get("a+b%201.json", 100_000) == b"x" * 100_000
    with pytest.raises(Rejected) as caught:
        await http.get("a+b%201.json", 99_999)
    assert caught.value.cause.code == "endless-data"


async def test_caches_are_told(http: HttpFetch, server: TufServer) -> None:
    await http.get(PATH, 9999)
    await http.get(PATH, 9999, fresh=True)
    assert server.asked == [(PATH, ""), (PATH, "no-cache")]


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_absent(http: HttpFetch, server: TufServer, status: int) -> None:
    server.bad[PATH] = lambda _: respond(status)
    with pytest.raises(NotFound, match=f"{server.url}{PATH} .HTTP {status}"):
        await http.get(PATH, 9999)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_busy_servers_are_given_the_time_they_ask_for(http: HttpFetch, server: TufServer, status: int) -> None:
    server.bad[PATH] = lambda _: respond(status, {"Retry-After": "120"})
    with pytest.raises(RetryLater) as caught:
        await http.get(PATH, 9999)
    assert not isinstance(caught.value, NotFound)
    assert caught.value.retry_after == 120
    assert f"HTTP {status}" in caught.value.cause.what


async def test_endless_data_is_cut_off(device: Device, server: TufServer) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b" " * 65536)
            sent += 65536

    server.bad[PATH] = endless
    with pytest.raises(Rejected) as caught:
        await device.repository().refresh()
    assert caught.value.cause.code == "endless-data"
    assert sent < 50 * 2**20


async def test_slow_data_is_cut_off(device: Device, server: TufServer) -> None:
    over = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "400"})
        await answer.prepare(request)
        await answer.write(b"{")
        await over.wait()
        return answer

    server.bad[PATH] = drip
    device.total = 0.2
    with pytest.raises(RetryLater) as caught:
        await device.repository().refresh()
    over.set()
    assert caught.value.cause.code == "slow-data"


async def test_half_a_file(http: HttpFetch, server: TufServer) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "400"})
        await answer.prepare(request)
        await answer.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return answer

    server.bad[PATH] = half
    with pytest.raises(RetryLater) as caught:
        await http.get(PATH, 9999)
    assert caught.value.cause.code == "connection-lost"


async def test_nobody_listens(session: aiohttp.ClientSession) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(RetryLater, match=r"127\.0\.0\.1:\d+ refuses the connection") as caught:
            await HttpFetch(session, url).get(PATH, 9999)
    assert caught.value.cause.code == "connection-refused"


async def test_redirects_within_the_server_only_and_not_for_ever(http: HttpFetch, server: TufServer) -> None:
    server.bad["here"] = lambda _: respond(302, {"Location": server.url + PATH})
    assert await http.get("here", 9999) == server.repository.files[PATH]
    server.bad["loop"] = lambda _: respond(302, {"Location": server.url + "loop"})
    server.bad["away"] = lambda _: respond(302, {"Location": "http://portal.invalid/"})
    for path in ("loop", "away"):
        with pytest.raises(RetryLater) as caught:
            await http.get(path, 9999)
        assert caught.value.cause.code == "redirect-refused"


@pytest.mark.parametrize(
    ("names", "trusted", "code"),
    [(("localhost",), True, "tls-wrong-name"), (("127.0.0.1",), False, "tls-unknown-ca"), (("127.0.0.1",), True, None)],
)
async def test_tls(tmp_path: Path, names: tuple[str, ...], trusted: bool, code: str | None) -> None:
    authority = Authority.make(tmp_path / "a")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certify(tmp_path / "server.pem", names))
    app = web.Application()
    app.router.add_get("/f", empty)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
    ca = authority.file if trusted else Authority.make(tmp_path / "b").file
    found = None
    try:
        async with open_session(config.Repository(url=url, ca=ca), dates=lambda: True, timeout=10, agent="otad") as session:
            assert await HttpFetch(session, url).get("f", 10) == b""
    except OtadError as error:
        found = error.cause.code
    await runner.cleanup()
    assert found == code


async def empty(_: web.Request) -> web.Response:
    return web.Response()


async def respond(status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, headers=headers)
