"""`otactl rollback`."""

from __future__ import annotations

from otad.cli import options, order, places
from otad.control import Verb


def rollback(config: options.Config = places.DEFAULT, no_wait: options.NoWait = False, as_json: options.Json = False) -> None:
    """Go back: end a trial, or try the release that ran before this one. It must prove itself like any other."""
    order.follow_up(config, Verb.ROLLBACK, as_json=as_json, wait=not no_wait)
