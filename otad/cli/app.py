"""The command line: every verb, with typer's help and shell completion."""

from __future__ import annotations

import typer

from otad.cli import options, places
from otad.cli import status as status_
from otad.cli.cancel import cancel
from otad.cli.check import check
from otad.cli.commit import commit
from otad.cli.config import config
from otad.cli.events import events
from otad.cli.health import health
from otad.cli.history import history
from otad.cli.install import install
from otad.cli.pause import pause
from otad.cli.resume import resume
from otad.cli.retry import retry
from otad.cli.rollback import rollback
from otad.cli.slots import slots

app = typer.Typer(
    help="Over-the-air updates of this device. Exit status: 0 done, 1 failed, 2 usage, 3 nothing to do, 4 otad unreachable.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def status(config: options.Config = places.DEFAULT, as_json: options.Json = False) -> None:
    """What runs, what otad does, what went wrong and what to do. Does not wake a sleeping otad."""
    raise typer.Exit(status_.run(config, as_json))


for verb in (status, check, install, pause, resume, cancel, retry, commit, rollback, history, health, slots, config, events):
    app.command()(verb)
