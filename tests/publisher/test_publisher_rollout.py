"""Campaigns: their pace never falls, a pause stops their clock, and they stay within what was opened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otad.errors import Rejected
from otad.formats.campaign import Action, Campaign, CampaignState
from otad.formats.curve import MILLION, Curve
from otad.publisher import grants, notation, release, rollout
from otad.publisher.rollout import NewCampaign
from otad.publisher.workspace import Workspace
from tests.support.published import NOW, added

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PACE = notation.curve("0:0%,10h:100%")

curves = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, MILLION)), min_size=1, max_size=6).map(
    lambda points: Curve(tuple(zip(sorted({s for s, _ in points}), sorted(p for _, p in points), strict=False)))
)


@pytest.fixture
def opened(ws: Workspace) -> Workspace:
    added(ws, "1.0.0")
    grants.open_channel(ws, "stable", "1.0.0", PACE, None, now=NOW)
    return ws


def only(ws: Workspace) -> Campaign:
    (one,) = rollout.read(ws, "stable").campaigns
    return one


def pace(ws: Workspace, after: timedelta) -> int:
    one = only(ws)
    return one.curve.at((NOW + after - one.started).total_seconds())


def test_a_campaign_takes_the_granted_pace(opened: Workspace) -> None:
    rollout.start(opened, "stable", NewCampaign("1.0.0", phase="canary"), now=NOW)
    one = only(opened)
    assert (one.id, one.version, one.state, one.action) == ("1.0.0-1", "1.0.0", CampaignState.RUNNING, Action.UPDATE)
    assert (one.curve, one.started, one.phase) == (PACE, NOW, "canary")
    assert one.sha256 == release.find(opened, opened.roles.targets("releases"), "1.0.0").hashes["sha256"]


def test_a_closed_channel_has_no_campaign(ws: Workspace) -> None:
    added(ws, "1.0.0")
    with pytest.raises(Rejected, match="not opened to stable") as refused:
        rollout.start(ws, "stable", NewCampaign("1.0.0"), now=NOW)
    assert refused.value.cause.code == "channel-closed"
    assert "otarepo open" in refused.value.cause.remedy


def test_it_needs_only_the_online_key(opened: Workspace) -> None:
    for file in opened.keys.path.glob("*.pem"):
        if file.stem != "rollouts":
            file.unlink()
    rollout.start(opened, "stable", NewCampaign("1.0.0"), now=NOW)
    rollout.pause(opened, "stable", now=NOW + HOUR)
    assert only(opened).state is CampaignState.PAUSED


def test_a_pause_stops_the_clock(opened: Workspace) -> None:
    rollout.start(opened, "stable", NewCampaign("1.0.0"), now=NOW)
    rollout.pause(opened, "stable", now=NOW + 2 * HOUR)
    rollout.pause(opened, "stable", now=NOW + 3 * HOUR)  # again: the first moment counts
    assert only(opened).paused == NOW + 2 * HOUR
    rollout.resume(opened, "stable", now=NOW + DAY)
    assert only(opened).paused is None
    assert pace(opened, DAY) == 200_000
    assert pace(opened, DAY + HOUR) == 300_000


def test_advance_raises_now_and_keeps_the_plan(opened: Workspace) -> None:
    rollout.start(opened, "stable", NewCampaign("1.0.0"), now=NOW)
    rollout.advance(opened, "stable", 500_000, "phase 3", now=NOW + HOUR)
    assert pace(opened, HOUR) == 100_000
    assert pace(opened, HOUR + timedelta(seconds=1)) == 500_000
    assert pace(opened, 5 * HOUR) == 500_000
    assert pace(opened, 6 * HOUR) == pytest.approx(600_000, abs=2)
    assert pace(opened, 10 * HOUR) == MILLION
    assert only(opened).phase == "phase 3"


def test_advance_counts_from_where_a_pause_began(opened: Workspace) -> None:
    rollout.start(opened, "stable", NewCampaign("1.0.0"), now=NOW)
    rollout.pause(opened, "stable", now=NOW + HOUR)
    rollout.advance(opened, "stable", 150_000, now=NOW + DAY)
    rollout.resume(opened, "stable", now=NOW + DAY)
    assert pace(opened, DAY + timedelta(seconds=1)) == 150_000


def test_advance_never_goes_back(opened: Workspace) -> None:
    rollout.start(opened, "stable", NewCampaign("1.0.0"), now=NOW)
    with pytest.raises(Rejected, match="is at 50 % already") as refused:
        rollout.advance(opened, "stable", 10_000, now=NOW + 5 * HOUR)
    assert refused.value.cause.code == "advance-behind"
    assert only(opened).curve == PACE


def test_advance_raises_the_strata_too(opened: Workspace) -> None:
    strata = (notation.stratum("region=eu;0:1%"),)
    rollout.start(opened, "stable", NewCampaign("1.0.0", notation.curve("0:20%"), strata=strata), now=NOW)
    rollout.advance(opened, "stable", 100_000, now=NOW + HOUR)
    one = only(opened)
    assert one.strata[0][1].at(3601) == 100_000
    assert one.curve.at(3601) == 200_000


@given(curves, st.integers(0, 10**6), st.integers(1, MILLION), st.integers(0, 2 * 10**6))
def test_raised_is_never_below_the_old_curve(curve: Curve, elapsed: int, ppm: int, later: int) -> None:
    new = rollout.raised(curve, elapsed, ppm)
    assert new.at(elapsed) == curve.at(elapsed)
    second = elapsed + 1 + later
    assert new.at(second) >= ppm
    assert new.at(second) >= curve.at(second) - 1  # whole ppm between whole points
    assert new.at(10**9) == max(ppm, curve.at(10**9))


def test_a_stopped_campaign_is_over(opened: Workspace) -> None:
    rollout.start(opened, "stable", NewCampaign("1.0.0"), now=NOW)
    rollout.stop(opened, "stable", now=NOW + HOUR)
    orders: list[Callable[..., Campaign]] = [rollout.pause, rollout.resume, rollout.stop]
    for order in orders:
        with pytest.raises(Rejected, match="no campaign that is not stopped"):
            order(opened, "stable", now=NOW + DAY)
    again = rollout.start(opened, "stable", NewCampaign("1.0.0"), now=NOW + DAY)
    assert again.id == "1.0.0-2"
    assert [one.state.value for one in rollout.read(opened, "stable").campaigns] == ["stopped", "running"]


def test_one_live_campaign_for_a_version_but_many_in_a_channel(opened: Workspace) -> None:
    rollout.start(opened, "stable", NewCampaign("1.0.0"), now=NOW)
    with pytest.raises(Rejected, match="already has a campaign"):
        rollout.start(opened, "stable", NewCampaign("1.0.0"), now=NOW)
    added(opened, "1.1.0")
    grants.open_channel(opened, "stable", "1.1.0", PACE, None, now=NOW)
    rollout.start(opened, "stable", NewCampaign("1.1.0"), now=NOW)
    with pytest.raises(Rejected, match=r"several campaigns: 1\.0\.0-1, 1\.1\.0-1"):
        rollout.pause(opened, "stable", now=NOW)
    with pytest.raises(Rejected, match=r"no campaign 9 that is not stopped"):
        rollout.pause(opened, "stable", "9", now=NOW)
    rollout.pause(opened, "stable", "1.1.0-1", now=NOW)
    assert [one.state.value for one in rollout.read(opened, "stable").campaigns] == ["running", "paused"]


def test_the_same_order_twice_signs_once(opened: Workspace) -> None:
    rollout.start(opened, "stable", NewCampaign("1.0.0"), now=NOW)
    version = opened.roles.version("rollouts")
    rollout.resume(opened, "stable", now=NOW + HOUR)
    assert opened.roles.version("rollouts") == version


@pytest.mark.parametrize(
    ("curve", "lead", "faster"),
    [("0:0%,10h:100%", 0, False), ("0:0%,9h:100%", 0, True), ("0:50%", 5, False), ("0:51%", 5, True), ("0:0%,8h:100%", 2, False)],
)
def test_outruns(opened: Workspace, curve: str, lead: int, faster: bool) -> None:
    one = rollout.start(opened, "stable", NewCampaign("1.0.0", notation.curve(curve)), now=NOW + lead * HOUR)
    assert rollout.outruns(one, rollout.granted(opened, "stable", "1.0.0")) is faster


def test_wrong_devices_are_named(opened: Workspace) -> None:
    with pytest.raises(Rejected, match=r"devices\.0: 'device-7'"):
        rollout.start(opened, "stable", NewCampaign("1.0.0", devices=("device-7",)), now=NOW)
