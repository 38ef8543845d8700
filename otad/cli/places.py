"""Where things are, read as `otad.config_files` does but without pydantic, which would cost `otactl status` half its CPU budget.

Rules:
 1. Same files, same order, same defaults as `otad.config_files` (a test compares them); only the table [paths] is looked at.
 2. What cannot be read is explained by `otad.config_files`, in its words.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

from otad.control.unreachable import forbidden

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT = Path("/etc/otad/otad.toml")


class Places(NamedTuple):
    """The part of config.Paths that otactl needs; the defaults are the same."""

    data: Path = Path("/data/otad")
    run: Path = Path("/run/otad")
    release: Path = Path("/usr/lib/otad/release.json")
    cmdline: Path = Path("/proc/cmdline")


def read(file: Path) -> Places:
    """The places that the settings in `file` and both `conf.d/` name.

    Raises ConfigError, as otad.config_files.load does, and Unreachable if this user may not read them.
    """
    try:
        merged = _paths([file, *_more(file.parent)])
        own = Path(merged.get("data", Places().data))
        merged |= _paths(_more(own))
        return Places(**{name: Path(merged[name]) for name in Places._fields if name in merged})
    except PermissionError as error:
        raise forbidden(Path(error.filename)) from error
    except (OSError, ValueError, TypeError, RecursionError) as error:
        from otad import config_files, errors  # noqa: PLC0415 - only now: this is the cost that this module avoids

        config_files.load(file)
        what = f"the settings of {file} could not be read, and a moment later they could: {error}"
        raise errors.ConfigError("config-unreadable", what, "Run it again") from error


def _more(folder: Path) -> list[Path]:
    return sorted((folder / "conf.d").glob("*.toml"))


def _paths(files: list[Path]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for file in files:
        merged |= tomllib.loads(file.read_text(encoding="utf-8")).get("paths", {})
    return merged
