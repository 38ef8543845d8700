"""`otactl slots`."""

from __future__ import annotations

from typing import Any

from otad.cli import options, paint, places, say
from otad.cli.connect import connect

_FLAGS = (("booted", "runs"), ("selected", "boots next"), ("trial", "on trial"), ("fallback", "fallback"), ("failed", "given up"))


def slots(config: options.Config = places.DEFAULT, as_json: options.Json = False) -> None:
    """The two root file systems: what each holds, which runs, which boots next; and what is wrong with the boot environment."""
    told = connect(config).get("slots")
    if as_json:
        say.document(told)
    else:
        _show(told)


def _show(told: dict[str, Any]) -> None:
    from otad.cli import tables  # noqa: PLC0415 - rich

    rows = []
    for name, slot in told["slots"].items():
        flags = ", ".join(words for flag, words in _FLAGS if slot.get(flag))
        style = "red" if slot.get("failed") else "green" if slot.get("booted") else ""
        rows.append(((name, "bold"), slot["version"] or "unknown", (flags or "-", style), slot["device"]))
    tables.show(("Slot", "Release", "Role", "Device"), rows)
    if told["problems"]:
        say.line()
        say.line(paint.paint("No update can be undone here, so none begins:", "red"))
        for problem in told["problems"]:
            say.line(paint.labelled("", problem))
        say.line(
            paint.labelled("Next step", "Correct the boot loader's environment (fw_printenv shows it); docs/boot.md says how")
        )
