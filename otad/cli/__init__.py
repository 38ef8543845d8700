"""otactl: otad on the command line, one file a verb.

Rules:
 1. Exit statuses are those of `otad.control.Exit`: 0 done, 1 failed, 2 usage, 3 nothing to do, 4 daemon unreachable.
 2. `status` in its plain forms is answered before typer is imported, which (with pydantic behind it) costs more than the
    answer. Everything else, `status --help` too, goes through typer, so that every option is declared once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from otad.errors import OtadError


def main() -> None:
    """The command `otactl`."""
    arguments = sys.argv[1:]
    try:
        plain = _plain_status(arguments)
        if plain is None:
            from otad.cli.app import app  # noqa: PLC0415 - rule 2

            app(prog_name="otactl")
        else:
            from otad.cli import status  # noqa: PLC0415 - as cheap as it can be

            sys.exit(status.run(**plain))
    except OtadError as error:
        from otad.cli import say  # noqa: PLC0415

        sys.exit(say.failed(error, as_json="--json" in arguments))


def _plain_status(arguments: list[str]) -> dict[str, Any] | None:
    """The parameters of `status [--json] [--config FILE]`; None for any other command line."""
    if arguments[:1] != ["status"]:
        return None
    parameters: dict[str, Any] = {}
    rest = iter(arguments[1:])
    for word in rest:
        if word == "--json":
            parameters["as_json"] = True
        elif word == "--config" and (file := next(rest, None)):
            parameters["config"] = Path(file)
        else:
            return None
    return parameters
