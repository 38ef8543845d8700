"""The card in its reader: files of a partition, and the two copies of the environment."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from simulator.qemu import parity
from simulator.qemu.card import LAYOUT, MIB
from simulator.qemu.cardreader import Inserted

pytestmark = pytest.mark.skipif(not shutil.which("mkenvimage"), reason="needs mkenvimage")
BOOTED = {"boot_partition": "B", "otad_boots": "1"}


@pytest.fixture
def card(tmp_path: Path) -> Inserted:
    """With an empty file system on the data partition, and one good copy of the environment."""
    raw, ext4 = tmp_path / "card.raw", tmp_path / "data.ext4"
    raw.touch()
    parity.insert(raw, BOOTED)
    subprocess.run(["mkfs.ext4", "-q", "-b", "1024", str(ext4), "8M"], stdout=subprocess.DEVNULL, check=True)
    with raw.open("r+b") as file:
        file.seek(LAYOUT["data"][0] * MIB)
        file.write(ext4.read_bytes())
    return Inserted(raw)


def store(card: Inserted, **values: str) -> None:
    config = card.raw.with_suffix(".config")
    config.write_text("".join(f"{card.raw} {offset:#x} {parity.SIZE:#x}\n" for offset in parity.COPIES))
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    subprocess.run(["fw_setenv", "-c", config, "-s", "-"], input=text, text=True, check=True)


def test_files_are_put_replaced_and_taken_away(card: Inserted, tmp_path: Path) -> None:
    card.put(
        "data",
        {"/otad/conf.d/site.toml": b"[daemon]\n", "/otad/conf.d/more.toml": b"", "/otad/run": b"#!/bin/sh\n", "/old": b"1"},
    )
    card.put("data", {"/otad/conf.d/site.toml": b"[health]\n", "/old": None})
    assert card.read("data", "/otad/conf.d/site.toml") == b"[health]\n"
    assert card.read("data", "/old") == b""
    fetched = card.fetch("data", "/otad", tmp_path / "fetched")
    assert sorted(path.name for path in fetched.iterdir()) == ["conf.d", "run"]
    assert fetched.joinpath("run").stat().st_mode & 0o777 == 0o755
    assert card.broken("data") == ""


def test_a_journal_that_is_not_replayed_yet_is_no_damage(card: Inserted) -> None:
    """As a power cut leaves it; what is in it counts from then on."""
    filesystem = f"{card.raw}?offset={LAYOUT['data'][0] * MIB}"
    page = card.raw.with_name("page")
    page.write_bytes(b"committed".ljust(1024))
    words = f"journal_open\njournal_write -b 8000 {page}\njournal_close\n"
    subprocess.run(["debugfs", "-w", "-f", "-", filesystem], input=words, text=True, check=True, capture_output=True)
    assert "needs_recovery" in features(filesystem)
    assert card.broken("data") == ""
    assert "needs_recovery" not in features(filesystem)
    with card.raw.open("rb") as file:
        file.seek(LAYOUT["data"][0] * MIB + 8000 * 1024)
        assert file.read(9) == b"committed"


def features(filesystem: str) -> str:
    return subprocess.run(["dumpe2fs", "-h", filesystem], check=True, capture_output=True, text=True).stdout


def test_a_partition_without_its_head_is_broken(card: Inserted) -> None:
    card.wipe("data", 1)
    assert card.broken("data")


def test_a_torn_store_leaves_the_one_before_it(card: Inserted) -> None:
    for number in ("2", "3"):
        store(card, otad_boots=number)
        assert card.environment()["otad_boots"] == number
    card.tear()
    said = subprocess.run(
        ["fw_printenv", "-c", card.raw.with_suffix(".config"), "-n", "otad_boots"], capture_output=True, text=True, check=True
    )
    assert said.stdout == "2\n"


def test_a_blank_environment_is_none(card: Inserted) -> None:
    store(card, otad_boots="2")
    card.blank()
    done = subprocess.run(["fw_printenv", "-c", card.raw.with_suffix(".config")], capture_output=True, check=False)
    assert done.returncode
