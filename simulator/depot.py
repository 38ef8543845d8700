"""A depot: keys, releases and a published repository in one folder, made with otarepo's own parts."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from otad.publisher import bundle, grants, notation, publish, release, rollout, serve, tls
from otad.publisher.encode import Coding
from otad.publisher.keys import KeyType
from otad.publisher.workspace import Ceremony, Workspace
from simulator.settings import HARDWARE, PRODUCT, Repository
from simulator.system import System

EVERYBODY = notation.curve("0:100%")
QUICK = Coding(level=1)


def now() -> datetime:
    """When things are signed: a little ago, so that a curve that begins now has begun."""
    return datetime.now(timezone.utc).replace(microsecond=0) - timedelta(seconds=2)


@dataclass(frozen=True)
class Depot:
    """Workspace, published folder and images below `folder`."""

    folder: Path
    workspace: Workspace

    @classmethod
    def create(cls, folder: Path) -> Depot:
        """A new depot with its own keys, and nothing published."""
        return cls(folder, Workspace.create(folder / "workspace", PRODUCT, Ceremony(bundle_type=KeyType.EC), now=now()))

    @classmethod
    def open(cls, folder: Path) -> Depot:
        """What was made there before."""
        return cls(folder, Workspace.open(folder / "workspace"))

    @property
    def out(self) -> Path:
        """What a web server serves."""
        return self.folder / "public"

    def image(self, system: System) -> Path:
        """The ext4 image of a system; made once."""
        image = self.folder / f"{system.version}.img"
        return image if image.exists() else system.build(image, self.folder / f"{system.version}.tree")

    def pack(self, version: str, image: Path, hardware: str = HARDWARE) -> Path:
        """The signed bundle of an image."""
        to = self.folder / f"{version}.swu"
        bundle.pack(image, to, bundle.System(version, [hardware]), self.workspace.signer)
        return to

    def add(self, version: str, swu: Path, *, hardware: str = HARDWARE, critical: bool = False, coding: Coding = QUICK) -> None:
        """A signed release of a bundle."""
        new = release.NewRelease(version, [hardware], swu, critical=critical)
        release.add(self.workspace, new, coding, now=now())

    def roll_out(self, version: str, channel: str = "stable") -> None:
        """Offer a release to everybody, at once, in place of what was offered before; and publish."""
        grants.open_channel(self.workspace, channel, version, EVERYBODY, None, now=now())
        for campaign in rollout.read(self.workspace, channel).campaigns:
            if campaign.state.value != "stopped":
                rollout.stop(self.workspace, channel, campaign.id, now=now())
        rollout.start(self.workspace, channel, rollout.NewCampaign(version), now=now())
        self.publish()

    def offer(self, system: System, channel: str = "stable") -> None:
        """Build, pack, sign, roll out and publish a system."""
        self.add(system.version, self.pack(system.version, self.image(system)))
        self.roll_out(system.version, channel)

    def publish(self) -> None:
        """Make everything that is staged public."""
        publish.publish(self.workspace, self.out, now=now())

    def anchor(self) -> Path:
        """The first root, as a device of the factory carries it."""
        anchor = self.folder / "root.json"
        if not anchor.exists():
            shutil.copyfile(self.workspace.anchor, anchor)
        return anchor

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Repository]:
        """Serve it over HTTPS on loopback while the context lasts."""
        certificate = tls.made(self.folder / "tls", now=now())
        async with serve.running(self.out, certificate) as url:
            yield Repository(url, self.anchor(), self.workspace.signer.authority, certificate.ca)
