"""`otactl check`."""

from __future__ import annotations

from otad.cli import options, order, places
from otad.control import Verb


def check(config: options.Config = places.DEFAULT, no_wait: options.NoWait = False, as_json: options.Json = False) -> None:
    """Ask the repository now, install what it has for this device, and watch it."""
    order.follow_up(config, Verb.CHECK, as_json=as_json, wait=not no_wait)
