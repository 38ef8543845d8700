"""`otactl events`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from otad.cli import asleep, options, paint, places, say, watch
from otad.control.client import Client
from otad.control.status import failed

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens now, until Ctrl-C.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=0, help="How many past events.")]


def events(
    follow: Follow = False, limit: Limit = 50, config: options.Config = places.DEFAULT, as_json: options.Json = False
) -> None:
    """What happened on this device, oldest first. Wakes a sleeping otad only to follow it."""
    where = places.read(config)
    if not follow and asleep.asleep(where):
        with asleep.journal(where) as journal:
            for event in journal.events.latest(limit) if limit else []:
                _show(event, as_json=as_json)
        return
    client = Client(where.run)
    last = int(client.get("status")["seq"])
    try:
        _past(client, last, limit, as_json=as_json)
        if follow:
            _live(client, last, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _past(client: Client, last: int, limit: int, *, as_json: bool) -> None:
    """The newest `limit` events up to number `last`."""
    if limit == 0 or last == 0:
        return
    for event in client.events(max(0, last - limit)):
        if "seq" in event:
            _show(event, as_json=as_json)
            if event["seq"] >= last:
                return


def _live(client: Client, last: int, *, as_json: bool) -> None:
    for event in client.follow(last):
        if event and "seq" in event:
            _show(event, as_json=as_json)


def _show(event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say.line(json.dumps(event, ensure_ascii=False))
        return
    cause = event.get("cause")
    say.line(paint.paint(watch.line(event), *(("red",) if failed(event) else ())))
    if cause:
        say.line(paint.labelled("", f"{cause['what']}. {cause['remedy']}" if cause["remedy"] else cause["what"]))
