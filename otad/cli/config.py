"""`otactl config`."""

from __future__ import annotations

from typing import Any

from otad.cli import options, paint, places, say
from otad.cli.connect import connect


def config(config: options.Config = places.DEFAULT, as_json: options.Json = False) -> None:
    """The settings in force, defaults included, as the running otad read them."""
    told = connect(config).get("config")
    if as_json:
        say.document(told)
        return
    for section, keys in told.items():
        say.line(paint.paint(f"[{section}]", "bold"))
        for key, value in keys.items():
            say.line(f"{key} = {_shown(value)}")
        say.line()


def _shown(value: Any) -> str:
    import json  # noqa: PLC0415

    return "(not set)" if value is None else json.dumps(value, ensure_ascii=False)
