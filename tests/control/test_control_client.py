from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from otad import config
from otad.control import Exit, Verb, client
from otad.control.client import Client, Refused
from otad.control.listener import NAME
from otad.control.server import Server
from otad.control.unreachable import Unreachable, forbidden
from tests.control.fake_desk import FakeDesk, event


async def test_asking_and_ordering(server: Server, desk: FakeDesk, tmp_path: Path) -> None:
    there = Client(tmp_path / "run")
    assert await asyncio.to_thread(there.get, "health") == desk.health()
    answer = await asyncio.to_thread(there.order, Verb.INSTALL, "1.1.0")
    assert (answer.exit, answer.words) == (Exit.DONE, desk.reply.words)
    assert desk.orders[0][2] == "1.1.0"


async def test_a_refusal_keeps_its_words(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        await asyncio.to_thread(Client(tmp_path / "run").get, "weather")
    assert caught.value.cause.code == "unknown-verb"


async def test_an_error_inside_the_daemon_points_to_its_log(
    server: Server, desk: FakeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "health", lambda: 1 // 0)
    with pytest.raises(Refused) as caught:
        await asyncio.to_thread(Client(tmp_path / "run").get, "health")
    assert "journalctl -u otad" in caught.value.cause.remedy


def test_no_socket(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        Client(tmp_path).get("status")
    assert "systemctl status otad.socket" in caught.value.cause.remedy


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / NAME))
    with pytest.raises(Unreachable) as caught:
        Client(tmp_path).get("status")
    assert caught.value.cause.code == "not-listening"


@contextmanager
def hanging_up(folder: Path, *deeds: str) -> Iterator[list[bytes]]:
    """A daemon that does one deed to each connection and hangs up: "unread", "read" it all, or "answer". What it read."""
    taken: list[bytes] = []

    def serve() -> None:
        for deed in deeds:
            connection, _ = listening.accept()
            with connection:
                if deed != "unread":
                    head, _, body = connection.recv(2**16).partition(b"\r\n\r\n")
                    if head.startswith(b"POST") and not body:
                        body = connection.recv(2**16)
                    taken.append(head + body)
                if deed == "answer":
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / NAME))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield taken
        thread.join()


def test_a_daemon_that_dies_in_its_answer(tmp_path: Path) -> None:
    with hanging_up(tmp_path, "read"), pytest.raises(Unreachable) as caught:
        Client(tmp_path).get("status")
    assert caught.value.cause.code == "cut-off"


def test_a_request_that_nobody_read_is_made_again(tmp_path: Path) -> None:
    with hanging_up(tmp_path, "unread", "answer") as taken:
        assert Client(tmp_path).get("status") == {}
    assert len(taken) == 1


def test_a_request_that_nobody_reads_is_made_twice_and_no_more(tmp_path: Path) -> None:
    with hanging_up(tmp_path, "unread", "unread"), pytest.raises(Unreachable) as caught:
        Client(tmp_path).get("status")
    assert caught.value.cause.code == "cut-off"


def test_an_order_that_may_have_been_read_is_not_given_again(tmp_path: Path) -> None:
    with hanging_up(tmp_path, "read") as taken, pytest.raises(Unreachable):
        Client(tmp_path).order(Verb.ROLLBACK)
    assert len(taken) == 1


def test_a_daemon_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE", 0.05)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / NAME))
        listening.listen()
        with pytest.raises(Unreachable) as caught:
            Client(tmp_path).get("status")
    assert caught.value.cause.code == "no-answer"


def test_a_closed_door_names_the_group(tmp_path: Path) -> None:
    cause = forbidden(tmp_path).cause
    assert cause.code == "no-permission"
    assert "usermod -aG" in cause.remedy


def test_a_path_that_is_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        Client(tmp_path / ("x" * 120)).get("status")
    assert "too long" in caught.value.cause.what


async def test_a_cut_stream_is_taken_up_after_the_last_event(desk: FakeDesk, tmp_path: Path) -> None:
    """The daemon is restarted while it is watched: nothing is lost, nothing is told twice."""
    run = tmp_path / "run"
    served = Server(desk, config.Daemon(), run / NAME)
    await served.start()
    desk.tell(event(1, "idle", "due"), event(2, "check", "admitted"))
    following = Client(run).follow(0)
    assert [await _next(following) for _ in (1, 2)] == desk.told
    await served.stop()
    assert await _next(following) is None
    desk.tell(event(3, "download", "done"))
    served = Server(desk, config.Daemon(), run / NAME)
    await served.start()
    assert await _next(following) == event(3, "download", "done")
    await asyncio.to_thread(following.close)  # type: ignore[attr-defined]  # a generator
    await served.stop()


async def test_a_stream_that_cannot_be_taken_up_again_ends_in_words(
    server: Server, desk: FakeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.tell(event(1, "idle", "due"))
    following = Client(tmp_path / "run").follow(0)
    await _next(following)
    await server.stop()
    assert await _next(following) is None
    monkeypatch.setattr(client, "PATIENCE", 0.0)
    with pytest.raises(Unreachable):
        await _next(following)


async def test_a_stream_that_is_refused_says_why(
    server: Server, desk: FakeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: -1)  # nobody is the daemon's own user
    monkeypatch.setattr("otad.control.peer.of", lambda _: client_of_nobody())
    with pytest.raises(Refused) as caught:
        await _next(Client(tmp_path / "run").events(0))
    assert caught.value.cause.code == "not-permitted"


def client_of_nobody() -> Any:
    from otad.control.peer import Peer  # noqa: PLC0415 - one test needs it

    return Peer(65534, "nobody", frozenset())


async def _next(events: Iterator[Any]) -> Any:
    return await asyncio.to_thread(next, events)
