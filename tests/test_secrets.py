# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""What must not be told is not: passwords in URLs, and what the environment of a health check holds, over whole updates."""

import sqlite3
import tarfile
from dataclasses import replace

import pytest

from simulator.depot import Depot
from simulator.fastboard import FastBoard
from simulator.system import System
from tests.support.board import PATIENCE, REAL_PARTS, B, otactl, rest

pytestmark = [*REAL_PARTS, pytest.mark.slow]
PASSWORD, TOKEN = "pass-w0rd-of-the-repository", "t0ken-of-the-health-check"
SECRETS = (PASSWORD, TOKEN)


@pytest.fixture
def depot(tmp_path):
    return Depot.create(tmp_path / "depot")


def with_password(repository):
    return replace(repository, url=repository.url.replace("://", f"://device:{PASSWORD}@"))


def told(board):
    """All that is kept: the log, the journal row by row, what was collected of failed boots, what stands in /run."""
    yield "console", (board.folder / "console").read_bytes()
    with sqlite3.connect(board.folder / "data" / "otad" / "journal.db") as journal:
        yield "journal", "\n".join(journal.iterdump()).encode()
    for archive in (board.folder / "data" / "otad").rglob("*.tar.gz"):
        with tarfile.open(archive) as opened:
            for member in opened:
                content = opened.extractfile(member)
                yield f"{archive.name}:{member.name}", content.read() if content else b""
    for file in (board.folder / "run").rglob("*"):
        if file.is_file() and not file.is_symlink():
            yield str(file), file.read_bytes()


async def nothing_told(board):
    kept = list(told(board))
    assert {"console", "journal"} <= {place for place, _ in kept}
    for words in (["status"], ["history"], ["events"], ["config"], ["slots"], ["health"]):
        for options in ([], ["--json"]):
            said = await otactl(board, *words, *options)
            kept.append((" ".join(words + options), (said.out + said.err).encode()))
    assert [place for place, data in kept for secret in SECRETS if secret.encode() in data] == []


async def test_a_good_and_a_bad_update_tell_no_secret(depot, tmp_path, monkeypatch):
    monkeypatch.setenv("PRODUCT_TOKEN", TOKEN)
    depot.offer(System("1.1.0"))
    async with (
        depot.served() as plain,
        FastBoard.create(tmp_path / "b", depot.image(System("1.0.0")), with_password(plain)) as board,
    ):
        board.configure("report", f'[report]\nurl = "https://device:{PASSWORD}@127.0.0.1:9/events"\ntimeout = 1\n')
        await board.power_on()
        assert await board.settled(PATIENCE) is B
        depot.offer(System("1.2.0", healthy=False))
        board.pass_hours()
        await board.wake()
        assert await board.settled(PATIENCE) is B
        await nothing_told(board)


async def test_a_running_daemon_tells_no_secret_either(depot, tmp_path):
    depot.offer(System("1.0.0"))
    async with (
        depot.served() as plain,
        FastBoard.create(tmp_path / "b", depot.image(System("1.0.0")), with_password(plain)) as board,
    ):
        board.configure("stay", "[daemon]\nresident = true\n")
        await board.power_on()
        await rest(board)
        said = await otactl(board, "config", "--json")
        assert said.exit == 0
        assert "127.0.0.1" in said.out
        await nothing_told(board)


@pytest.mark.parametrize("url", ["https://device:%s@127.0.0.1:9", "https://device:%s@no-such-host.invalid", "ftp://device:%s@h"])
async def test_a_repository_that_cannot_be_reached_is_told_without_its_password(depot, tmp_path, url):
    async with depot.served() as plain:
        repository = replace(plain, url=url % PASSWORD)
        async with FastBoard.create(tmp_path / "b", depot.image(System("1.0.0")), repository) as board:
            await board.power_on()
            if url.startswith("https"):
                await rest(board)
                await nothing_told(board)
                return
            with pytest.raises(Exception, match="otad failed") as failed:
                await board.settled(PATIENCE)
            assert PASSWORD not in str(failed.value)
            assert PASSWORD.encode() not in (board.folder / "console").read_bytes()
            said = await otactl(board, "status")
            assert PASSWORD not in said.out + said.err
