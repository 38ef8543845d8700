"""Why otad ended although it should not have: `<run>/ended.json` (tmpfs), for otactl.

Rules:
 1. Written by a daemon that cannot live (its settings, its journal); removed by the next one that does, and by a reboot.
 2. It is for people to read. Nothing is decided by it, so a folder that cannot be written is only logged.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from otad.errors import Cause

NAME = "ended.json"
_log = logging.getLogger(__name__)


def note(run: Path, cause: Cause) -> None:
    """Say why otad does not run."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        (run / NAME).write_text(json.dumps(cause.to_dict()), encoding="utf-8")
    except OSError as error:
        _log.warning("otactl cannot be told why otad ends: %s: %s", run / NAME, error.strerror)


def clear(run: Path) -> None:
    """A daemon runs. Raises OSError when `run` cannot be written."""
    (run / NAME).unlink(missing_ok=True)


def read(run: Path) -> Cause | None:
    """Why otad does not run; None when it ended as it should."""
    try:
        return Cause.from_dict(json.loads((run / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or cut off while it was written
