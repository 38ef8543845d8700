"""What otad-deadline goes by: `/etc/otad/deadline`, as systemd reads it for that unit (systemd.exec(5), EnvironmentFile=).

Rules:
 1. The script needs no Python, no TOML and no data partition, so its two settings stand in a file of their own.
 2. Without the file, or the line, the script's defaults count.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from otad.errors import ConfigError

DIGITS = 9  # of seconds, as in otad-deadline: thirty years


@dataclass(frozen=True)
class Deadline:
    """seconds: after boot, when a trial that nobody confirmed is rebooted; fw_env: where it looks for the environment."""

    seconds: int = 600
    fw_env: Path = Path("/etc/fw_env.config")


def read(file: Path) -> Deadline:
    """What `file` says. Raises ConfigError."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return Deadline()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("config-unreadable", f"cannot read {file}: {error}", "Correct it, or remove it") from error
    said = {name.strip(): value.strip("\"' \t") for name, is_, value in (line.partition("=") for line in lines) if is_}
    seconds = said.get("OTAD_DEADLINE", str(Deadline.seconds))
    if not seconds.isdecimal() or len(seconds) > DIGITS:
        what = f"{file}: OTAD_DEADLINE is {seconds!r:.40}, not seconds: otad-deadline takes {Deadline.seconds}"
        raise ConfigError("config-invalid", what, "Correct it and start otad again")
    return Deadline(int(seconds), Path(said.get("OTAD_FW_ENV", str(Deadline.fw_env))))
