"""Real TLS against a real nginx; a small server of ours for redirects."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from aiohttp import web

from otad.config import Repository
from otad.errors import OtadError
from otad.fetch import faults
from otad.fetch.session import NO_CHECK_TIME, open_session, tls_context
from tests.support import certs, nginx
from tests.support.hostile import Hostile


async def get(repository: Repository, *, dates: bool = True, path: str = "hello") -> bytes:
    """The body, or whatever `faults` makes of the failure."""
    async with open_session(repository, dates=lambda: dates, timeout=20, agent="otad-test/1") as session:
        try:
            async with session.get(f"{repository.url}/{path}") as response:
                return await response.read()
        except faults.NETWORK as error:
            raise faults.explain(error, f"{repository.url}/{path}") from error


async def code_of(repository: Repository, *, dates: bool = True) -> str:
    with pytest.raises(OtadError) as caught:
        await get(repository, dates=dates)
    return caught.value.cause.code


async def test_a_certified_server_is_read(server: nginx.Nginx, authority: certs.Authority) -> None:
    (server.root / "hello").write_bytes(b"hello")
    assert await get(Repository(url=server.url, ca=authority.file)) == b"hello"


async def test_an_unknown_authority(server: nginx.Nginx, tmp_path: Path) -> None:
    assert await code_of(Repository(url=server.url, ca=certs.Authority.make(tmp_path).file)) == "tls-unknown-ca"


async def test_an_unknown_authority_although_dates_are_not_checked(server: nginx.Nginx, tmp_path: Path) -> None:
    other = certs.Authority.make(tmp_path, "another authority")
    assert await code_of(Repository(url=server.url, ca=other.file), dates=False) == "tls-unknown-ca"


async def test_the_systems_authorities_do_not_know_ours(server: nginx.Nginx) -> None:
    assert await code_of(Repository(url=server.url)) == "tls-unknown-ca"


@pytest.mark.parametrize(
    ("names", "days", "dates", "code"),
    [
        (("elsewhere.example",), (-1, 1), True, "tls-wrong-name"),
        (("elsewhere.example",), (-1, 1), False, "tls-wrong-name"),
        (certs.LOOPBACK, (-9, -1), True, "tls-expired"),
        (certs.LOOPBACK, (1, 9), True, "tls-not-yet-valid"),
        (certs.LOOPBACK, (-9, -1), False, None),
        (certs.LOOPBACK, (1, 9), False, None),
    ],
)
async def test_names_and_dates(
    tmp_path: Path, authority: certs.Authority, names: tuple[str, ...], days: tuple[int, int], dates: bool, code: str | None
) -> None:
    reason = nginx.why_not()
    if reason:
        pytest.skip(reason)
    (tmp_path / "hello").write_bytes(b"hello")
    pem = authority.certify(tmp_path / "server.pem", names, days=days)
    with nginx.serve(tmp_path, tmp_path / "work", pem) as running:
        repository = Repository(url=running.url, ca=authority.file)
        if code is None:
            assert await get(repository, dates=dates) == b"hello"
        else:
            assert await code_of(repository, dates=dates) == code


async def test_dates_are_checked_from_the_connection_on_for_which_the_clock_can_be_believed(
    tmp_path: Path, authority: certs.Authority
) -> None:
    reason = nginx.why_not()
    if reason:
        pytest.skip(reason)
    (tmp_path / "hello").write_bytes(b"hello")
    pem = authority.certify(tmp_path / "server.pem", certs.LOOPBACK, days=(-9, -1))
    with nginx.serve(tmp_path, tmp_path / "work", pem) as running:
        repository, believed = Repository(url=running.url, ca=authority.file), [False, True, False]
        seen = []
        async with open_session(repository, dates=lambda: believed.pop(0), timeout=20, agent="otad-test/1") as session:
            while believed:
                try:
                    async with session.get(f"{running.url}/hello", headers={"Connection": "close"}) as response:
                        seen.append(await response.text())
                except faults.NETWORK as error:
                    seen.append(faults.explain(error, running.url).cause.code)
        assert seen == ["hello", "tls-expired", "hello"]


async def test_plain_http_behind_https_is_a_tls_fault(authority: certs.Authority) -> None:
    async with Hostile(b"x").running() as plain:
        url = plain.url.replace("http://", "https://")
        assert await code_of(Repository(url=url, ca=authority.file)) == "tls-failed"


def test_tls_is_1_2_or_later() -> None:
    context = tls_context(Repository(url="https://host"))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.verify_flags & NO_CHECK_TIME


async def test_a_ca_file_that_cannot_be_used(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    assert await code_of(Repository(url="https://host", ca=empty)) == "ca-unusable"
    empty.write_text("nothing")
    assert await code_of(Repository(url="https://host", ca=empty)) == "ca-unusable"


async def test_it_says_who_asks_and_wants_plain_bytes() -> None:
    async with Hostile(b"x").running() as plain:
        assert await get(Repository(url=plain.url, development=True)) == b"x"
        assert plain.asked[0]["User-Agent"] == "otad-test/1"
        assert plain.asked[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("location", "followed"),
    [
        ("/hello2", True),
        ("http://127.0.0.2:1/x", False),
        ("ftp://host/x", False),
        ("http://[::1", False),
        ("//127.0.0.2:1/x", False),
    ],
)
async def test_redirects(location: str, followed: bool) -> None:
    plain = Hostile(b"x")
    plain.refusals.append((302, {"Location": location}))
    async with plain.running():
        repository = Repository(url=plain.url, development=True)
        if followed:
            assert await get(repository) == b"x"
        else:
            assert await code_of(repository) == "redirect-refused"
            assert len(plain.asked) == 1


async def test_https_never_becomes_http(tmp_path: Path, authority: certs.Authority) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.certify(tmp_path / "server.pem"))

    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=301, headers={"Location": f"http://{request.host}/hello"})

    app = web.Application()
    app.router.add_get("/hello", redirect)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        url = f"https://localhost:{runner.addresses[0][1]}"
        assert await code_of(Repository(url=url, ca=authority.file)) == "redirect-refused"
    finally:
        await runner.cleanup()
