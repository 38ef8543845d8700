"""`otactl resume`."""

from __future__ import annotations

from otad.cli import options, order, places
from otad.control import Verb


def resume(config: options.Config = places.DEFAULT, as_json: options.Json = False) -> None:
    """End a pause."""
    order.give(config, Verb.RESUME, as_json=as_json)
