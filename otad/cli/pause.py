"""`otactl pause`."""

from __future__ import annotations

from otad.cli import options, order, places
from otad.control import Verb


def pause(config: options.Config = places.DEFAULT, as_json: options.Json = False) -> None:
    """Begin no update, and hold a download, until `otactl resume`."""
    order.give(config, Verb.PAUSE, as_json=as_json)
