"""`otactl history`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from otad.cli import asleep, options, paint, places, say
from otad.control import Exit
from otad.control.client import Client
from otad.control.history import EVENTS, attempts

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many updates.")]
_STYLE = {"committed": "green", "failed": "red", "held": "yellow", "cancelled": "yellow"}


def history(limit: Limit = 20, config: options.Config = places.DEFAULT, as_json: options.Json = False) -> None:
    """The updates that this device has tried, newest first, and how each ended. Does not wake a sleeping otad."""
    told = _told(places.read(config), limit)
    if as_json:
        say.document(told)
    elif not told:
        say.line("No update has been tried on this device yet.")
        raise typer.Exit(Exit.NOTHING)
    else:
        _show(told)


def _told(where: places.Places, limit: int) -> list[dict[str, Any]]:
    if not asleep.asleep(where):
        told: list[dict[str, Any]] = Client(where.run).get(f"history?limit={limit}")
        return told
    with asleep.journal(where) as journal:
        return attempts(journal.events.latest(EVENTS))[:limit]


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
