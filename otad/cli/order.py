"""The common way of a verb that changes something: give the order, say the answer, and watch what follows from it."""

from __future__ import annotations

from pathlib import Path

import typer

from otad.cli import follow, say, watch
from otad.cli.connect import connect
from otad.control import Verb


def give(config: Path, verb: Verb, version: str | None = None, *, as_json: bool) -> None:
    """Give an order that is over when it is answered. Ends the program."""
    raise typer.Exit(say.reply(connect(config).order(verb, version), as_json=as_json))


def follow_up(config: Path, verb: Verb, version: str | None = None, *, as_json: bool, wait: bool) -> None:
    """Give an order and follow what it sets going, to its end or to the reboot. Ends the program."""
    client = connect(config)
    if not wait:
        raise typer.Exit(say.reply(client.order(verb, version), as_json=as_json))
    raise typer.Exit(follow.run(client, verb, version, watch.best(as_json=as_json), as_json=as_json))
