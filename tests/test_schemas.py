"""docs/schema: the schemas are the models', what is written is valid, and admission is what the golden file says."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError
from semver import Version

from otad.admission import Device, admits
from otad.errors import Cause, Who
from otad.formats import SemVer
from otad.formats.campaign import Action, Campaign
from otad.formats.event import Event
from otad.formats.grant import Grant
from otad.formats.release import Release
from otad.publisher import grants, notation, rollout
from otad.publisher.keys import KeyType
from otad.publisher.publish import publish
from otad.publisher.workspace import Ceremony, Workspace
from tests.support.published import NOW, added, rolled_out
from tools import golden, schemas

EXAMPLES = json.loads(golden.PAGE.read_text())


def validator(name: str) -> Draft202012Validator:
    plain = json.loads((schemas.FOLDER / f"{name}.json").read_text())
    Draft202012Validator.check_schema(plain)
    return Draft202012Validator(plain, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("name", schemas.DOCUMENTS)
def test_the_schemas_are_current(name: str) -> None:
    assert (schemas.FOLDER / f"{name}.json").read_text() == schemas.text(name), "a format has changed: run `make schemas`"


@pytest.mark.parametrize("name", schemas.DOCUMENTS)
def test_every_field_is_explained(name: str) -> None:
    whole = schemas.schema(name)
    for title, part in {name: whole, **whole.get("$defs", {})}.items():
        assert part["description"] or part.get("enum"), title
        assert "\n\n\n" not in part["description"]


def test_everything_that_is_published_is_valid(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "ws", "camera", Ceremony(bundle_type=KeyType.EC), now=NOW)
    rolled_out(ws, "1.0.0")
    added(ws, "1.1.0-rc.1+build.7", min_version="1.0.0", critical=True, notes="größer", back_to=["1.0.0"])
    pace, free = notation.curve("0:1%,1d:100%"), notation.match(["ring=test,lab"])
    grants.open_channel(ws, "beta", "1.1.0-rc.1+build.7", pace, free, now=NOW)
    new = rollout.NewCampaign(
        "1.1.0-rc.1+build.7", phase="canary", strata=(notation.stratum("region=eu;0:1%"),), only=free, devices=("0" * 16,)
    )
    rollout.start(ws, "beta", new, now=NOW)
    rollout.pause(ws, "beta", now=NOW)
    rollout.stop(ws, "stable", now=NOW)
    grants.withdraw(ws, "1.1.0-rc.1+build.7", now=NOW)
    rollout.start(ws, "stable", rollout.NewCampaign("1.0.0", action=Action.BACK), now=NOW)
    publish(ws, tmp_path / "out", now=NOW)

    seen = set()
    for role in ("releases", "rollouts"):
        for path, target in ws.roles.targets(role).targets.items():
            kind = path.split("/")[0].removesuffix("s") if path.startswith("releases") else path.split("/")[0]
            published = tmp_path / "out" / "targets" / target.get_prefixed_paths()[0]
            validator(kind).validate(json.loads(published.read_bytes()))
            seen.add(kind)
            if kind == "release":
                validator("grant").validate(target.custom)
    assert seen == {"release", "encodings", "rollouts"}


def test_what_a_device_tells_is_valid() -> None:
    short = Event("01J", "camera-1", "b00t", NOW, "check", "nothing")
    cause = Cause("disk-full", "no room " * 500, "make some", Who.FIELD, {"log": "x" * 9999})
    whole = Event(
        "01J", "camera-1", "b00t", NOW, "verify", "failed", "1.0.0", "A", "01K", "update", "1.1.0-1", "ab" * 32, "1.1.0", "B",
        cause, {"more": "y"}, {"verify": 1.5}, {"download": 7},
    )  # fmt: skip
    for event in (short, whole):
        validator("event").validate(json.loads(event.to_json()))
        assert set(json.loads(event.to_json())) <= set(schemas.schema("event")["properties"])


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("release", {"version": "1.0"}),
    ("release", {"version": "٣.0.0"}),
    ("release", {"hardware": []}),
    ("release", {"schema": 2}),
    ("release", {"surprise": True}),
    ("release", {"product": "Not A Name"}),
    ("grant", {"channels": {"Not A Name": EXAMPLES[0]["grant"]["channels"]["stable"]}}),
    ("grant", {"channels": {"stable": {"opened": "2026-11-01T00:00:00Z", "curve": [[0, 1_000_001]]}}}),
    ("grant", {"channels": {"stable": {"opened": "2026-11-01T00:00:00Z", "curve": []}}}),
    ("grant", {"back_to": ["older"]}),
]


@pytest.mark.parametrize(("name", "change"), WRONG)
def test_what_devices_refuse_is_not_valid(name: str, change: dict[str, Any]) -> None:
    plain = {**EXAMPLES[0][name], **change}
    assert not validator(name).is_valid(plain)
    with pytest.raises(ValidationError):
        TypeAdapter(schemas.DOCUMENTS[name]).validate_json(json.dumps(plain))
    assert validator(name).is_valid(EXAMPLES[0][name])


numbers = st.text("0123456789", min_size=1, max_size=3)
words = st.text("0123456789abAB-.", max_size=6)


almost = st.builds("{}.{}.{}{}{}".format, numbers, numbers, numbers, st.sampled_from(["", "-", "+", "-1+", "--"]), words)


@given(st.text(max_size=12) | almost)
def test_the_pattern_of_versions_is_what_semver_means(text: str) -> None:
    try:
        known = str(Version.parse(text)) == text
    except ValueError:
        known = False
    pattern = TypeAdapter(SemVer).json_schema()["pattern"]
    assert bool(re.fullmatch(pattern, text)) == known


@pytest.mark.parametrize("text", ["1.0.0\n", "1٣.0.0", " 1.0.0"])
def test_a_version_is_written_in_one_way(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(SemVer).validate_python(text)


# -- the golden file --------------------------------------------------------------------------------------------------------


def test_the_golden_file_is_what_this_otad_does() -> None:
    assert golden.PAGE.read_text() == golden.text(), "admission has changed: every fleet that is out there would notice"


def test_the_golden_file_covers_every_reason() -> None:
    assert len(EXAMPLES) >= 20
    assert {example["reason"] for example in EXAMPLES} == {
        "stopped", "paused", "current", "refused", "not_selected", "not_granted", "incompatible", "older", "needs_step",
        "not_yet", "admitted",
    }  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["case"])
def test_each_case_stands_by_itself(example: dict[str, Any]) -> None:
    """As another implementation would take it: from the file alone."""
    for name in ("release", "grant"):
        validator(name).validate(example[name])
    validator("rollouts").validate({"channel": "stable", "campaigns": [example["campaign"]]})
    canonical = json.dumps(example["release"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    sha256 = hashlib.sha256(canonical)
    assert example["release_sha256"] == sha256.hexdigest()
    assert example["digest"] == hashlib.sha256(sha256.digest() + example["device"]["id"].encode()).hexdigest()
    found = admits(
        Campaign.model_validate(example["campaign"]),
        Grant.model_validate(example["grant"]),
        Release.model_validate(example["release"]),
        Device(**{**example["device"], "refused": frozenset((one, sha256.hexdigest()) for one in example["device"]["refused"])}),
        datetime.fromisoformat(example["now"].replace("Z", "+00:00")),
    )
    assert found.reason.value == example["reason"]
