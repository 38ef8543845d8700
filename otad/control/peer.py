"""Who is on the other end of the socket, and what they may do.

Rules:
 1. The kernel says who it is (SO_PEERCRED, unix(7)); nothing that the client sends is believed.
 2. root, the daemon's own user and the admin group may change; they and the read group may read; nobody else may do either.
 3. A refusal says which group is missing and how to get into it.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass

from otad import config
from otad.errors import Cause, Who

_UCRED = struct.Struct("3i")  # struct ucred: pid, uid, gid


@dataclass(frozen=True)
class Peer:
    """The process that connected: its user, and the names of that user's groups."""

    uid: int
    user: str
    groups: frozenset[str]


def of(connection: socket.socket) -> Peer:
    """The peer of a connected unix socket."""
    _pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        user = pwd.getpwuid(uid).pw_name
        gids = {gid, *os.getgrouplist(user, gid)}
    except KeyError:
        user, gids = str(uid), {gid}
    return Peer(uid, user, frozenset(name for name in map(_group, gids) if name))


def _group(gid: int) -> str | None:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def refusal(peer: Peer, settings: config.Daemon, own: int, *, change: bool) -> Cause | None:
    """Why `peer` may not read (or, with `change`, not order) a daemon of uid `own`; None when they may."""
    if peer.uid in (0, own) or settings.admin_group in peer.groups:
        return None
    if not change and settings.read_group in peer.groups:
        return None
    group = settings.admin_group if change else settings.read_group
    doing = "change what runs on this device" if change else "read the state of otad"
    return Cause(
        "not-permitted",
        f"user {peer.user} may not {doing}: that is for root and the group {group}",
        f"Use sudo, or have root run: usermod -aG {group} {peer.user}",
        Who.FIELD,
    )
