"""`otactl history`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from otad.cli import options, paint, places, say
from otad.cli.connect import connect
from otad.control import Exit

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many updates.")]
_STYLE = {"committed": "green", "failed": "red", "held": "yellow", "cancelled": "yellow"}


def history(limit: Limit = 20, config: options.Config = places.DEFAULT, as_json: options.Json = False) -> None:
    """The updates that this device has tried, newest first, and how each ended."""
    told = connect(config).get(f"history?limit={limit}")
    if as_json:
        say.document(told)
    elif not told:
        say.line("No update has been tried on this device yet.")
        raise typer.Exit(Exit.NOTHING)
    else:
        _show(told)


def _show(told: list[dict[str, Any]]) -> None:
    from otad.cli import tables  # noqa: PLC0415 - rich

    tables.show(
        ("Began", "Release", "Kind", "Slot", "Result", "Took"),
        [
            (
                paint.moment(attempt["started"]),
                attempt["version"] or "?",
                attempt["kind"] or "",
                attempt["slot"] or "-",
                (attempt["result"] or "under way", _STYLE.get(attempt["result"] or "", "")),
                paint.span(sum(attempt["durations"].values())),
            )
            for attempt in told
        ],
    )
    failure = next((attempt for attempt in told if attempt["cause"]), None)
    if failure:
        say.line()
        say.line(f"Why {failure['version']} of {paint.moment(failure['started'])} failed:")
        say.line(say.because(failure["cause"]))
