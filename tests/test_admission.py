"""Who may have a release, and when: every reason by example, and the properties that a fleet relies on."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otad.admission import Device, Reason, admits, bucket, choose, digest, within
from otad.formats.campaign import Action, Campaign, CampaignState
from otad.formats.curve import MILLION, Curve, Match
from otad.formats.grant import Grant, Opening
from otad.formats.release import Payload, PayloadKind, Release

START = datetime(2026, 11, 1, tzinfo=timezone.utc)
NOW = START + timedelta(days=1)
SHA, OLD = "ab" * 32, "cd" * 32
ALL = Curve(((0, MILLION),))
RAMP = Curve(((0, 10_000), (3600, 100_000), (7200, MILLION)))


def device(**changes: Any) -> Device:
    known = Device("d-1", "cam", "jetson-nano 1.0", "1.0.0", "stable", OLD, {"ring": "field"})
    return replace(known, **changes)


def campaign(**changes: Any) -> Campaign:
    known = {"id": "c1", "version": "1.1.0", "sha256": SHA, "started": START, "phase": "2", "curve": ALL}
    return Campaign.model_validate({**known, **changes})


def grant(**changes: Any) -> Grant:
    return Grant.model_validate({"channels": {"stable": Opening(opened=START, curve=ALL)}, **changes})


def release(**changes: Any) -> Release:
    payload = Payload(kind=PayloadKind.SYSTEM, name="rootfs", sha256="ef" * 32, length=1, disk=1)
    known = {"product": "cam", "version": "1.1.0", "hardware": ("jetson-nano 1.0",), "payloads": (payload,)}
    return Release.model_validate({**known, **changes})


EXAMPLES = [
    (Reason.STOPPED, {"campaign": {"state": CampaignState.STOPPED}}, "c1"),
    (Reason.PAUSED, {"campaign": {"state": CampaignState.PAUSED}}, "paused"),
    (Reason.CURRENT, {"device": {"release": SHA}}, "already"),
    (Reason.CURRENT, {"device": {"release": None, "version": "1.1.0"}}, "already"),
    (Reason.REFUSED, {"device": {"refused": frozenset({("c1", SHA)})}}, "failed here"),
    (Reason.NOT_SELECTED, {"campaign": {"only": Match({"ring": ("test", "lab")})}}, "ring: test or lab"),
    (Reason.NOT_SELECTED, {"campaign": {"devices": ("0" * 16,)}}, "not this one"),
    (Reason.NOT_GRANTED, {"grant": None}, "not listed"),
    (Reason.NOT_GRANTED, {"grant": {"withdrawn": True}}, "withdrawn"),
    (Reason.NOT_GRANTED, {"device": {"channel": "beta"}}, "open: stable"),
    (Reason.INCOMPATIBLE, {"release": {"product": "gate"}}, "is for gate"),
    (Reason.INCOMPATIBLE, {"device": {"hardware": "orin 2.0"}}, "orin 2.0"),
    (Reason.OLDER, {"device": {"version": "1.1.0"}}, "not newer"),
    (Reason.OLDER, {"device": {"version": "2.0.0"}}, "2.0.0"),
    (Reason.OLDER, {"campaign": {"action": Action.BACK}, "device": {"back_to": ("1.0.5",)}}, "does not allow"),
    (Reason.NEEDS_STEP, {"release": {"min_version": "1.0.5"}}, "1.0.5 first"),
    (Reason.NOT_YET, {"campaign": {"curve": Curve(((0, 0),))}}, "not in phase 2 yet (bucket 0."),
    (Reason.ADMITTED, {}, "1.1.0"),
    (Reason.ADMITTED, {"campaign": {"action": Action.BACK}, "device": {"version": "2.0.0", "back_to": ("1.1.0",)}}, "1.1.0"),
    (
        Reason.ADMITTED,  # a way back has no stepping stones
        {
            "campaign": {"action": Action.BACK},
            "release": {"min_version": "9.0.0"},
            "device": {"version": "2.0.0", "back_to": ("1.1.0",)},
        },
        "1.1.0",
    ),
    (Reason.ADMITTED, {"campaign": {"devices": (digest(SHA, "d-1").hex()[:16],)}}, "1.1.0"),
    (Reason.ADMITTED, {"campaign": {"only": Match({"hardware": ("jetson-nano 1.0",), "version": ("1.0.0",)})}}, "1.1.0"),
]


@pytest.mark.parametrize(("reason", "changes", "words"), EXAMPLES)
def test_each_reason_says_itself_in_words(reason: Reason, changes: dict[str, Any], words: str) -> None:
    allowed = grant(**changes.get("grant", {})) if changes.get("grant", {}) is not None else None
    verdict = admits(
        campaign(**changes.get("campaign", {})),
        allowed,
        release(**changes.get("release", {})) if allowed else None,
        device(**changes.get("device", {})),
        NOW,
    )
    assert verdict.reason is reason
    assert words in verdict.detail


def test_the_first_reason_in_order_wins() -> None:
    """Everything is wrong at once; put right in the order of `Reason`, each next reason comes up."""
    asked: dict[str, dict[str, Any]] = {
        "campaign": {"state": "stopped", "only": {"ring": ("lab",)}, "curve": ((0, 0),)},
        "device": {"release": SHA, "refused": frozenset({("c1", SHA)}), "product": "gate", "version": "2.0.0"},
        "grant": {"withdrawn": True},
        "release": {"min_version": "1.0.5"},
    }
    cures: list[tuple[str, dict[str, Any]]] = [
        ("campaign", {"state": "paused"}),
        ("campaign", {"state": "running"}),
        ("device", {"release": OLD}),
        ("device", {"refused": frozenset()}),
        ("campaign", {"only": {}}),
        ("grant", {"withdrawn": False}),
        ("device", {"product": "cam"}),
        ("device", {"version": "1.0.0"}),
        ("release", {"min_version": None}),
        ("campaign", {"curve": ((0, MILLION),)}),
    ]
    seen = []
    for name, cure in [*cures, ("campaign", {})]:
        verdict = admits(
            campaign(**asked["campaign"]), grant(**asked["grant"]), release(**asked["release"]), device(**asked["device"]), NOW
        )
        seen.append(verdict.reason)
        asked[name] = {**asked[name], **cure}
    assert seen == list(Reason)


def test_the_digest_is_what_other_programs_computed() -> None:
    """Golden values, by `printf` and sha256sum: a change would shuffle every fleet."""
    assert digest("00" * 32, "").hex() == "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    assert digest("ab" * 32, "d-1").hex() == "991f759207371f3d4f7cfad550aa77f1905d85e2a7cf7d0f2e2934da98452075"
    assert bucket("ab" * 32, "d-1") == 0x991F759207371F3D
    assert digest("ab" * 32, "kamera-ü").hex() == "4d2f592e2348c9a09133fb462bfb421d6dbe372001741d82b2687c415e446ce7"


ids = st.text(min_size=1, max_size=40)
places = st.integers(0, 2**64 - 1)


@given(places)
def test_nobody_at_zero_and_everybody_at_a_million(place: int) -> None:
    assert not within(place, 0)
    assert within(place, MILLION)


@given(places, st.integers(0, MILLION), st.integers(0, MILLION))
def test_who_is_in_stays_in_when_ppm_grows(place: int, a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert within(place, high) or not within(place, low)


@pytest.mark.parametrize("ppm", [1, 10_000, 333_333, 999_999])
def test_the_edge_is_exact(ppm: int) -> None:
    """The first bucket that is out is the smallest integer at or above ppm * 2**64 / 10**6."""
    edge = -(-(ppm << 64) // MILLION)
    assert within(edge - 1, ppm)
    assert not within(edge, ppm)


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    seconds = sorted(draw(st.sets(st.integers(0, 10**7), min_size=1, max_size=5)))
    ppms = sorted(draw(st.lists(st.integers(0, MILLION), min_size=len(seconds), max_size=len(seconds))))
    return Curve(tuple(zip(seconds, ppms, strict=True)))


def verdict_at(who: str, pace: Curve, opening: Curve, now: datetime, free: Match | None = None) -> Any:
    allowed = Grant(channels={"stable": Opening(opened=START - timedelta(hours=1), curve=opening, free=free)})
    return admits(campaign(curve=pace), allowed, release(), device(id=who), now)


@given(ids, curves(), curves(), st.floats(0, 2e7), st.floats(0, 2e7))
def test_who_is_admitted_stays_admitted(who: str, pace: Curve, opening: Curve, a: float, b: float) -> None:
    early, late = (START + timedelta(seconds=s) for s in sorted((a, b)))
    if verdict_at(who, pace, opening, early).reason is Reason.ADMITTED:
        assert verdict_at(who, pace, opening, late).reason is Reason.ADMITTED


@given(ids, curves(), curves(), st.floats(0, 2e7))
def test_the_turn_that_is_promised_comes_and_not_before(who: str, pace: Curve, opening: Curve, seconds: float) -> None:
    verdict = verdict_at(who, pace, opening, START + timedelta(seconds=seconds))
    if verdict.reason is Reason.ADMITTED:
        return
    assert verdict.reason is Reason.NOT_YET
    if verdict.retry_at is None:
        assert verdict_at(who, pace, opening, START + timedelta(days=10**5)).reason is Reason.NOT_YET
    else:
        assert verdict_at(who, pace, opening, verdict.retry_at).reason is Reason.ADMITTED
        assert verdict_at(who, pace, opening, verdict.retry_at - timedelta(seconds=1.001)).reason is Reason.NOT_YET


@given(ids, curves(), curves(), st.floats(0, 2e7), st.integers(1, 5))
def test_who_is_admitted_stays_admitted_as_shares_grow(
    who: str, pace: Curve, opening: Curve, seconds: float, factor: int
) -> None:
    """By an online key that advances, and by an offline key that opens wider."""
    now = START + timedelta(seconds=seconds)
    faster, wider = (Curve(tuple((t, min(MILLION, ppm * factor)) for t, ppm in curve.root)) for curve in (pace, opening))
    if verdict_at(who, pace, opening, now).reason is Reason.ADMITTED:
        assert verdict_at(who, faster, opening, now).reason is Reason.ADMITTED
        assert verdict_at(who, faster, wider, now).reason is Reason.ADMITTED


@given(ids, curves(), st.floats(0, 2e7))
def test_no_campaign_is_faster_than_its_grant(who: str, opening: Curve, seconds: float) -> None:
    """Whatever the online key asks for, a device is in only when its place is within what the offline key opened."""
    now = START + timedelta(seconds=seconds)
    granted = opening.at((now - START + timedelta(hours=1)).total_seconds())
    admitted = verdict_at(who, ALL, opening, now).reason is Reason.ADMITTED
    assert admitted == within(bucket(SHA, who), granted)


@given(ids, st.lists(ids, max_size=5), curves(), st.floats(0, 2e7), st.booleans())
def test_naming_devices_only_narrows(who: str, others: list[str], pace: Curve, seconds: float, named: bool) -> None:
    """Named devices wait for their turn like any other; those that are not named never come."""
    now = START + timedelta(seconds=seconds)
    names = tuple(digest(SHA, one).hex()[:16] for one in (*others, *([who] if named else [])))
    free = admits(campaign(curve=pace), grant(), release(), device(id=who), now)
    narrow = admits(campaign(curve=pace, devices=names), grant(), release(), device(id=who), now)
    if not names or named or who in others:
        assert narrow == free
    else:
        assert narrow.reason is Reason.NOT_SELECTED


def test_the_grant_paces_the_campaign_but_not_the_free() -> None:
    shut = Curve(((0, 0),))
    assert verdict_at("d-1", ALL, shut, NOW).reason is Reason.NOT_YET
    assert verdict_at("d-1", ALL, shut, NOW).retry_at is None
    assert verdict_at("d-1", ALL, shut, NOW, Match({"ring": ("field",)})).reason is Reason.ADMITTED
    assert verdict_at("d-1", ALL, shut, NOW, Match({"ring": ("test",)})).reason is Reason.NOT_YET


def test_the_first_stratum_that_matches_replaces_the_curve() -> None:
    shut = Curve(((0, 0),))
    strata = ((Match({"ring": ("lab",)}), shut), (Match({"ring": ("field",)}), ALL), (Match({}), shut))
    asked = campaign(curve=shut, strata=strata)
    assert admits(asked, grant(), release(), device(), NOW).reason is Reason.ADMITTED
    assert admits(asked, grant(), release(), device(attributes={"ring": "lab"}), NOW).reason is Reason.NOT_YET


def test_a_turn_beyond_the_calendar_is_never() -> None:
    late = datetime(9999, 12, 31, tzinfo=timezone.utc)
    asked = campaign(started=late, curve=Curve(((0, 0), (10**8, MILLION))))
    assert admits(asked, grant(), release(), device(), NOW).retry_at is None


def test_settings_cannot_claim_other_hardware() -> None:
    claims = device(attributes={"hardware": "orin 2.0"})
    assert (
        admits(campaign(only=Match({"hardware": ("orin 2.0",)})), grant(), release(), claims, NOW).reason is Reason.NOT_SELECTED
    )


def test_buckets_are_uniform_and_releases_are_independent() -> None:
    """Sequential ids, random ones, and the first tenth of one release under another: 20 bins each, chi-square, p > 0.001."""
    names = [f"serial-{n:06}" for n in range(20_000)]
    chance = random.Random(11)
    drawn = [f"{chance.getrandbits(128):032x}" for _ in range(20_000)]
    tenth = [name for name in names if within(bucket(SHA, name), 100_000)]
    for sample, release_sha in ((names, SHA), (drawn, SHA), (tenth, OLD)):
        bins = Counter(bucket(release_sha, name) * 20 >> 64 for name in sample)
        expected = len(sample) / 20
        assert sum((bins[n] - expected) ** 2 / expected for n in range(20)) < 43.8  # 19 degrees of freedom


def test_the_best_of_several() -> None:
    def offer(version: str, **changes: Any) -> tuple[Campaign, Release]:
        action = changes.pop("action", Action.UPDATE)
        return campaign(version=version, action=action), release(version=version, **changes)

    newest, critical, back = offer("1.10.0"), offer("1.9.0", critical=True), offer("0.9.0", action=Action.BACK)
    assert choose([]) is None
    assert choose([offer("1.9.0"), newest, offer("1.2.0")]) == newest
    assert choose([newest, critical]) == critical
    assert choose([newest, critical, back]) == back
