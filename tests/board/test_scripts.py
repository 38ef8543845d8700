"""A saved environment shadows the scripts built into U-Boot (docs/adr/0002): that it does, that otad notices, and the remedy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from otad.bootenv import Slot
from otad.bootenv.uboot import boot_status, env_problems, parse
from simulator.bootloader import DEFAULT, Env
from simulator.qemu.parity import Start
from simulator.qemu.sandbox import Sandbox
from simulator.qemu.uboot import RECIPES

pytestmark = pytest.mark.timeout(600)

OLD = {
    "otad_env_version": "0",
    "bootcmd": "echo old scripts; setenv otad_boots 1; saveenv; run otad_boot",
    "otad_load": "echo boots A; poweroff",
}
"""Scripts of a U-Boot before this one, which counted otherwise."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The card's fw_env.config: the recipes' own, with the card in place of the device."""
    file = tmp_path / "fw_env.config"
    file.write_text((RECIPES / "fw_env.config").read_text().replace("/dev/mmcblk0", str(tmp_path / "card.img")))
    return file


def printenv(config: Path) -> dict[str, str]:
    return parse(subprocess.run(["fw_printenv", "-c", config], capture_output=True, text=True, check=True).stdout)


def setenv(config: Path, script: str) -> None:
    subprocess.run(["fw_setenv", "-c", config, "-s", "-"], input=script, text=True, check=True)


def test_old_scripts_shadow_the_built_in_ones_until_one_store_brings_the_new(
    sandbox: Sandbox, tmp_path: Path, config: Path
) -> None:
    data = DEFAULT._replace(boot_partition="B", otad_fallback="A")
    sandbox.insert(tmp_path / "card.img", Start(data._asdict(), frozenset(Slot), recovery=True))
    setenv(config, "".join(f"{name}={value}\n" for name, value in OLD.items()))

    assert "old scripts" in sandbox.run(tmp_path)
    env = printenv(config)
    assert any("older than 2" in problem for problem in env_problems(env, boot_status(env, Slot.B)))

    setenv(config, (RECIPES / "otad-scripts.env").read_text())
    assert Env.of(printenv(config)) == data._replace(otad_boots="1", bootcount="1")  # slot and counts are as they were
    assert "old scripts" not in sandbox.run(tmp_path)
    env = printenv(config)
    assert (env["otad_boots"], env["boot_partition"]) == ("2", "B")
    assert env_problems(env, boot_status(env, Slot.B)) == []
