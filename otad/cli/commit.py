"""`otactl commit`."""

from __future__ import annotations

from otad.cli import options, order, places
from otad.control import Verb


def commit(config: options.Config = places.DEFAULT, no_wait: options.NoWait = False, as_json: options.Json = False) -> None:
    """End the trial of a new release early: as soon as every health check has passed."""
    order.follow_up(config, Verb.COMMIT, as_json=as_json, wait=not no_wait)
