"""`otactl cancel`."""

from __future__ import annotations

from otad.cli import options, order, places
from otad.control import Verb


def cancel(config: options.Config = places.DEFAULT, as_json: options.Json = False) -> None:
    """Give up the update in hand. Once the device is about to reboot it is too late."""
    order.give(config, Verb.CANCEL, as_json=as_json)
