"""docs/trust.md says what a device answers to each attack: each row is carried out against a device's own engines and journal."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import MetaFile, Signed

from otad.cli.events import events
from otad.formats.campaign import Action, Campaign
from otad.formats.curve import Curve
from otad.formats.event import Event
from otad.formats.grant import Grant, Opening
from otad.trust.http import HttpFetch
from tests.support.checking_device import RUNS, CheckingDevice
from tests.support.tuf_attacks import publish
from tests.support.tuf_repository import TufRepository, TufServer, release

SECTION = "## What the device says"
PAGE = (Path(__file__).parents[2] / "docs" / "trust.md").read_text().split(SECTION)[1].split("\n## ")[0]
ROWS = [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in re.findall(r"(?m)^\|.*$", PAGE)[2:]]
EVERYBODY, NOBODY = Curve(((0, 10**6),)), Curve(((0, 0),))
NEXT = "3.0.0"


@pytest.fixture
def repo() -> TufRepository:
    """By the real clock, as the device's; 2.0.0 runs, 1.0.0 is listed too, nothing is rolled out."""
    found = TufRepository(datetime.now(timezone.utc).replace(microsecond=0) - timedelta(hours=1))
    found.add_release(RUNS)
    found.publish("releases")
    return found


@pytest.fixture
def device(tmp_path: Path, repo: TufRepository, server: TufServer) -> CheckingDevice:
    return CheckingDevice(tmp_path, server.url, repo.anchor)


def rolls_out(repo: TufRepository, version: str, sha256: str, **more: Any) -> None:
    """The online key starts a roll-out."""
    campaign = Campaign(id="c1", version=version, sha256=sha256, started=repo.time, curve=EVERYBODY, **more)
    repo.add_rollouts(campaign)
    repo.publish("rollouts")


def granted(repo: TufRepository, grant: Grant) -> None:
    """The offline keys list a release with `grant`; the online key rolls it out."""
    sha256 = repo.add_release(NEXT, grant)
    repo.publish("releases")
    rolls_out(repo, NEXT, sha256)


def opening(repo: TufRepository, channel: str, curve: Curve = EVERYBODY) -> Grant:
    return Grant(channels={channel: Opening(opened=repo.time, curve=curve)})


def listed(repo: TufRepository, version: str) -> str:
    return str(repo.targets("releases").targets[f"releases/cam/{version}.json"].hashes["sha256"])


def stranger(repo: TufRepository, role: str) -> None:
    publish(repo, role)
    repo.seal(role, [CryptoSigner.generate_ed25519()])


def one_of_two(repo: TufRepository) -> None:
    repo.publish("targets")
    repo.seal("targets", repo.signers["targets"][:1])


def exchanged(repo: TufRepository) -> None:
    granted(repo, opening(repo, "stable"))
    repo.files[f"targets/releases/cam/{listed(repo, NEXT)}.{NEXT}.json"] = release("9.9.9").encode()


def older_timestamp(repo: TufRepository) -> None:
    repo.timestamp.version -= 1
    repo.sign("timestamp")


def frozen(repo: TufRepository) -> None:
    repo.timestamp.expires = repo.time - timedelta(seconds=1)
    repo.timestamp.version += 1
    repo.seal("timestamp")


def exchanged_snapshot(repo: TufRepository) -> None:
    old = repo.files[f"metadata/{repo.snapshot.version}.snapshot.json"]
    repo.publish_snapshot()
    repo.files[f"metadata/{repo.snapshot.version}.snapshot.json"] = old


def older_snapshot(repo: TufRepository) -> None:
    repo.snapshot.version = 1
    repo.publish_timestamp()


def older_releases(repo: TufRepository) -> None:
    repo.snapshot.meta["releases.json"] = MetaFile(1)
    repo.publish_snapshot()


def no_releases(repo: TufRepository) -> None:
    del repo.snapshot.meta["releases.json"]
    repo.publish_snapshot()


def signs(repo: TufRepository, path: str) -> None:
    repo.add("rollouts", path, release("9.9.9").encode())
    repo.publish("rollouts")


