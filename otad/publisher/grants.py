"""Grants: what the offline key allows to be done with a release, whatever the online key says.

Rules:
 1. A grant only grows: a channel's pace never falls below what it already allows, nobody who was free of it is held by it,
    `back_to` never loses a version.
 2. A withdrawn release is withdrawn for good. It stays listed: devices that run it find there where they may go back to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tuf.api.metadata import TargetFile, Targets

from otad.errors import Rejected, Who
from otad.formats import newer
from otad.formats.curve import Curve, Match
from otad.formats.grant import Grant, Opening
from otad.publisher.notation import checked
from otad.publisher.release import back_to, find, grant_of, put_grant
from otad.publisher.roles import RELEASES
from otad.publisher.workspace import Workspace


def open_channel(ws: Workspace, channel: str, version: str, curve: Curve, free: Match | None, *, now: datetime) -> bool:
    """Allow roll-outs of `version` in `channel`, at most at `curve`'s pace from `now` on. False when that is so already.

    Opening it again widens: the first moment stays. Raises Rejected("curve-falls") or Rejected("free-narrows") where it would
    narrow.
    """
    with ws.writing("open"):
        releases = ws.roles.next_targets(RELEASES)
        target = find(ws, releases, version)
        grant = standing(target, version)
        old = grant.channels.get(channel)
        opening = Opening(opened=old.opened if old else now, curve=curve, free=free)
        if old and falls(old.curve, curve):
            what = f"{version} may already reach more of {channel} than the new curve allows"
            raise Rejected("curve-falls", what, "Give a curve that is nowhere below the old one", who=Who.INTEGRATOR)
        if old and old.free and not covers(free, old.free):
            what = f"{version} is free in {channel} for devices that the new --free leaves out"
            raise Rejected("free-narrows", what, "Repeat what was free, and only add values to it", who=Who.INTEGRATOR)
        grown = checked(Grant, "channel-name", **{**dict(grant), "channels": {**grant.channels, channel: opening}})
        return _regrant(ws, releases, target, grown, now)


def allow_back(ws: Workspace, version: str, older: Sequence[str], *, now: datetime) -> bool:
    """Let the fleet be sent back from `version` to each of `older`. False when that is so already.

    Raises Rejected("release-unknown"), Rejected("back-forward") for one that is not older.
    """
    with ws.writing("allow"):
        releases = ws.roles.next_targets(RELEASES)
        target = find(ws, releases, version)
        for one in older:
            find(ws, releases, one)
            if not newer(version, one):
                what = f"{one} is not older than {version}: nobody goes back to it from there"
                raise Rejected("back-forward", what, "Start an ordinary roll-out of it", who=Who.INTEGRATOR)
        return _regrant(ws, releases, target, back_to(grant_of(target), older), now)


def withdraw(ws: Workspace, version: str, *, now: datetime) -> bool:
    """Let no device take `version` any more, whatever the online key says. False when that is so already."""
    with ws.writing("withdraw"):
        releases = ws.roles.next_targets(RELEASES)
        target = find(ws, releases, version)
        return _regrant(ws, releases, target, grant_of(target).model_copy(update={"withdrawn": True}), now)


def standing(target: TargetFile, version: str) -> Grant:
    """The grant of a release that devices may have. Raises Rejected("release-withdrawn")."""
    grant = grant_of(target)
    if grant.withdrawn:
        what = f"{version} is withdrawn: no device takes it any more"
        raise Rejected("release-withdrawn", what, "Publish what is right in it under a new version", who=Who.INTEGRATOR)
    return grant


def falls(old: Curve, new: Curve) -> bool:
    """Whether `new` is anywhere below `old`: it is enough to look where either bends, and just before `new` jumps up from 0."""
    bends = [second for second, _ in (*old.root, *new.root)]
    return any(new.at(second) < old.at(second) for second in (*bends, new.root[0][0] - 1))


def covers(new: Match | None, old: Match) -> bool:
    """Whether `new` holds for every device that `old` holds for."""
    return new is not None and all(name in old.root and set(old.root[name]) <= set(values) for name, values in new.root.items())


def _regrant(ws: Workspace, releases: Targets, target: TargetFile, grant: Grant, now: datetime) -> bool:
    """Sign `grant` for a release that is listed. False when it is the one that it has."""
    if grant == grant_of(target):
        return False
    put_grant(releases, target, grant)
    ws.roles.save(RELEASES, releases, now=now)
    return True
