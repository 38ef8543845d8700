"""Campaign and Rollouts: who may have which release now. Signed by the online key, within what the grants allow."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from otad.formats import Document, Model, Name, SemVer, Sha256
from otad.formats.curve import Curve, Match

Digest16 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class Action(str, Enum):
    """update: to a higher version; back: to a lower one that the running release's grant names."""

    UPDATE = "update"
    BACK = "back"


class CampaignState(str, Enum):
    """paused keeps what devices fetched; stopped drops it."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class Campaign(Model):
    """One roll-out of one release in one channel.

    sha256   of the release document
    started  when `curve` begins (aware, UTC); a pause moves it on by its length, so that no pace is caught up afterwards
    paused   since when, while the state is paused
    phase    a label for people
    strata   (Match, Curve) pairs; the first that matches replaces `curve`
    only     devices that take part
    devices  first 16 hex digits of the admission digest; when not empty, only these take part
    """

    id: Name
    version: SemVer
    sha256: Sha256
    action: Action = Action.UPDATE
    state: CampaignState = CampaignState.RUNNING
    started: AwareDatetime
    paused: AwareDatetime | None = None
    phase: str = ""
    curve: Curve
    strata: tuple[tuple[Match, Curve], ...] = ()
    only: Match = Match({})
    devices: Annotated[tuple[Digest16, ...], Field(max_length=1000)] = ()


class Rollouts(Document):
    """`targets/rollouts/<channel>.json`."""

    schema_: Literal[1] = 1
    channel: Name
    campaigns: tuple[Campaign, ...] = ()
