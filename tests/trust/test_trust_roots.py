"""Long ways from the image's anchor to the newest root: expired ones between, cuts, bounds, and caches that hide one."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from otad.errors import RetryLater
from otad.trust import workflow
from otad.trust.store import Store
from tests.support.trust_device import Device
from tests.support.tuf_repository import DAY, NOW, TufRepository, TufServer

MANY = 40


def rotate(repo: TufRepository, times: int, *, expired: bool) -> None:
    """That many roots, each with one key changed; `expired` ones had their day long ago."""
    for _ in range(times):
        repo.time = NOW - 1000 * DAY if expired else NOW
        repo.rotate_root()
    repo.time = NOW


async def test_forty_roots_in_a_row_of_which_only_the_last_is_valid(
    device: Device, repo: TufRepository, server: TufServer
) -> None:
    rotate(repo, MANY - 1, expired=True)
    rotate(repo, 1, expired=False)
    await device.repository().refresh()
    asked = [path for path in server.paths() if path.endswith("root.json")]
    assert asked == [f"metadata/{n}.root.json" for n in range(2, MANY + 3)]
    assert device.repository().cached() is not None


async def test_forty_roots_in_a_row_of_which_only_the_last_is_expired(device: Device, repo: TufRepository) -> None:
    rotate(repo, MANY - 1, expired=False)
    rotate(repo, 1, expired=True)
    with pytest.raises(RetryLater, match=rf"root\.json, version {MANY + 1}, expired") as caught:
        await device.repository().refresh()
    assert caught.value.cause.code == "expired"
    rotate(repo, 1, expired=False)  # the owner wakes up
    await device.repository().refresh()


async def test_cut_after_any_of_them_it_goes_on_from_there(
    device: Device, repo: TufRepository, server: TufServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate(repo, MANY, expired=False)
    keep_root = Store.keep_root

    def cut(store: Store, version: int, data: bytes) -> None:
        keep_root(store, version, data)
        if version % 7 == 0 and f"metadata/{version}.root.json" in {path for path, _ in server.asked}:
            raise ConnectionAbortedError(version)

    monkeypatch.setattr(Store, "keep_root", cut)
    for version in range(7, MANY + 1, 7):
        with pytest.raises(ConnectionAbortedError):
            await device.repository().refresh()
        assert f"metadata/{version + 1}.root.json" not in server.paths()
    await device.repository().refresh()
    assert server.paths()[0] == f"metadata/{MANY - MANY % 7 + 1}.root.json"


async def test_more_roots_than_one_refresh_takes_up_come_with_the_next_ones(
    device: Device, repo: TufRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "MAX_ROOTS", 10)
    rotate(repo, 21, expired=False)
    for _ in range(2):
        with pytest.raises(RetryLater, match=r"has more than 10 roots") as caught:
            await device.repository().refresh()
        assert caught.value.cause.code == "too-many-roots"
    for _ in range(2):
        await device.repository().refresh()
    assert device.repository().cached() is not None


def test_no_root_is_ever_dropped(tmp_path: Path) -> None:
    """An image's anchor may be any number of roots behind: a gap would be fetched again with every refresh."""
    store = Store(tmp_path, tmp_path / "root.json")
    for version in range(1, 301):
        store.keep_root(version, b"")
    assert store.roots() == list(range(1, 301))


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
async def test_a_cached_404_hides_the_root_that_names_the_new_keys(
    device: Device, repo: TufRepository, server: TufServer, role: str
) -> None:
    await device.repository().refresh()
    repo.rotate(role)
    repo.publish_root()
    repo.publish("targets")

    async def stale_cache(request: web.Request) -> web.Response:
        if request.headers.get("Cache-Control") == "no-cache":
            return web.Response(body=repo.files["metadata/2.root.json"])
        raise web.HTTPNotFound

    server.bad["metadata/2.root.json"] = stale_cache
    server.paths()
    await device.repository().refresh()
    assert server.paths().count("metadata/2.root.json") == 2
