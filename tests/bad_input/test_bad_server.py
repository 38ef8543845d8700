# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The server is not there, does not want, or is not the right one."""

import socket

import pytest
from aiohttp import web

from otad.publisher import tls
from simulator.depot import now
from tests.support.board import REAL_PARTS, chain, goes_on, refused

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python


def url(board, address):
    """Another server than the right one, until `right`."""
    board.configure("url", f'[repository]\nurl = "{address}"\n')


def right(board):
    (board.folder / "conf.d" / "url.toml").unlink()


async def test_no_server(bench, mirror):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and never listens: the port stays ours, and refuses
        port = closed.getsockname()[1]
        async with mirror.served() as repository, bench.board(repository) as board:
            url(board, f"https://127.0.0.1:{port}/")
            await refused(board, "connection-refused", f"127.0.0.1:{port}")
            assert chain(board) == [("idle", "due"), ("check", "failed")]
            right(board)
            await goes_on(board)


async def test_nothing_published_there(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        mirror.refuse = lambda _: web.Response(status=404)
        await refused(board, "not-found", "timestamp.json", "404")
        mirror.heal()
        await goes_on(board)


async def test_a_blob_that_is_not_there(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        mirror.refuse = lambda request: web.Response(status=404) if request.path.startswith("/blobs/") else None
        event = await refused(board, "not-found", "/blobs/", "404")
        assert (event["state"], event["outcome"]) == ("download", "failed")
        mirror.heal()
        await goes_on(board)


@pytest.mark.parametrize("place", ["/metadata/", "/blobs/"])
async def test_a_server_that_asks_to_come_back_later(bench, mirror, place):
    """Retry-After is honoured: not tried again before it, whatever the device's own patience is."""
    busy = web.HTTPServiceUnavailable

    async with mirror.served() as repository, bench.board(repository) as board:
        mirror.refuse = lambda request: (
            web.Response(status=busy.status_code, headers={"Retry-After": "7200"}) if request.path.startswith(place) else None
        )
        await refused(board, "server-busy", "503", "7200 s")
        assert len([path for path in mirror.asked if path.startswith(place)]) == 1
        await board.settled()  # two hours are left to the timer
        assert "--unit=otad-check --on-active=7" in (board.folder / "run" / "units").read_text()
        mirror.heal()
        await goes_on(board)


async def test_a_certificate_for_another_name(bench, mirror, tmp_path):
    other = tls.made(tmp_path / "tls", ("updates.example.com",), now=now())
    async with mirror.served() as repository, mirror.served(other) as wrong, bench.board(repository) as board:
        url(board, wrong.url)
        board.configure("wrong-ca", f'[repository]\nca = "{other.ca}"\n')
        await refused(board, "tls-wrong-name", "127.0.0.1")
        right(board)
        (board.folder / "conf.d" / "wrong-ca.toml").unlink()
        await goes_on(board)


async def test_a_certificate_by_an_unknown_authority(bench, mirror, tmp_path):
    other = tls.made(tmp_path / "tls", now=now())
    async with mirror.served() as repository, mirror.served(other) as wrong, bench.board(repository) as board:
        url(board, wrong.url)
        await refused(board, "tls-unknown-ca", "127.0.0.1")
        right(board)
        await goes_on(board)
