"""The real U-Boot with the real scripts boots and saves what `simulator/bootloader.py` says, for hundreds of environments."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from otad.bootenv import Slot
from simulator.bootloader import DEFAULT
from simulator.qemu.parity import Start
from simulator.qemu.sandbox import Sandbox
from tests.board.starts import BOTH, LOADS, NEITHER, STARTS, UNSET, set_only

pytestmark = pytest.mark.timeout(900)


def same(sandbox: Sandbox, start: Start, folder: Path, measured: Counter[str]) -> None:
    seen = sandbox.power_on(start, folder)
    assert not (difference := seen.differs(start.modelled())), f"{start}\n{difference}"
    measured["parity_cases"] += 1


@pytest.mark.parametrize("recovery", [True, False], ids=["recovery", "no recovery"])
@pytest.mark.parametrize("loads", LOADS, ids=["both load", "A loads", "B loads", "none loads"])
def test_trials(sandbox: Sandbox, tmp_path: Path, measured: Counter[str], loads: frozenset[Slot], recovery: bool) -> None:
    """Of each slot: fresh, at the limit, beyond it; with each fallback."""
    for slot, count, fallback in product("AB", ("0", "2", "3", "4"), ("A", "B", "", UNSET)):
        data = {
            **DEFAULT._asdict(),
            "boot_partition": slot,
            "upgrade_available": "1",
            "bootcount": count,
            "otad_fallback": fallback,
        }
        same(sandbox, Start(set_only(data), loads, recovery), tmp_path, measured)


@pytest.mark.parametrize("recovery", [True, False], ids=["recovery", "no recovery"])
@pytest.mark.parametrize("loads", [BOTH, NEITHER], ids=["both load", "none loads"])
def test_stable_boots(sandbox: Sandbox, tmp_path: Path, measured: Counter[str], loads: frozenset[Slot], recovery: bool) -> None:
    """Counted in hexadecimal, to the limit and beyond; without a count, and with one that is no number."""
    for count, limit, fallback in product((UNSET, "0", "7", "8", "f", "junk"), ("8", "10", UNSET), ("B", UNSET)):
        data = {**DEFAULT._asdict(), "otad_boots": count, "otad_bootlimit": limit, "otad_fallback": fallback}
        same(sandbox, Start(set_only(data), loads, recovery), tmp_path, measured)


@pytest.mark.parametrize("available", [UNSET, "", "0", "2", "01", "0x1", "1x", "yes", "-1", " "])
def test_what_is_hardly_a_trial(sandbox: Sandbox, tmp_path: Path, measured: Counter[str], available: str | None) -> None:
    """The boot counter counts what the scripts do not take for a trial, and the other way round."""
    for count, limit, boots in product((UNSET, "3", "junk"), ("3", "0", UNSET), ("0", "8")):
        data = {**DEFAULT._asdict(), "upgrade_available": available, "bootcount": count, "bootlimit": limit, "otad_boots": boots}
        same(sandbox, Start(set_only(data), BOTH, recovery=True), tmp_path, measured)


@pytest.mark.parametrize("recovery", [True, False], ids=["recovery", "no recovery"])
@pytest.mark.parametrize("available", ["0", "1"], ids=["stable", "trial"])
def test_where_nothing_is_left(sandbox: Sandbox, tmp_path: Path, measured: Counter[str], available: str, recovery: bool) -> None:
    """Out of boots, each slot with each fallback, and each given up before: it falls, or recovery comes, or turns are taken."""
    for slot, fallback, failed in product(("A", "B", "C"), ("A", "B", "", "C"), ("A", "B", UNSET, "C")):
        data = {
            **DEFAULT._asdict(),
            "boot_partition": slot,
            "upgrade_available": available,
            "bootcount": "3",
            "otad_boots": "8",
            "otad_fallback": fallback,
            "otad_rollback": failed,
        }
        same(sandbox, Start(set_only(data), BOTH, recovery), tmp_path, measured)


def test_whatever_comes(sandbox: Sandbox, tmp_path: Path, measured: Counter[str]) -> None:
    """Environments that Hypothesis makes, the same ones each time."""

    @settings(derandomize=True, max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(STARTS)
    def sweep(start: Start) -> None:
        same(sandbox, start, tmp_path, measured)

    sweep()


def test_a_new_card_gets_the_built_in_environment(sandbox: Sandbox, tmp_path: Path) -> None:
    """Both copies blank: U-Boot takes its default, which must boot, and saves it with the first count."""
    (tmp_path / "card.img").write_bytes(bytes(8 << 20))
    said = sandbox.run(tmp_path)
    assert "bad CRC, using default environment" in said
    assert "Saving Environment to MMC" in said
