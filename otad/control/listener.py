"""The socket on which the daemon listens: systemd's, or its own.

Rules:
 1. A socket given by systemd is never unlinked or re-made: it outlives the daemon and wakes it.
 2. Our own socket is never, not even for an instant, open to more than its owner and group (0660).
 3. The caller holds `lock`: a socket file that is in the way is a dead one.
"""

from __future__ import annotations

import grp
import logging
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

NAME = "otad.sock"
_FIRST = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)
_log = logging.getLogger(__name__)


def given(environ: Mapping[str, str], pid: int) -> int | None:
    """The descriptor of the socket that systemd passed to process `pid`, if it did."""
    if environ.get("LISTEN_PID") == str(pid) and int(environ.get("LISTEN_FDS", "0")) >= 1:
        return _FIRST
    return None


def listen(at: Path | int, group: str) -> socket.socket:
    """A listening socket: descriptor `at`, or made at path `at` for `group` (skipped when there is no such group)."""
    if isinstance(at, int):
        return socket.socket(fileno=at)
    at.parent.mkdir(parents=True, exist_ok=True)
    at.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(os.fspath(at))
    finally:
        os.umask(before)
    if os.geteuid() == 0 and _exists(group):
        _give(at, group)
    at.chmod(0o660)
    made.listen()
    return made


def _give(at: Path, group: str) -> None:
    try:
        shutil.chown(at, group=group)
    except PermissionError as error:  # the sandbox of otad.service: there it is for systemd to make the socket
        _log.warning("only root can use %s, for its group cannot be set: %s; enable otad.socket", at, error.strerror)


def _exists(group: str) -> bool:
    try:
        grp.getgrnam(group)
    except KeyError:
        return False
    return True
