"""docs/schema/admission.json: cases of admission with their digests and verdicts, for other implementations. By `make schemas`.

Rules:
 1. A case is whole: documents, device and time in, digest and verdict out. Nothing else is looked at. `refused` of a device lists
    campaigns in which this very release failed there.
 2. A change of this file changes what a fleet that is out there does. A test holds it; it is never made anew to make a test pass.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from otad.admission import Device, admits, digest
from otad.formats.campaign import Campaign
from otad.formats.grant import Grant
from otad.formats.release import Release

PAGE = Path(__file__).parents[1] / "docs" / "schema" / "admission.json"
START = datetime(2026, 11, 1, tzinfo=timezone.utc)
DAY = 86400
RAMP = [[0, 10_000], [DAY, 100_000], [3 * DAY, 1_000_000]]
ALL = [[0, 1_000_000]]

RELEASE = {
    "product": "camera",
    "version": "1.1.0",
    "hardware": ["jetson-nano 1.0"],
    "payloads": [{"kind": "system", "name": "system", "sha256": "ef" * 32, "length": 1000, "disk": 2000}],
}
GRANT = {"channels": {"stable": {"opened": START, "curve": ALL}}}
CAMPAIGN = {"id": "1.1.0-1", "version": "1.1.0", "started": START, "phase": "2", "curve": RAMP}
DEVICE: dict[str, Any] = {
    "id": "d-0001",
    "product": "camera",
    "hardware": "jetson-nano 1.0",
    "version": "1.0.0",
    "channel": "stable",
    "attributes": {"ring": "field", "region": "eu"},
    "refused": [],
    "back_to": [],
}
BACK = {"campaign": {"action": "back", "curve": ALL}}

CASES: dict[str, dict[str, Any]] = {
    "nobody before the curve begins": {"after": -1},
    "the first one per cent": {"device": {"id": "d-0038"}},
    "not among the first one per cent": {},
    "half a day, and the share half way between two points: just in": {"after": DAY // 2, "device": {"id": "d-0227"}},
    "half a day: just out": {"after": DAY // 2, "device": {"id": "d-0487"}},
    "in the end everybody": {"after": 3 * DAY},
    "an id that is not ASCII": {"after": DAY, "device": {"id": "kamera-ü0"}},
    "the grant is slower than the campaign": {
        "campaign": {"curve": ALL},
        "grant": {"channels": {"stable": {"opened": START, "curve": RAMP}}},
    },
    "free of the grant's pace": {
        "campaign": {"curve": ALL},
        "grant": {"channels": {"stable": {"opened": START, "curve": RAMP, "free": {"ring": ["field"]}}}},
    },
    "the first stratum that matches": {"campaign": {"strata": [[{"region": ["us"]}, RAMP], [{"region": ["eu"]}, ALL]]}},
    "stopped": {"campaign": {"state": "stopped"}},
    "it failed here in this campaign": {"device": {"refused": ["1.1.0-1"]}},
    "paused": {"campaign": {"state": "paused", "paused": START}},
    "it runs already": {"device": {"version": "1.1.0"}},
    "not selected": {"campaign": {"only": {"ring": ["test", "lab"]}}},
    "not named": {"campaign": {"curve": ALL, "devices": ["0123456789abcdef"]}},
    "withdrawn": {"grant": {"withdrawn": True}},
    "another board": {"device": {"hardware": "jetson-orin 2.0"}},
    "older": {"device": {"version": "1.2.0-rc.1"}},
    "a step between is needed": {"release": {"min_version": "1.0.5"}},
    "back, as the running release allows": {**BACK, "device": {"version": "1.2.0", "back_to": ["1.1.0"]}},
    "back, which the running release does not allow": {**BACK, "device": {"version": "1.2.0", "back_to": ["1.0.0"]}},
}


def cases() -> Iterator[dict[str, Any]]:
    """The cases as they stand in the file."""
    for name, change in CASES.items():
        release = Release.model_validate({**RELEASE, **change.get("release", {})})
        sha256 = hashlib.sha256(release.encode()).hexdigest()
        campaign = Campaign.model_validate({**CAMPAIGN, "sha256": sha256, **change.get("campaign", {})})
        grant = Grant.model_validate({**GRANT, **change.get("grant", {})})
        device = {**DEVICE, **change.get("device", {})}
        now = START + timedelta(seconds=change.get("after", 0))
        refused = frozenset((one, sha256) for one in device["refused"])
        verdict = admits(campaign, grant, release, Device(**{**device, "refused": refused}), now)
        yield {
            "case": name,
            "release": release.model_dump(mode="json", by_alias=True),
            "release_sha256": sha256,
            "grant": grant.model_dump(mode="json"),
            "campaign": campaign.model_dump(mode="json"),
            "device": device,
            "now": now.isoformat().replace("+00:00", "Z"),
            "digest": digest(sha256, str(device["id"])).hex(),
            "reason": verdict.reason.value,
            "retry_at": verdict.retry_at.isoformat().replace("+00:00", "Z") if verdict.retry_at else None,
        }


def text() -> str:
    """The whole file."""
    return json.dumps(list(cases()), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(text())
