"""otad-current: the booted slot's generation becomes what runs, and what cannot be told is left alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "systemd" / "otad-current"


class Device:
    """Slot A points at generation 3, slot B at 4."""

    def __init__(self, folder: Path) -> None:
        self.data, self.run, self.cmdline = folder / "data", folder / "run", folder / "cmdline"
        (self.data / "slots").mkdir(parents=True)
        for slot, number in (("A", 3), ("B", 4)):
            self.generation(number)
            (self.data / "slots" / slot).symlink_to(f"../generations/{number}")

    def generation(self, number: int) -> None:
        (self.data / "generations" / str(number)).mkdir(parents=True)
        (self.data / "generations" / str(number) / "generation.json").write_text("{}")

    def boot(self, cmdline: str) -> Path | None:
        """Where `current` leads after the script ran."""
        self.cmdline.write_text(f"{cmdline}\n")
        subprocess.run(["sh", SCRIPT, self.cmdline, self.data, self.run], check=True)
        link = self.run / "current"
        return link.resolve() if link.is_symlink() else None


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


@pytest.mark.parametrize(("slot", "number"), [("A", "3"), ("B", "4")])
def test_the_booted_slot_brings_its_applications(device: Device, slot: str, number: str) -> None:
    assert device.boot(f"root=/dev/mmcblk0p2 otad.slot={slot} rootwait") == device.data / "generations" / number


def test_the_last_word_counts_as_for_the_kernel(device: Device) -> None:
    assert device.boot("otad.slot=A quiet otad.slot=B") == device.data / "generations" / "4"


@pytest.mark.parametrize(
    "cmdline", ["", "otad.slot=", "otad.slot=recovery", "otad.slot=../generations", "xotad.slot=A", "* otad.slot"]
)
def test_an_unknown_slot_makes_no_link(device: Device, cmdline: str) -> None:
    assert device.boot(cmdline) is None


def test_a_slot_without_a_generation_makes_no_link(device: Device) -> None:
    (device.data / "slots" / "B").unlink()
    assert device.boot("otad.slot=B") is None


def test_a_generation_that_was_being_deleted_is_none(device: Device) -> None:
    (device.data / "generations/4/generation.json").unlink()
    assert device.boot("otad.slot=B") is None


def test_what_otad_made_current_in_this_boot_stays(device: Device) -> None:
    device.generation(5)
    device.run.mkdir()
    (device.run / "current").symlink_to(device.data / "generations/5")
    assert device.boot("otad.slot=A") == device.data / "generations/5"


def test_without_the_data_partition_nothing_happens(device: Device, tmp_path: Path) -> None:
    device.data = tmp_path / "absent"
    assert device.boot("otad.slot=A") is None
    assert not device.data.exists()
