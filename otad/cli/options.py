"""The options that verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="Settings file of otad.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return when the order is taken, without watching it.")]
