"""How exposed otad.service is by systemd's own measure. That everything works in there is shown by tests/booted."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
MOST = 4.0  # of 10
# What takes a mount namespace: see the reasons in the unit.
NAMESPACED = (
    "Protect(System|Home|KernelTunables|KernelModules|KernelLogs|ControlGroups|Proc)",
    "ProcSubset",
    "Private(Tmp|Mounts|Devices)",
)


def test_the_exposure_is_bounded() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / "otad.service")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Overall exposure level for otad\.service: ([0-9.]+)", said)
    assert found, said
    assert float(found[1]) <= MOST


def test_it_shares_the_mounts_of_the_system_and_says_why() -> None:
    lines = (UNITS / "otad.service").read_text().splitlines()
    settings = [line for line in lines if not line.startswith("#")]
    reasons = "\n".join(line for line in lines if line.startswith("#"))
    for name in NAMESPACED:
        assert not [line for line in settings if re.match(name, line)]
    for name in (
        "ProtectSystem=",
        "PrivateTmp=",
        "IPAddressDeny=",
        "User=",
        "MemoryDenyWriteExecute=",
        "ProtectClock=",
        "UMask=",
    ):
        assert name in reasons
