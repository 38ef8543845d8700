"""The board's own U-Boot in QEMU, with its real boot counter and slots that it really loads, does what the model says."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from otad.bootenv import Slot
from simulator.bootloader import DEFAULT
from simulator.qemu.cache import Cache
from simulator.qemu.firmware import Firmware
from simulator.qemu.parity import Start
from simulator.qemu.tools import NotReady
from tests.board.starts import BOTH, NEITHER, STARTS, UNSET, set_only

pytestmark = pytest.mark.timeout(1800)

MADE = 16  # by Hypothesis


def start(loads: frozenset[Slot] = BOTH, *, recovery: bool = True, **data: str | None) -> Start:
    return Start(set_only({**DEFAULT._asdict(), **data}), loads, recovery)


TRIALS = [
    start(boot_partition=slot, upgrade_available="1", bootcount=count, otad_fallback=fallback)
    for slot, count, fallback in (*product("A", "0234", "B"), *product("B", "0234", "A"), ("A", "3", ""), ("B", "3", UNSET))
]
UNLOADABLE = [start(NEITHER, upgrade_available="1", bootcount=count) for count in "23"]
STABLE = [start(otad_boots=count, otad_bootlimit=limit) for count, limit in (("7", "8"), ("8", "8"), ("f", "10"), ("f", UNSET))]
RECOVERS = [
    start(NEITHER, recovery=recovery, boot_partition="B", otad_boots="8", otad_fallback=fallback, otad_rollback="A")
    for recovery, fallback in product((True, False), ("A", ""))
]
HARDLY = [start(upgrade_available=available, bootcount="3") for available in (UNSET, "2", "01", "0x1")]
STATED = [*TRIALS, *UNLOADABLE, *STABLE, *RECOVERS, *HARDLY]
FEW = [TRIALS[0], TRIALS[2], STABLE[1], RECOVERS[2]]


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    try:
        return Firmware.made(Cache.default(), tmp_path_factory.mktemp("firmware"))
    except NotReady as error:
        pytest.fail(str(error), pytrace=False)


def same(firmware: Firmware, start: Start) -> None:
    assert not (difference := firmware.power_on(start).differs(start.modelled())), f"{start}\n{difference}"


@pytest.mark.parametrize("start", FEW, ids=["a trial", "its last boot", "the fallback", "no recovery"])
def test_a_few(firmware: Firmware, start: Start) -> None:
    same(firmware, start)


@pytest.mark.qemu
def test_all_that_is_stated(firmware: Firmware, measured: Counter[str]) -> None:
    for one in STATED:
        same(firmware, one)
        measured["parity_cases_qemu"] += 1


@pytest.mark.qemu
def test_whatever_comes(firmware: Firmware, measured: Counter[str]) -> None:
    """Environments that Hypothesis makes, the same ones each time."""

    @settings(
        derandomize=True,
        max_examples=MADE,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(STARTS)
    def sweep(start: Start) -> None:
        same(firmware, start)
        measured["parity_cases_qemu"] += 1

    sweep()
