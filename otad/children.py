"""What the programs that otad starts inherit of its environment.

Rules:
 1. What systemd gave to the daemon (its ear, its watchdog, its sockets) is not for them: SWUpdate would speak to systemd.
"""

from __future__ import annotations

import os

_OURS = ("NOTIFY_", "WATCHDOG_", "LISTEN_")  # sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)


def environment(**more: str) -> dict[str, str]:
    """The environment of a child, with `more` in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)} | more
