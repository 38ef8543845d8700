# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The server is not there, does not want, or is not the right one."""

import socket
from datetime import timedelta
from itertools import pairwise

import pytest
from aiohttp import web

from otad.publisher import tls
from simulator.depot import now
from tests.support.board import PATIENCE, REAL_PARTS, B, calm, chain, goes_on, keep, refused, steered
from tests.support.failures import Place, fault

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python


def url(board, address):
    """Another server than the right one, until `right`."""
    board.configure("url", f'[repository]\nurl = "{address}"\n')


def right(board):
    (board.folder / "conf.d" / "url.toml").unlink()


@fault(Place.NETWORK, "No server at that address", "Tries again after a minute, then later each time, up to the check interval")
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


@fault(Place.NETWORK, "404: no repository there", "Tries again")
async def test_nothing_published_there(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        mirror.refuse = lambda _: web.Response(status=404)
        await refused(board, "not-found", "timestamp.json", "404")
        mirror.heal()
        await goes_on(board)


@fault(Place.NETWORK, "404: a payload is not there", "Tries again; the cache and the slot stay as they are")
async def test_a_blob_that_is_not_there(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        mirror.refuse = lambda request: web.Response(status=404) if request.path.startswith("/blobs/") else None
        event = await refused(board, "not-found", "/blobs/", "404")
        assert (event["state"], event["outcome"]) == ("download", "failed")
        mirror.heal()
        await goes_on(board)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(
            "/metadata/", marks=fault(Place.NETWORK, "503 with Retry-After", "Asks again when the server said, not before")
        ),
        "/blobs/",
    ],
)
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


@fault(Place.NETWORK, "TLS: certificate for another name", "Does not talk to it, and tries again")
async def test_a_certificate_for_another_name(bench, mirror, tmp_path):
    other = tls.made(tmp_path / "tls", ("updates.example.com",), now=now())
    async with mirror.served() as repository, mirror.served(other) as wrong, bench.board(repository) as board:
        url(board, wrong.url)
        board.configure("wrong-ca", f'[repository]\nca = "{other.ca}"\n')
        await refused(board, "tls-wrong-name", "127.0.0.1")
        right(board)
        (board.folder / "conf.d" / "wrong-ca.toml").unlink()
        await goes_on(board)


@fault(Place.NETWORK, "TLS: certificate by an unknown authority", "Does not talk to it, and tries again")
async def test_a_certificate_by_an_unknown_authority(bench, mirror, tmp_path):
    other = tls.made(tmp_path / "tls", now=now())
    async with mirror.served() as repository, mirror.served(other) as wrong, bench.board(repository) as board:
        url(board, wrong.url)
        await refused(board, "tls-unknown-ca", "127.0.0.1")
        right(board)
        await goes_on(board)


@pytest.fixture
def expired(tmp_path):
    """A certificate of the right name, by an authority of its own, that was good for a month, long ago."""
    return tls.made(tmp_path / "tls", now=now() - timedelta(days=400))


@fault(Place.NETWORK, "TLS: certificate expired, while the clock is synchronised", "Does not talk to it, and tries again")
async def test_an_expired_certificate(bench, mirror, expired):
    async with mirror.served(expired) as repository, bench.board(repository) as board:
        board.configure("ca", f'[repository]\nca = "{expired.ca}"\n')
        steered(board, synchronised=True)
        await refused(board, "tls-expired", "127.0.0.1", "clock")


@fault(
    Place.NETWORK,
    "TLS: certificate expired, while the clock is not synchronised",
    "Goes on, with name and chain checked: a clock that nobody has set tells nothing of dates. The metadata has dates of its own",
)
async def test_an_expired_certificate_and_a_clock_that_knows_nothing(bench, mirror, expired):
    async with mirror.served(expired) as repository, bench.board(repository) as board:
        board.configure("ca", f'[repository]\nca = "{expired.ca}"\n')
        steered(board, synchronised=False)
        kept = keep(board)
        await board.power_on()
        assert await board.settled(PATIENCE) is B
        await calm(board, kept)


def blobs(mirror):
    """Where each request for a blob began."""
    return [int(path.partition(" ")[2] or 0) for path in mirror.asked if path.startswith("/blobs/")]


@fault(
    Place.NETWORK, "A server that is slow", "Takes its time: there is no limit on the whole, only on silence (`download.timeout`)"
)
async def test_a_slow_server(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        kept, mirror.pace = keep(board), 0.02
        await board.power_on()
        assert await board.settled(PATIENCE) is B
        assert blobs(mirror) == [0]
        await calm(board, kept)


@fault(
    Place.NETWORK,
    "A server, or a link, that breaks off every 64 KiB",
    "Goes on where it was, as long as each try brings something",
)
async def test_a_server_that_breaks_off(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        kept, mirror.cut = keep(board), 65536
        await board.power_on()
        assert await board.settled(PATIENCE) is B
        starts = blobs(mirror)
        assert len(starts) > 4 * (1 << 20) / mirror.cut
        assert all(0 < after - before <= mirror.cut for before, after in pairwise(starts))
        await calm(board, kept)


@fault(
    Place.NETWORK, "A server that falls silent", "Gives the connection up after `download.timeout`, keeps what came, tries again"
)
async def test_a_silent_server(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        board.configure("patient", "[download]\ntimeout = 0.5\nretries = 2\n")
        mirror.hold()
        event = await refused(board, "timeout", "127.0.0.1")
        assert (event["state"], event["outcome"]) == ("download", "failed")
        assert blobs(mirror)[0] == 0
        assert blobs(mirror)[-1] > 0
