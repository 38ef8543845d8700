"""The files that settings stand in: `/etc/otad/otad.toml`, then `conf.d/*.toml` there and in `/data/otad/conf.d/`.

Rules:
 1. The later file wins, key by key.
 2. An error names the file and the key.
 3. Reading changes nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from otad.config import Config, Needs, Paths
from otad.errors import ConfigError, Who

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT = Path("/etc/otad/otad.toml")


def load(path: Path = DEFAULT) -> Config:
    """The settings of `path`, its `conf.d/` and the data partition's. Raises ConfigError naming file and key."""
    merged: dict[str, Any] = {}
    origin: dict[tuple[str, ...], Path] = {}
    for file in [path, *_drop_ins(path.parent)]:
        _merge(merged, _read(file), origin, file)
    for file in _drop_ins(Path(merged.get("paths", {}).get("data", Paths().data))):
        _merge(merged, _read(file), origin, file)
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise _explain(error, origin, path) from error


def salvage(path: Path = DEFAULT) -> Needs:
    """The tables that the boot environment needs, from files that may be broken elsewhere; the defaults where they are."""
    found: dict[str, Any] = {}
    _salvage(path.parent, [path], found)
    _salvage(Needs.model_validate(found).paths.data, [], found)
    return Needs.model_validate(found)


def _salvage(folder: Path, files: list[Path], found: dict[str, Any]) -> None:
    """Lay over `found` what can be read of `files` and of the drop-ins of `folder`."""
    with suppress(OSError):  # one that cannot be listed: `load` says so
        files = [*files, *sorted((folder / "conf.d").glob("*.toml"))]
    for table in (table for file in files for table in _tables(file)):
        for name in Needs.model_fields.keys() & table:
            both = {**found.get(name, {}), **table[name]} if isinstance(table[name], dict) else table[name]
            try:
                found[name] = Needs.model_validate({name: both}).model_dump(include={name})[name]
            except ValidationError:
                continue  # `load` says what is wrong with it


def _tables(file: Path) -> Iterator[dict[str, Any]]:
    """The tables of a file, each parsed alone: a mistake in one leaves the others readable."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for part in re.split(r"^(?=\[)", text, flags=re.MULTILINE):
        with suppress(tomllib.TOMLDecodeError):
            yield tomllib.loads(part)


def _drop_ins(folder: Path) -> list[Path]:
    try:
        return sorted((folder / "conf.d").glob("*.toml"))
    except OSError as error:
        what = f"cannot read {folder / 'conf.d'}: {error.strerror}"
        raise ConfigError("config-unreadable", what, "Run it as root, or let this user read the folder") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            "config-unreadable", f"cannot read {file}: {error.strerror}", f"Create {file}; `man otad.toml` lists the keys"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("config-invalid", f"{file} is not valid TOML: {error}", "Correct the line that it names") from error


def _merge(
    into: dict[str, Any], new: dict[str, Any], origin: dict[tuple[str, ...], Path], file: Path, at: tuple[str, ...] = ()
) -> None:
    """Lay `new` over `into`, table by table, and note in `origin` which file each key came from."""
    for key, value in new.items():
        place = (*at, key)
        origin[place] = file
        if isinstance(value, dict):
            below = into.setdefault(key, {})
            if isinstance(below, dict):
                _merge(below, value, origin, file, place)
                continue
        into[key] = value


def _explain(error: ValidationError, origin: dict[tuple[str, ...], Path], path: Path) -> ConfigError:
    first = error.errors()[0]
    where = tuple(str(part) for part in first["loc"])
    file = next((origin[where[:n]] for n in range(len(where), 0, -1) if where[:n] in origin), path)
    key = ".".join(where) or "the file"
    said = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    return ConfigError(
        "config-invalid",
        f"{file}: {key}: {said}",
        "Correct it and start otad again; `man otad.toml` lists the keys",
        who=Who.FIELD,
    )
