"""`otactl health`."""

from __future__ import annotations

from typing import Any

import typer

from otad.cli import options, paint, places, say
from otad.cli.connect import connect
from otad.control import Exit


def health(config: options.Config = places.DEFAULT, as_json: options.Json = False) -> None:
    """What the health checks found last. Exit status 1 when a required one fails."""
    told = connect(config).get("health")
    checks = told["checks"]
    if as_json:
        say.document(told)
    elif checks:
        _show(checks)
    else:
        say.line("No health check has run since otad started: they run after an update.")
    if any(not check["ok"] and check.get("required", True) for check in checks):
        raise typer.Exit(Exit.FAILED)


def _show(checks: list[dict[str, Any]]) -> None:
    from otad.cli import tables  # noqa: PLC0415 - rich

    rows = [
        (check["name"], ("ok", "green") if check["ok"] else ("fails", "red"), (check.get("cause") or {}).get("what") or "-")
        for check in checks
    ]
    tables.show(("Check", "Result", "Found"), rows)
    for check in checks:
        if not check["ok"] and check.get("cause"):
            say.line()
            say.line(paint.paint(check["name"], "bold"))
            say.line(say.because(check["cause"]))
