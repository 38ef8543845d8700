# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, disable-error-code="arg-type,union-attr"
"""What a device makes of what the repository offers: documents it cannot use, servers at fault, links that are down."""

import contextlib
from datetime import datetime, timedelta, timezone

import pytest

from otad.bootenv import Slot
from otad.config import Config, Device, Repository
from otad.errors import Corrupt, Rejected, RetryLater
from otad.formats.campaign import Campaign, Rollouts
from otad.formats.curve import Curve
from otad.formats.grant import Grant, Opening
from otad.formats.release import Payload, PayloadKind, Release
from otad.journal import Journal
from otad.offers import RepositoryOffers
from otad.running import Running
from otad.statemachine import Attempt, Outcome
from otad.trust.catalogue import Catalogue, Listed
from otad.trust.clock import Reading

LONG_AGO = datetime(2026, 1, 1, tzinfo=timezone.utc)
NOW = LONG_AGO + timedelta(days=30)
EVERYBODY = Curve(((0, 10**6),))
SHA = {"2.0.0": "2" * 64, "3.0.0": "3" * 64}
NEW = Rejected("document-invalid", "releases/p/3.0.0.json is not a valid release document: schema: Input should be 1")
EXCHANGED = Corrupt("arbitrary-target", "releases/p/3.0.0.json is not the file that was signed")


def campaign(version, **more):
    return Campaign(id=f"c-{version[0]}", version=version, sha256=SHA[version], started=LONG_AGO, curve=EVERYBODY, **more)


def release(version):
    payload = Payload(kind=PayloadKind.SYSTEM, name="system", sha256="a" * 64, length=1, disk=1)
    return Release(product="p", version=version, hardware=("board 1.0",), payloads=(payload,))


class Server:
    """A trusted repository; `faults`: version or "refresh" -> what asking for it raises."""

    def __init__(self, *campaigns, age=timedelta(0), **faults):
        grant = Grant(channels={"stable": Opening(opened=LONG_AGO, curve=EVERYBODY)})
        listed = {v: Listed(f"releases/p/{v}.json", sha, 1, grant) for v, sha in SHA.items()}
        reading = Reading(NOW, NOW, synchronised=True, basis="")
        self.catalogue = Catalogue(NOW - age, reading, Rollouts(channel="stable", campaigns=campaigns), listed, {})
        self.faults = faults

    async def refresh(self):
        if "refresh" in self.faults:
            raise self.faults["refresh"]
        return self.catalogue

    def cached(self):
        return self.catalogue

    async def release(self, version, sha256):
        assert sha256 == SHA[version]
        if f"v{version[0]}" in self.faults:
            raise self.faults[f"v{version[0]}"]
        return release(version)


class Nothing:
    def at(self, slot):
        return None


@pytest.fixture
def offers(tmp_path):
    (tmp_path / "hwrevision").write_text("board 1.0\n")
    config = Config(repository=Repository(url="https://x"), device=Device(product="p", hwrevision=tmp_path / "hwrevision"))
    with contextlib.closing(Journal.open(tmp_path / "journal.db")) as journal:
        yield lambda server: RepositoryOffers(server, config, "d1", journal, Nothing(), lambda: Running("1.0.0", None, Slot.A))


async def test_the_highest_version_is_taken(offers):
    found = await offers(Server(campaign("2.0.0"), campaign("3.0.0"))).best(None)
    assert (found.version, found.target, found.campaign) == ("3.0.0", Slot.B, "c-3")


@pytest.mark.parametrize("fault", [NEW, EXCHANGED])
async def test_a_document_that_cannot_be_used_does_not_stand_in_the_way_of_a_stepping_stone(offers, fault):
    found = await offers(Server(campaign("2.0.0"), campaign("3.0.0"), v3=fault)).best(None)
    assert found.version == "2.0.0"


async def test_alone_one_that_this_otad_cannot_read_is_incompatible(offers):
    hold = await offers(Server(campaign("3.0.0"), v3=NEW)).best(None)
    assert (hold.cause.code, hold.cause.what) == ("incompatible", NEW.cause.what)


async def test_alone_one_that_the_server_exchanged_is_the_servers_fault(offers):
    with pytest.raises(Corrupt):
        await offers(Server(campaign("3.0.0"), v3=EXCHANGED)).best(None)


def attempt(version="2.0.0"):
    return Attempt("01", "update", f"c-{version[0]}", SHA[version], version, Slot.B)


async def test_a_release_that_is_still_offered_goes_on(offers):
    assert await offers(Server(campaign("2.0.0"))).still(attempt()) is None


@pytest.mark.parametrize("fault", [Rejected("endless-data", "it never ends"), Corrupt("x", "y"), RetryLater("expired", "z")])
async def test_a_server_at_fault_holds_and_drops_nothing(offers, fault):
    server = Server(campaign("2.0.0"), age=timedelta(hours=25), refresh=fault)
    hold = await offers(server).still(attempt())
    assert (hold.outcome, hold.cause) == (Outcome.HELD, fault.cause)


async def test_unreachable_what_was_trusted_today_counts(offers):
    down = RetryLater("timeout", "no answer")
    assert await offers(Server(campaign("2.0.0"), age=timedelta(hours=23), refresh=down)).still(attempt()) is None


@pytest.mark.parametrize(("state", "outcome"), [("paused", Outcome.HELD), ("stopped", Outcome.CANCELLED)])
async def test_a_pause_holds_and_a_stop_drops(offers, state, outcome):
    hold = await offers(Server(campaign("2.0.0", state=state))).still(attempt())
    assert (hold.outcome, hold.cause.code) == (outcome, state)


async def test_a_campaign_that_is_gone_drops(offers):
    hold = await offers(Server()).still(attempt())
    assert hold.outcome is Outcome.CANCELLED
