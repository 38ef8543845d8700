"""Writes the manual pages to a folder: `python tools/manual.py FOLDER`.

otad.8 is written by hand, in man/. The others are made from what the programs themselves are made of: otad.toml.5 from the
settings' models and their docstrings, otactl.1 and otarepo.1 from their command lines. So a page cannot say what is not so.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from otad import config
from otad.cli.app import app as otactl
from otad.config import Config
from otad.publisher.cli.app import app as otarepo

KINDS = {
    "bool": "true or false",
    "Command": "a command, as a list of its words",
    "dict[str, Any]": "table",
    "dict[str, str]": "table of texts",
    "LocalTime": 'local time, "HH:MM"',
    "Path": "path",
    "Seconds": "seconds",
    "str": "text",
    "tuple[Command, ...]": "list of commands",
    "tuple[HealthCheck, ...]": "tables [[health.checks]], see below",
    "tuple[str, ...]": "list of texts",
}
STATUSES = {"0": "Done.", "1": "Failed; the message says why and what to do.", "2": "Wrong usage."}
UNSIGNED = {"3": "Done as far as it can be here; it waits for signatures of others."}
DAEMON = {"3": "Nothing to do.", "4": "The daemon cannot be reached."}


def roff(text: str) -> str:
    """Plain text as roff; `code` becomes bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"``?([^`]+)``?", r"\\fB\1\\fR", text)
    return "\n".join(("\\&" + line) if line.startswith((".", "'")) else line for line in text.splitlines())


def page(name: str, section: int, purpose: str, body: Iterator[str], also: str) -> str:
    """A whole page."""
    head = [f'.TH {roff(name.upper())} {section} "" "otad" ""', ".SH NAME", f"{roff(name)} \\- {roff(purpose)}"]
    return "\n".join([*head, *body, ".SH SEE ALSO", roff(also), ""])


# -- otad.toml.5 ------------------------------------------------------------------------------------------------------------


def settings() -> Iterator[str]:
    """Every section and key, in the order of the models."""
    yield from (".SH SYNOPSIS", "/etc/otad/otad.toml, /etc/otad/conf.d/*.toml, /data/otad/conf.d/*.toml", ".SH DESCRIPTION")
    yield roff("TOML (https://toml.io). The files are read in this order, and the later one wins, key by key.")
    yield roff("An unknown key or a wrong type is an error that names file and key. otad reads its settings when it starts.")
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from section(f"[{name}]", field.annotation)
        if name == "health":
            yield from section("[[health.checks]]", config.HealthCheck)


def section(title: str, model: type[BaseModel]) -> Iterator[str]:
    """One table of the file."""
    prose, known = described(model)
    yield from (f".SS {roff(title)}", roff(prose))
    for name, field in model.model_fields.items():
        written = str(inspect.get_annotations(model)[name])
        kind = KINDS.get(written.removesuffix(" | None")) or ("integer" if "[int" in written else "number")
        value = shown(field.get_default(call_default_factory=True))
        default = "required" if field.is_required() else f"default {value}"
        yield from (
            ".TP",
            f"\\fB{roff(name)}\\fR ({roff(kind)}; {roff(default)})",
            roff(known.get(name, "").replace("None:", "unset:")) or "\\&",
        )


def shown(value: object) -> str:
    """A default as TOML writes it."""
    if value is None or value is PydanticUndefined:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(shown(one) for one in value)}]"
    return "{}" if value == {} else f'"{value}"'


def described(model: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """What a model's docstring says in general, and of each key; a comment behind the key counts too."""
    prose, known, key = [], {}, ""
    for line in (inspect.getdoc(model) or "").splitlines():
        found = re.match(r"([a-z_]+) {2,}(.*)", line)
        if found and found[1] in model.model_fields:
            key, known[found[1]] = found[1], found[2]
        elif key and line.startswith(" "):
            known[key] += f" {line.strip()}"
        else:
            prose.append(line)
    for name, comment in re.findall(r"(?m)^    (\w+): .*  # (.*)$", inspect.getsource(model)):
        known.setdefault(name, comment)
    return "\n".join(prose).strip(), known


# -- otactl.1, otarepo.1 ----------------------------------------------------------------------------------------------------


def commands(app: typer.Typer, name: str, statuses: dict[str, str]) -> Iterator[str]:
    """Every verb with its arguments and options."""
    top = typer.main.get_command(app)
    yield from (".SH SYNOPSIS", f"\\fB{name}\\fR COMMAND [ARGUMENTS]", ".SH DESCRIPTION", roff(top.help or ""), ".SH COMMANDS")
    yield from verbs(top, ())
    yield ".SH EXIT STATUS"
    for number, meaning in statuses.items():
        yield from (".TP", number, meaning)


def verbs(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    """One command, or all those below it.

    Typed loosely: typer has changed which click its commands are of.
    """
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from verbs(below, (*path, name))
        return
    context = command.make_context(" ".join(path), [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context)).replace("[OPTIONS]", "").strip()
    yield from (f".SS {roff(' '.join(path))} {roff(usage)}", roff(inspect.cleandoc(command.help or "")))
    for param in command.params:
        record = param.get_help_record(context)
        if record:
            yield from (".TP", f"\\fB{roff(record[0])}\\fR", roff(record[1]) or "\\&")


def main(folder: Path) -> None:
    """Write all pages."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "otad.8": (Path(__file__).parents[1] / "man" / "otad.8").read_text(),
        "otad.toml.5": page("otad.toml", 5, "settings of otad", settings(), "otad(8), otactl(1)"),
        "otactl.1": page("otactl", 1, "updates of this device", commands(otactl, "otactl", {**STATUSES, **DAEMON}), "otad(8)"),
        "otarepo.1": page(
            "otarepo",
            1,
            "build, sign, publish and roll out releases",
            commands(otarepo, "otarepo", {**STATUSES, **UNSIGNED}),
            "otad(8)",
        ),
    }
    for name, text in pages.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
