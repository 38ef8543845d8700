"""otarepo verify: silent about what is right, and it finds each thing that is wrong; on a folder, and on a real nginx."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from otad.errors import OtadError, Rejected
from otad.publisher import grants, place, rollout, rotation
from otad.publisher.inspection import Report
from otad.publisher.keys import KeyType
from otad.publisher.publish import publish, refresh
from otad.publisher.roles import ROOT
from otad.publisher.verify import verify
from otad.publisher.workspace import Ceremony, Workspace
from tests.support import certs, nginx
from tests.support.published import NOW, rolled_out

PAGE = Path(__file__).parents[2] / "docs" / "publish.md"
Serve = Callable[[str], AbstractContextManager[nginx.Nginx]]
RECOMMENDED = re.findall(r"(?ms)^```nginx\n(.*?)^```", PAGE.read_text())[0]


def anchor(ws: Workspace) -> bytes:
    return ws.roles.path(ROOT, 1).read_bytes()


def looked(ws: Workspace, folder: Path, now: datetime = NOW) -> Report:
    return asyncio.run(verify(place.Folder(folder), anchor(ws), now=now))


def found(report: Report) -> list[str]:
    return [f"{finding.path}: {finding.what}" for finding in report.findings]


def test_what_is_right_is_counted(ws: Workspace, published: Path) -> None:
    rolled_out(ws, "1.1.0")
    for role in ("root", "releases", "timestamp"):
        rotation.rotate(ws, role, now=NOW)
    publish(ws, published, now=NOW)
    refresh(ws, published, now=NOW)
    seen = []
    report = asyncio.run(verify(place.Folder(published), anchor(ws), now=NOW, progress=lambda *what: seen.append(what)))
    assert found(report) == []
    assert [(part.name, part.version, part.signatures, part.files) for part in report.parts] == [
        ("root", 3, "3 of 2", 1),
        ("timestamp", 3, "1 of 1", 1),
        ("snapshot", 2, "1 of 1", 1),
        ("targets", 2, "3 of 2", 1),
        ("releases", 6, "1 of 1", 1),
        ("rollouts", 3, "1 of 1", 1),
        ("releases/", None, "", 2),
        ("encodings/", None, "", 2),
        ("rollouts/", None, "", 1),
        ("blobs/", None, "", 2),
    ]
    last = report.parts[-1].bytes
    assert seen[-1] == ("reading blobs", last, last)
    assert found(looked(ws, ws.path)) == []  # the workspace holds the same


def test_nothing_is_published(ws: Workspace, tmp_path: Path) -> None:
    assert found(looked(ws, tmp_path / "nowhere")) == [
        "metadata/1.root.json: is not there",
        "metadata/timestamp.json: is not there",
    ]


def rots(out: Path, pattern: str) -> None:
    (file,) = out.glob(pattern)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut_off(out: Path, pattern: str) -> None:
    (file,) = out.glob(pattern)
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("harm", "pattern", "says"),
    [
        (rots, "metadata/*.snapshot.json", "is not what the metadata above it names"),
        (rots, "metadata/*.targets.json", "is not what the metadata above it names"),
        (rots, "metadata/*.releases.json", "is not what the metadata above it names"),
        (cut_off, "metadata/timestamp.json", "is not metadata"),
        (rots, "metadata/1.root.json", "is not the root that is trusted"),
        (rots, "targets/releases/camera/*.json", "is not what was signed"),
        (cut_off, "targets/encodings/camera/*.json", "is not what was signed"),
        (cut_off, "targets/rollouts/*.json", "is not what was signed"),
        (rots, "blobs/*", "is not what was signed"),
        (cut_off, "blobs/*", "is not what was signed"),
    ],
)
def test_what_changed_is_found(
    ws: Workspace, published: Path, harm: Callable[[Path, str], None], pattern: str, says: str
) -> None:
    harm(published, pattern)
    findings = looked(ws, published).findings
    assert any(says in one.what and Path(one.path).match(pattern) for one in findings), findings


@pytest.mark.parametrize("pattern", ["metadata/*.*.json", "metadata/timestamp.json", "targets/**/*.json", "blobs/*"])
def test_each_file_that_lacks_is_found(ws: Workspace, published: Path, tmp_path: Path, pattern: str) -> None:
    for file in [file.relative_to(published) for file in published.glob(pattern)]:
        (published / file).rename(tmp_path / "aside")
        assert f"{file}: is not there" in found(looked(ws, published))
        (tmp_path / "aside").rename(published / file)
    assert found(looked(ws, published)) == []


def test_signatures_of_strangers_are_found(ws: Workspace, published: Path, tmp_path: Path) -> None:
    other = Workspace.create(tmp_path / "other", "camera", Ceremony(bundle_type=KeyType.EC), now=NOW)
    rolled_out(other, "1.0.0")
    publish(other, tmp_path / "theirs", now=NOW)
    shutil.copyfile(tmp_path / "theirs/metadata/timestamp.json", published / "metadata/timestamp.json")
    assert found(looked(ws, published)) == ["metadata/timestamp.json: has 0 of 1 signatures that version 1 of root asks for"]
    shutil.copyfile(other.roles.path(ROOT, 1), published / "metadata/2.root.json")
    assert "metadata/2.root.json: has 0 of 2 signatures that version 1 of root asks for" in found(looked(ws, published))


@pytest.mark.parametrize(
    ("there", "instead", "says"),
    [
        ("2.root.json", "1.root.json", "2.root.json: is version 1, and has to be version 2"),
        ("timestamp.json", "1.snapshot.json", "timestamp.json: is metadata of another role: snapshot"),
    ],
)
def test_a_good_file_in_the_place_of_another_is_found(
    ws: Workspace, published: Path, there: str, instead: str, says: str
) -> None:
    shutil.copyfile(published / "metadata" / instead, published / "metadata" / there)
    assert f"metadata/{says}" in found(looked(ws, published))


def test_what_expired_is_found(ws: Workspace, published: Path) -> None:
    late = looked(ws, published, NOW + timedelta(days=8))
    assert {one.path.split(".")[-2].split("/")[-1] for one in late.findings} == {"timestamp", "snapshot", "rollouts"}
    assert all("devices take no update" in one.what for one in late.findings)
    everything = looked(ws, published, NOW + timedelta(days=400))
    assert "metadata/1.root.json" in {one.path for one in everything.findings}


def test_a_campaign_of_what_is_not_listed_is_found(ws: Workspace, published: Path) -> None:
    campaigns = rollout.read(ws, "stable").campaigns
    rollout._save(ws, "stable", (campaigns[0].model_copy(update={"sha256": "ab" * 32}),), NOW)
    publish(ws, published, now=NOW)
    assert [one.what for one in looked(ws, published).findings] == [
        "rolls out 1.0.0 (abababababab), which releases does not list"
    ]


def test_the_blobs_of_what_is_withdrawn_are_not_missed(ws: Workspace, published: Path) -> None:
    grants.withdraw(ws, "1.0.0", now=NOW)
    publish(ws, published, now=NOW)
    shutil.rmtree(published / "blobs")
    assert found(looked(ws, published)) == []


# -- over HTTPS, from nginx ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certs.Authority:
    return certs.Authority.make(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def serve(published: Path, tmp_path: Path, authority: certs.Authority) -> Serve:
    if reason := nginx.why_not():
        pytest.skip(reason)
    pem = authority.certify(tmp_path / "server.pem")
    return lambda extra: nginx.serve(published, tmp_path / "nginx", pem, extra=extra)


async def seen(ws: Workspace, url: str, authority: certs.Authority) -> list[str]:
    async with place.web(url, authority.file) as server:
        return found(await verify(server, anchor(ws), now=NOW))


async def test_the_recommended_nginx_is_right(ws: Workspace, serve: Serve, authority: certs.Authority) -> None:
    with serve(RECOMMENDED) as server:
        assert await seen(ws, server.url, authority) == []
        async with place.web(server.url, authority.file) as web:
            for hidden in (".otarepo.lock", "metadata/.draft-x", "metadata/", "nothing"):
                reply = await web.get(hidden)
                assert (reply.status, (reply.headers or {})["Cache-Control"]) == (404, "public, max-age=60"), hidden


FOREVER = 'add_header Cache-Control "public, max-age=31536000, immutable" always;'


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("", ["1.root.json: it never changes, and caches are not told: there is no Cache-Control",
              "timestamp.json: an old timestamp may be kept by caches: there is no Cache-Control",
              "2.root.json: a 404 may be kept for more than 60 s: there is no Cache-Control"]),
        (FOREVER, ["timestamp.json: an old timestamp may be kept by caches: Cache-Control is 'public",
                   "2.root.json: a 404 may be kept for more than 60 s: Cache-Control is 'public"]),
        ('add_header Cache-Control "no-cache" always;', ["1.root.json: it never changes, and caches are not told"]),
        (f"{RECOMMENDED} max_ranges 0;", ["two bytes were asked for"]),
        ("location / { return 500; }", ["1.root.json: the server answers 500", "timestamp.json: the server answers 500"]),
        (f"{RECOMMENDED} location /blobs {{ deny all; }}", ["is not there"]),
    ],
    ids=["bare", "all for ever", "nothing is kept", "no ranges", "broken", "forbidden"],
)  # fmt: skip
async def test_a_wrong_nginx_is_found_out(
    ws: Workspace, serve: Serve, authority: certs.Authority, extra: str, says: list[str]
) -> None:
    with serve(extra) as server:
        complaints = await seen(ws, server.url, authority)
    for words in says:
        assert any(words in one for one in complaints), complaints
    if extra == FOREVER:
        assert len(complaints) == 2


async def test_a_server_that_is_not_certified_is_not_read(ws: Workspace, serve: Serve, tmp_path: Path) -> None:
    other = certs.Authority.make(tmp_path / "other")
    with serve(RECOMMENDED) as server, pytest.raises(OtadError, match="certificate verify failed") as refused:
        await seen(ws, server.url, other)
    assert refused.value.cause.code == "verify-unreachable"
    with pytest.raises(OtadError, match="cannot read"):
        await seen(ws, server.url, other)  # gone


async def test_devices_read_https_only(ws: Workspace, authority: certs.Authority) -> None:
    with pytest.raises(Rejected, match="they take HTTPS only"):
        await seen(ws, "http://updates.example.com/", authority)
