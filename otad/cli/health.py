"""`otactl health`."""

from __future__ import annotations

from typing import Any

import typer

from otad.cli import options, paint, places, say
from otad.cli.connect import connect
from otad.control import Exit


def health(config: options.Config = places.DEFAULT, as_json: options.Json = False) -> None:
    """What each health check found last. Exit status 1 when one fails."""
    told = connect(config).get("health")
    if as_json:
        say.document(told)
    elif told["checks"]:
        _show(told["checks"])
    else:
        say.line("No health check has run since otad started: they run after an update")
    if not all(check["ok"] for check in told["checks"]):
        raise typer.Exit(Exit.FAILED)


def _show(checks: list[dict[str, Any]]) -> None:
    from otad.cli import tables  # noqa: PLC0415 - rich

    rows = [(check["name"], ("ok", "green") if check["ok"] else ("fails", "red"), check["words"]) for check in checks]
    tables.show(("Check", "Result", "Found"), rows)
    failing = [check for check in checks if not check["ok"]]
    for check in failing:
        for name, text in check["evidence"].items():
            say.line(paint.labelled(name, text))
    if failing:
        names = " and ".join(check["name"] for check in failing)
        remedy = f"See what {names} needs; if this release broke it, `otactl rollback` brings the one before back"
        say.line(paint.labelled("Next step", remedy))
