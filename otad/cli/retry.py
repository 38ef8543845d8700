"""`otactl retry`."""

from __future__ import annotations

from typing import Annotated

import typer

from otad.cli import options, order, places
from otad.control import Verb

Version = Annotated[str | None, typer.Argument(help="The release to forgive; all that failed here when left out.")]


def retry(version: Version = None, config: options.Config = places.DEFAULT, as_json: options.Json = False) -> None:
    """Allow a release that failed on this device to be tried again."""
    order.give(config, Verb.RETRY, version, as_json=as_json)
