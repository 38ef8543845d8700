"""otad.toml of the fast board: everything points into its folder, and nothing waits longer than a test may."""

from __future__ import annotations

import grp
import os
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = HERE / "bin"  # stand in for the system's own: nothing of a board may reach the machine that it runs on
HARDWARE = "fast-board 1.0"  # as in /etc/hwrevision
PRODUCT = "demo"


@dataclass(frozen=True)
class Repository:
    """Where the board's releases come from.

    url          base of the static repository
    anchor       root.json that it trusts
    swupdate_ca  certificate (PEM) that signs bundles
    ca           certificate (PEM) that signs the server's; None: plain http to loopback, or the system's
    """

    url: str
    anchor: Path
    swupdate_ca: Path
    ca: Path | None = None


def deadline(folder: Path) -> str:
    """What otad-deadline of the board goes by. It is counted from a boot that was this machine's."""
    return f"OTAD_DEADLINE={time.clock_gettime(time.CLOCK_BOOTTIME) + 3600:.0f}\nOTAD_FW_ENV={folder}/fw_env.config\n"


def otad_toml(folder: Path, repository: Repository) -> str:
    """The settings of the board in `folder`."""
    ca = f'ca = "{repository.ca}"' if repository.ca else ""
    group = grp.getgrgid(os.getgid()).gr_name
    return f"""\
[repository]
url = "{repository.url}"
development = true
{ca}

[device]
product = "{PRODUCT}"
hwrevision = "{folder}/hwrevision"

[paths]
data = "{folder}/data/otad"
updates = "{folder}/data/updates"
run = "{folder}/run"
trust_anchor = "{repository.anchor}"
release = "{folder}/run/release.json"
cmdline = "{folder}/cmdline"
mounts = "{folder}/mountinfo"
boot_id = "{folder}/boot_id"
deadline = "{folder}/deadline"

[slots]
a = "{folder}/slot-a"
b = "{folder}/slot-b"

[boot]
fw_env = "{folder}/fw_env.config"

[swupdate]
command = ["{HERE}/confine"]
ca = "{repository.swupdate_ca}"

[download]
retries = 3
backoff = 0.1
backoff_max = 1
reserve = 0

[attempts]
backoff = 0.1

[reboot]
systemctl = ["{TOOLS}/systemctl"]

[health]
soak = 0.2
interval = 0.1

[[health.checks]]
type = "command"
name = "application"
retries = 1
retry_delay = 0.1
options = {{ command = ["health"] }}

[daemon]
linger = 0
read_group = "{group}"
admin_group = "{group}"
"""


def container_toml(repository: Repository) -> str:
    """The settings of a board in a container: places as on a device, but nothing waits longer than a test may."""
    return f"""\
[repository]
url = "{repository.url}"
ca = "/etc/otad/repository-ca.pem"
development = true

[device]
product = "{PRODUCT}"

[swupdate]
ca = "/etc/otad/swupdate-ca.pem"

[download]
retries = 3
backoff = 0.1
reserve = 0

[attempts]
backoff = 0.1

[health]
soak = 1
interval = 0.5

[daemon]
linger = 1
"""
