"""The way back: only where a running release allows it, and never against a campaign that leads there again."""

from __future__ import annotations

import pytest

from otad.errors import Rejected
from otad.formats.campaign import Action
from otad.formats.curve import Match
from otad.publisher import grants, notation, rollout, wayback
from otad.publisher.rollout import NewCampaign
from otad.publisher.workspace import Workspace
from tests.support.published import NOW, rolled_out

BACK = NewCampaign("1.0.0", action=Action.BACK)


@pytest.fixture
def fleet(ws: Workspace) -> Workspace:
    """1.0.0, whose campaign is over, and 1.1.0, that is being rolled out."""
    rolled_out(ws, "1.0.0")
    rollout.stop(ws, "stable", now=NOW)
    rolled_out(ws, "1.1.0")
    return ws


def test_without_a_grant_there_is_no_way_back(fleet: Workspace) -> None:
    with pytest.raises(Rejected, match=r"no release allows to go back to 1\.0\.0") as refused:
        rollout.start(fleet, "stable", BACK, now=NOW)
    assert refused.value.cause.code == "back-not-granted"
    assert f"otarepo allow {fleet.path} --version RUNNING --back-to 1.0.0" in refused.value.cause.remedy


def test_there_and_back_are_not_campaigns_at_one_time(fleet: Workspace) -> None:
    grants.allow_back(fleet, "1.1.0", ["1.0.0"], now=NOW)
    with pytest.raises(Rejected, match=r"to and fro: 1\.1\.0 by one campaign, back to 1\.0\.0 by the other") as refused:
        rollout.start(fleet, "stable", BACK, now=NOW)
    assert "rollout stop" in refused.value.cause.remedy
    assert "--campaign 1.1.0-1" in refused.value.cause.remedy
    rollout.stop(fleet, "stable", now=NOW)
    back = rollout.start(fleet, "stable", BACK, now=NOW)
    assert (back.id, back.action) == ("1.0.0-2", Action.BACK)
    with pytest.raises(Rejected, match="to and fro") as refused:
        rollout.start(fleet, "stable", NewCampaign("1.1.0"), now=NOW)
    assert "--campaign 1.0.0-2" in refused.value.cause.remedy


def test_a_withdrawn_release_leads_nobody_there_again(fleet: Workspace) -> None:
    grants.allow_back(fleet, "1.1.0", ["1.0.0"], now=NOW)
    grants.withdraw(fleet, "1.1.0", now=NOW)
    assert rollout.start(fleet, "stable", BACK, now=NOW).action is Action.BACK


def test_a_newer_release_from_which_nobody_goes_back_may_run_beside(fleet: Workspace) -> None:
    grants.allow_back(fleet, "1.1.0", ["1.0.0"], now=NOW)
    rollout.stop(fleet, "stable", now=NOW)
    rolled_out(fleet, "1.2.0")
    assert rollout.start(fleet, "stable", BACK, now=NOW).action is Action.BACK


def test_selections_with_no_device_in_common_may_go_each_its_way(fleet: Workspace) -> None:
    grants.allow_back(fleet, "1.1.0", ["1.0.0"], now=NOW)
    rollout.stop(fleet, "stable", now=NOW)
    rollout.start(fleet, "stable", NewCampaign("1.1.0", only=notation.match(["region=us"])), now=NOW)
    only_eu = NewCampaign("1.0.0", action=Action.BACK, only=notation.match(["region=eu"]))
    assert rollout.start(fleet, "stable", only_eu, now=NOW).action is Action.BACK


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ({"region": ("eu",)}, {"region": ("us",)}, True),
        ({"region": ("eu", "us")}, {"region": ("us",)}, False),
        ({"region": ("eu",)}, {"ring": ("test",)}, False),
        ({}, {"region": ("us",)}, False),
        ({"region": ("eu",), "ring": ("a",)}, {"region": ("eu",), "ring": ("b",)}, True),
    ],
)
def test_apart(one: dict[str, tuple[str, ...]], other: dict[str, tuple[str, ...]], apart: bool) -> None:
    assert wayback.apart(Match(one), Match(other)) is apart
    assert wayback.apart(Match(other), Match(one)) is apart
