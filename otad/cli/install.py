"""`otactl install`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otad.cli import options, order, places
from otad.control import Verb
from otad.control.status import RECENT
from otad.errors import OtadError


def _versions(context: typer.Context, incomplete: str) -> list[str]:
    """For the shell: the versions in the journal. What the repository offers would cost a look at it, for a TAB."""
    from otad.journal.reader import Reader  # noqa: PLC0415 - completion only

    try:
        journal = Reader(places.read(Path(context.params.get("config") or places.DEFAULT)).data / "journal.db")
        met = {str(event.get("version", "")) for event in journal.events.latest(RECENT)}
    except OtadError:
        return []  # no completion is better than an error message in the middle of a command line
    return sorted(version for version in met if version and version.startswith(incomplete))


Version = Annotated[str, typer.Argument(help="The release to bring this device to.", autocompletion=_versions)]


def install(
    version: Version,
    config: options.Config = places.DEFAULT,
    no_wait: options.NoWait = False,
    as_json: options.Json = False,
) -> None:
    """Bring this device to VERSION now, outside its maintenance window too, and watch it.

    The release must be one that the repository admits this device to.
    """
    order.follow_up(config, Verb.INSTALL, version, as_json=as_json, wait=not no_wait)
