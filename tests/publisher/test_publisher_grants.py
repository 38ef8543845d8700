"""Grants: allowed to nobody until they are opened, wider from then on, and at an end when they are withdrawn."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from otad.errors import Rejected
from otad.formats.curve import Curve, Match
from otad.formats.grant import Grant
from otad.publisher import grants, notation, release, rollout
from otad.publisher.publish import publish
from otad.publisher.workspace import Workspace
from tests.support.published import BOARD, FAST, NOW, Reader, added, rolled_out

ALL = notation.curve("0:100%")


def grant(ws: Workspace, version: str = "1.0.0") -> Grant:
    return release.grant_of(release.find(ws, ws.roles.targets("releases"), version))


def test_a_channel_is_closed_until_it_is_opened(ws: Workspace) -> None:
    added(ws, "1.0.0")
    assert grant(ws).channels == {}
    pace, free = notation.curve("0:1%,1d:100%"), notation.match(["ring=test"])
    assert grants.open_channel(ws, "stable", "1.0.0", pace, free, now=NOW)
    opening = grant(ws).channels["stable"]
    assert (opening.opened, opening.curve, opening.free) == (NOW, pace, free)
    assert not grants.open_channel(ws, "stable", "1.0.0", pace, free, now=NOW + timedelta(hours=1))


def test_an_opening_widens_but_keeps_its_beginning(ws: Workspace) -> None:
    added(ws, "1.0.0")
    grants.open_channel(ws, "stable", "1.0.0", notation.curve("0:1%,1d:10%"), None, now=NOW)
    grants.open_channel(ws, "beta", "1.0.0", notation.curve("0:100%"), None, now=NOW)
    grants.open_channel(ws, "stable", "1.0.0", notation.curve("0:1%,1d:50%"), None, now=NOW + timedelta(days=2))
    assert grant(ws).channels["stable"].opened == NOW
    assert set(grant(ws).channels) == {"stable", "beta"}
    with pytest.raises(Rejected) as refused:
        grants.open_channel(ws, "stable", "1.0.0", notation.curve("0:1%,1d:49%"), None, now=NOW + timedelta(days=3))
    assert refused.value.cause.code == "curve-falls"


@pytest.mark.parametrize(
    ("old", "new", "falling"),
    [
        ("0:1%", "0:1%", False),
        ("0:1%,1d:10%", "0:2%,1d:10%", False),
        ("0:1%,1d:10%", "0:1%,2d:10%", True),
        ("0:0%,100:10%", "50:90%", True),  # before it begins it is at 0
        ("10:1%", "0:1%", False),
        ("0:1%", "10:100%", True),
    ],
)
def test_falls(old: str, new: str, falling: bool) -> None:
    assert grants.falls(notation.curve(old), notation.curve(new)) is falling


def test_unknown_releases_and_impossible_channels_are_named(ws: Workspace) -> None:
    added(ws, "1.0.0")
    with pytest.raises(Rejected, match=r"no release 2\.0\.0 \(there is: 1\.0\.0\)"):
        grants.open_channel(ws, "stable", "2.0.0", Curve(((0, 1),)), Match(), now=NOW)
    with pytest.raises(Rejected, match=r"channels\.Not/A Channel") as refused:
        grants.open_channel(ws, "Not/A Channel", "1.0.0", Curve(((0, 1),)), None, now=NOW)
    assert refused.value.cause.code == "channel-name"


def test_who_was_free_stays_free(ws: Workspace) -> None:
    added(ws, "1.0.0")
    free = notation.match(["ring=test,lab", "region=eu"])
    grants.open_channel(ws, "stable", "1.0.0", ALL, free, now=NOW)
    for narrower in (None, notation.match(["ring=test", "region=eu"]), notation.match(["ring=test,lab", "region=eu", "site=a"])):
        with pytest.raises(Rejected) as refused:
            grants.open_channel(ws, "stable", "1.0.0", ALL, narrower, now=NOW)
        assert refused.value.cause.code == "free-narrows"
    assert grants.open_channel(ws, "stable", "1.0.0", ALL, notation.match(["ring=test,lab,home"]), now=NOW)


def test_the_way_back_can_be_allowed_when_the_release_is_out(ws: Workspace) -> None:
    added(ws, "1.0.0")
    added(ws, "1.1.0")
    assert grants.allow_back(ws, "1.1.0", ["1.0.0"], now=NOW)
    assert not grants.allow_back(ws, "1.1.0", ["1.0.0"], now=NOW)
    assert grant(ws, "1.1.0").back_to == ("1.0.0",)
    with pytest.raises(Rejected, match=r"1\.1\.0 is not older than 1\.0\.0") as refused:
        grants.allow_back(ws, "1.0.0", ["1.1.0"], now=NOW)
    assert refused.value.cause.code == "back-forward"
    with pytest.raises(Rejected, match=r"no release 0\.9\.0"):
        grants.allow_back(ws, "1.1.0", ["0.9.0"], now=NOW)


def test_a_withdrawn_release_stays_listed_and_keeps_its_way_back(ws: Workspace, published: Path, tmp_path: Path) -> None:
    rolled_out(ws, "1.1.0")
    grants.allow_back(ws, "1.1.0", ["1.0.0"], now=NOW)
    assert grants.withdraw(ws, "1.1.0", now=NOW)
    assert not grants.withdraw(ws, "1.1.0", now=NOW)
    publish(ws, published, now=NOW)
    target = Reader(published, ws.anchor, tmp_path / "device").target("releases/camera/1.1.0.json")
    assert target is not None
    seen = release.grant_of(target)
    assert (seen.withdrawn, seen.back_to, set(seen.channels)) == (True, ("1.0.0",), {"stable"})


def test_nothing_more_is_done_with_a_withdrawn_release(ws: Workspace) -> None:
    swu = added(ws, "1.0.0")
    grants.withdraw(ws, "1.0.0", now=NOW)
    with pytest.raises(Rejected, match="is withdrawn") as refused:
        grants.open_channel(ws, "stable", "1.0.0", ALL, None, now=NOW)
    assert refused.value.cause.code == "release-withdrawn"
    with pytest.raises(Rejected, match="is withdrawn"):
        rollout.start(ws, "stable", rollout.NewCampaign("1.0.0"), now=NOW)
    assert not release.add(ws, release.NewRelease("1.0.0", [BOARD], swu), FAST, now=NOW)  # the same again is no way out
    assert grant(ws).withdrawn


def test_a_campaign_of_a_withdrawn_release_is_told_to_be_useless(ws: Workspace) -> None:
    rolled_out(ws, "1.0.0")
    grants.withdraw(ws, "1.0.0", now=NOW)
    paused = rollout.pause(ws, "stable", now=NOW)
    assert rollout.caveat(ws, "stable", paused) is None
    running = rollout.resume(ws, "stable", now=NOW)
    assert "1.0.0 is withdrawn" in str(rollout.caveat(ws, "stable", running))
    rollout.stop(ws, "stable", now=NOW)
