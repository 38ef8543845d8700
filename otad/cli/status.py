"""`otactl status`: what runs, what otad does, what went wrong and what to do.

Rules:
 1. A sleeping daemon is not woken: the journal tells.
 2. No typer, rich, pydantic, aiohttp: under 200 ms of CPU on a slow device. `tests/cli/test_cli_imports.py` holds it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from otad.cli import asleep, paint, places, say, words
from otad.cli.paint import labelled, moment
from otad.control import Exit, ending, status
from otad.errors import OtadError


def run(config: Path = places.DEFAULT, as_json: bool = False) -> Exit:
    """Print the state of otad. Raises OtadError when neither the daemon nor the journal tells."""
    where = places.read(config)
    told = _told(where) if asleep.asleep(where) else _ask(where)
    if as_json:
        say.document(told)
    else:
        for line in lines(told):
            say.line(line)
    return Exit.DONE


def _ask(where: places.Places) -> dict[str, Any]:
    from otad.control.client import Client  # noqa: PLC0415 - http.client is half of what a sleeping daemon's status costs

    told: dict[str, Any] = Client(where.run).get("status")
    return told


def _told(where: places.Places) -> dict[str, Any]:
    """The status document of a sleeping daemon. Raises Unreachable without a journal that may be read, JournalError."""
    trouble = ending.read(where.run)
    try:
        with asleep.journal(where) as journal:
            from otad.report.outbox import owed  # noqa: PLC0415 - sqlite3, when it is needed

            image, slot, unsent = _version(where.release), _slot(where.cmdline), owed(journal.connection)
            return status.read(journal, status.Facts(image=image, slot=slot, unsent=unsent, trouble=trouble))
    except OtadError as error:
        if trouble is None:
            raise
        raise OtadError(trouble.code, trouble.what, trouble.remedy, who=trouble.who) from error  # it says more


def _version(release: Path) -> str | None:
    """What the image says that it is; None when it does not."""
    try:
        return str(json.loads(release.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _slot(cmdline: Path) -> str | None:
    """`otad.slot=` of the kernel command line; None when it has none."""
    try:
        words = cmdline.read_text(encoding="utf-8").split()
    except OSError:
        return None
    return next((word.removeprefix("otad.slot=") for word in words if word.startswith("otad.slot=")), None)


def lines(told: dict[str, Any]) -> list[str]:
    """A status document for people."""
    shown = [_headline(told), "", *_now(told)]
    if told["trouble"]:
        heading = "otad has had trouble" if told["awake"] else "otad cannot run, or has had trouble"
        shown += ["", paint.paint(heading, "red", "bold"), say.because(told["trouble"])]
    if told["cause"]:
        shown += ["", paint.paint(_failed(told["cause"]), "red", "bold"), say.because(told["cause"])]
    if told["held"]:
        shown += ["", paint.paint("The update is held", "yellow", "bold"), say.because(told["held"])]
    return shown


def _failed(cause: dict[str, Any]) -> str:
    what = f"The update to {cause['version']}" if cause["version"] else "The last update"
    return f"{what} failed at {moment(cause['time'])}" if cause["time"] else f"{what} is being undone"


def _headline(told: dict[str, Any]) -> str:
    running = told["running"]
    version = running["version"] or "An unknown release"
    slot = f" in slot {running['slot']}" if running["slot"] else ""
    return paint.paint(f"{version} runs{slot}", "bold")


def _now(told: dict[str, Any]) -> list[str]:
    shown = [labelled("State", _state(told), *(("yellow",) if told["state"] != "idle" else ()))]
    if told["progress"]:
        shown.append(labelled("Progress", _progress(told["progress"])))
    if told["state"] != "idle" and not told["awake"]:
        shown.append(labelled("Next step", "otad does not run; it goes on when it is started: systemctl start otad"))
    if told["paused"]:
        paused = f"by {told['paused']['by']} since {moment(told['paused']['since'])}; `otactl resume` ends it"
        shown.append(labelled("Paused", paused, "yellow"))
    if told["check"]:
        shown += _check(told["check"])
    if told["next_check"] and not told["paused"]:
        shown.append(labelled("Next check", moment(told["next_check"])))
    if told["probation"]:
        shown.append(labelled("Probation", f"ends {moment(told['probation'])}; failing checks undo the release until then"))
    if told["unsent"]:
        shown.append(labelled("Reports", f"{told['unsent']} not sent yet; they are kept until there is a link"))
    return shown


def _state(told: dict[str, Any]) -> str:
    doing = words.doing(told)
    if told["state"] != "idle":
        return f"{doing}, since {moment(told['since'])}" if told["since"] else doing
    return doing if told["awake"] else f"{doing}; otad sleeps until something is due"


def _check(check: dict[str, Any]) -> list[str]:
    result = {"admitted": "found a release", "nothing": "nothing to install", "failed": "failed", "cancelled": "cancelled"}
    shown = f"{moment(check['time'])}: {result.get(check['result'], check['result'])}"
    if check["reason"]:
        shown += f": {check['reason']}"
    told = [labelled("Last check", shown, *(("red",) if check["result"] == "failed" else ()))]
    return told + ([labelled("Next step", check["remedy"])] if check["remedy"] else [])


def _progress(told: dict[str, Any]) -> str:
    drawn = f"{paint.bar(told['done'], told['total'])} " if told["total"] else ""
    return f"{drawn}{told['step']}: {paint.measures(told)}"
