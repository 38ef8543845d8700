"""Why otad cannot be asked, with what to do about it."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from otad.errors import OtadError


class Unreachable(OtadError):
    """Neither the daemon nor its journal can be asked."""


def forbidden(path: Path) -> Unreachable:
    """This user may not open `path`: names the group that may."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    try:
        group = grp.getgrgid(path.stat().st_gid).gr_name
    except (OSError, KeyError):
        group = "otad"
    if group == "root":
        group = "otad"  # a file that was left to root alone: the group that packages give it
    remedy = f"Use sudo, or have root run `usermod -aG {group} {user}` and log in again"
    return Unreachable("no-permission", f"user {user} may not open {path}: that is for root and the group {group}", remedy)
