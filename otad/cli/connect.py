"""The daemon at the other end of the settings file's socket."""

from __future__ import annotations

from pathlib import Path

from otad.cli import places
from otad.control.client import Client


def connect(config: Path) -> Client:
    """A client of the daemon that runs with the settings in `config`. Raises ConfigError."""
    return Client(places.read(config).run)