ATTACKS: dict[str, Callable[[TufRepository], None]] = {  # by the rows' second cells
    "a timestamp that a stranger signed": lambda repo: stranger(repo, "timestamp"),
    "releases that one stranger signed": lambda repo: stranger(repo, "releases"),
    "targets with one of two signatures": one_of_two,
    "a release document exchanged on the server": exchanged,
    "an older timestamp is served": older_timestamp,
    "the last timestamp is served until it has expired": frozen,
    "an older snapshot under the newer one's name": exchanged_snapshot,
    "the online keys name an older snapshot": older_snapshot,
    "the online keys name older releases": older_releases,
    "the online keys leave releases out": no_releases,
    "the online key signs a release under releases/": lambda repo: signs(repo, "releases/cam/9.9.9.json"),
    "the online key signs an encoding under encodings/": lambda repo: signs(repo, "encodings/cam/2.0.0.json"),
    "the online key rolls out what nobody released": lambda repo: rolls_out(repo, NEXT, "ab" * 32),
    "the online key gives a release another hash": lambda repo: rolls_out(repo, "1.0.0", "ab" * 32),
    "the online key rolls out a withdrawn release": lambda repo: granted(
        repo, opening(repo, "stable").model_copy(update={"withdrawn": True})
    ),
    "the online key rolls out a release of another channel": lambda repo: granted(repo, opening(repo, "beta")),
    "the online key rolls out an older release that is listed": lambda repo: rolls_out(repo, "1.0.0", listed(repo, "1.0.0")),
    "the online key sends back where back_to does not allow it": lambda repo: rolls_out(
        repo, "1.0.0", listed(repo, "1.0.0"), action=Action.BACK
    ),
    "the online key rolls out to everybody before the pace allows it": lambda repo: granted(
        repo, opening(repo, "stable", NOBODY)
    ),
}


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" " * 4096)


async def trickling(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" ")
        await asyncio.sleep(0.05)


SERVERS = {"a timestamp that never ends": endless, "a timestamp that trickles": trickling}


def test_each_attack_has_its_row() -> None:
    assert {row[1] for row in ROWS} == ATTACKS.keys() | SERVERS.keys()


@pytest.mark.parametrize("row", ROWS, ids=[row[1] for row in ROWS])
async def test_the_device_names_the_attack_and_who_must_act(
    row: list[str],
    device: CheckingDevice,
    repo: TufRepository,
    server: TufServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attack, done, code, who = row
    good = await device.check()
    assert (good.outcome, good.cause and good.cause.code) == ("nothing", "no-rollout")
    honest = copy.deepcopy(repo.signed)

    with monkeypatch.context() as patched:
        if done in SERVERS:
            server.bad["metadata/timestamp.json"] = SERVERS[done]
            patched.setattr(HttpFetch.__init__, "__kwdefaults__", {"total": 0.5})
        else:
            ATTACKS[done](repo)
        told = await device.check()

    assert told.state == "check"
    assert told.outcome in {"nothing", "failed"}
    assert told.cause is not None
    assert (told.cause.code, told.cause.who.value) == (code, who)
    assert attack in str(told.cause)
    assert attack in printed(device, capsys)
    assert told.cause.evidence.get("attack", attack) == attack

    server.bad.clear()
    mend(repo, honest)
    assert (await device.check()).cause == good.cause  # it goes on as if nothing had been


def mend(repo: TufRepository, honest: dict[str, Signed]) -> None:
    """The owner publishes what was honest, with versions above all that was signed."""
    for role, signed in honest.items():
        signed.version = max(signed.version, repo.signed[role].version)
    repo.signed = honest
    repo.publish("targets", "releases", "rollouts")


def printed(device: CheckingDevice, capsys: pytest.CaptureFixture[str]) -> str:
    """What `otactl events` shows of the last event, whatever the width of the terminal."""
    events(limit=1, config=device.settings)
    return " ".join(capsys.readouterr().out.split())


async def test_what_is_granted_is_taken(device: CheckingDevice, repo: TufRepository) -> None:
    """The table's own ground: with the grant that each attack lacks, the same device takes the release."""
    await device.check()
    granted(repo, opening(repo, "stable"))
    told = await device.check()
    assert isinstance(told, Event)
    assert (told.outcome, told.version, told.slot) == ("admitted", NEXT, "B")
