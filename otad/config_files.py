"""The files that settings stand in: `/etc/otad/otad.toml`, then `conf.d/*.toml` there and in `/data/otad/conf.d/`.

Rules:
 1. The later file wins, key by key.
 2. An error names the key, and the file that it stands in; for a whole table, every file that has a part in it.
 3. What otad-deadline goes by is read too: it must be what otad counts with.
 4. Reading changes nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from otad import deadline
from otad.config import Config, Needs, Section
from otad.errors import ConfigError, Who

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT = Path("/etc/otad/otad.toml")
MALFORMED = (tomllib.TOMLDecodeError, RecursionError)  # what is nested without end is no TOML either
SectionT = TypeVar("SectionT", bound=Section)


def load(path: Path = DEFAULT) -> Config:
    """The settings of `path`, its `conf.d/` and the data partition's. Raises ConfigError naming file and key."""
    merged: dict[str, Any] = {}
    origin: dict[tuple[str, ...], Path] = {}
    for file in [path, *_drop_ins(path.parent)]:
        _merge(merged, _read(file), origin, file)
    for file in _drop_ins(_parse(Needs, merged, origin, path).paths.data):
        _merge(merged, _read(file), origin, file)
    at = _parse(Needs, merged, origin, path).paths.deadline
    unit, health = deadline.read(at), merged.get("health", {})
    if unit != deadline.Deadline() and isinstance(health, dict) and "deadline" not in health:
        _merge(merged, {"health": {"deadline": unit.seconds}}, origin, at)
    config = _parse(Config, merged, origin, path)
    _agree(config, unit, at)
    return config


def _parse(model: type[SectionT], merged: dict[str, Any], origin: dict[tuple[str, ...], Path], path: Path) -> SectionT:
    """`merged` as Config, or the tables of it that are in Needs. Raises ConfigError."""
    try:
        return model.model_validate({name: merged[name] for name in merged if model is Config or name in model.model_fields})
    except ValidationError as error:
        raise _explain(error, origin, path) from error


def _agree(config: Config, unit: deadline.Deadline, at: Path) -> None:
    """The unit must not reboot a trial that is still being examined, nor look for it elsewhere. Raises ConfigError."""
    seconds, fw_env = config.health.deadline, config.boot.fw_env
    if seconds > unit.seconds:
        what = f"health.deadline is {seconds:.12g} s, but otad-deadline reboots a trial {unit.seconds} s after boot ({at})"
        raise ConfigError("deadline-differs", what, f"Write OTAD_DEADLINE={seconds:.0f} into {at}, and leave health.deadline out")
    if fw_env != unit.fw_env:
        what = f"boot.fw_env is {fw_env}, but otad-deadline reads {unit.fw_env} ({at})"
        raise ConfigError("deadline-differs", what, f"Write OTAD_FW_ENV={fw_env} into {at}")


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
        with suppress(*MALFORMED):
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
    except (*MALFORMED, UnicodeDecodeError) as error:
        raise ConfigError("config-invalid", f"{file} is not valid TOML: {error}", "Correct the line that it names") from error


def _merge(
    into: dict[str, Any], new: dict[str, Any], origin: dict[tuple[str, ...], Path], file: Path, at: tuple[str, ...] = ()
) -> None:
    """Lay `new` over `into`, table by table, and note in `origin` which file each key came from."""
    for key, value in new.items():
        place = (*at, key)
        if isinstance(value, dict) and isinstance(below := into.setdefault(key, {}), dict):
            _merge(below, value, origin, file, place)
        else:
            into[key] = value
        if not isinstance(value, dict) or not value:
            origin[place] = file


def _explain(error: ValidationError, origin: dict[tuple[str, ...], Path], path: Path) -> ConfigError:
    first = error.errors()[0]
    where = tuple(str(part) for part in first["loc"])
    files = next(filter(None, (_files(origin, where[:n]) for n in range(len(where), -1, -1))), [path])
    key = f"{'.'.join(where)}: " if where else ""
    said = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    return ConfigError(
        "config-invalid",
        f"{' and '.join(map(str, files))}: {key}{said}",
        "Correct it and start otad again; `man otad.toml` lists the keys",
        who=Who.FIELD,
    )


def _files(origin: dict[tuple[str, ...], Path], where: tuple[str, ...]) -> list[Path]:
    """Which files set this key, or a key below it."""
    return list(dict.fromkeys(file for place, file in origin.items() if place[: len(where)] == where))
