"""Grant: what the offline keys allow the online key to do with one release. Stands in TargetFile.custom."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from otad.formats import Model, Name, SemVer
from otad.formats.curve import Curve, Match


class Opening(Model):
    """One channel opened to a release.

    opened  when the curve begins (aware, UTC)
    curve   the fastest pace that any campaign in this channel may take
    free    devices that the pace does not hold (for instance ring=test); None: nobody is free
    """

    opened: AwareDatetime
    curve: Curve
    free: Match | None = None


class Grant(Model):
    """What is allowed with one release.

    channels   name -> Opening
    back_to    older versions that devices which run this one may be sent back to
    withdrawn  no device takes it any more
    """

    channels: dict[Name, Opening] = Field(default_factory=dict)
    back_to: tuple[SemVer, ...] = ()
    withdrawn: bool = False
