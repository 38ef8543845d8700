"""What every boot back end keeps: the Protocol of otad/bootenv/, over a real environment of its own kind.

A back end is found by listing the folder; a new one adds its line to BOARDS.
"""

from __future__ import annotations

import pkgutil
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import otad.bootenv
from otad.bootenv import BootEnvironment, BootStatus, Slot
from otad.bootenv.uboot import UBoot
from simulator.bootloader import Stop, power_on
from simulator.envfile import EnvFile

A, B = Slot.A, Slot.B


class Board(NamedTuple):
    """A back end that believes that the given slot runs, and the boot loader that goes with it."""

    believing: Callable[[Slot], BootEnvironment]
    power_on: Callable[[], Slot | Stop]


def uboot_board(folder: Path) -> Board:
    if not (shutil.which("fw_setenv") and shutil.which("mkenvimage")):
        pytest.skip("needs libubootenv-tool and u-boot-tools")
    env = EnvFile.create(folder)

    def power() -> Slot | Stop:
        boot = power_on(env.load(), lambda _: True)
        for store in boot.stores:
            env.save(store)
        return boot.end

    return Board(lambda slot: UBoot(env.config, lambda: slot), power)


BOARDS = {"uboot": uboot_board}


def test_every_back_end_is_held_to_the_contract() -> None:
    assert {module.name for module in pkgutil.iter_modules(otad.bootenv.__path__)} == set(BOARDS)


@pytest.fixture(params=sorted(BOARDS))
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    return BOARDS[request.param](tmp_path)


def test_a_trial_counts_its_boots_and_falls_back(board: Board) -> None:
    assert board.power_on() is A
    board.believing(A).arm(B)
    assert board.believing(A).status() == BootStatus(booted=A, selected=B, trial=True, fallback=A)
    for tries in (1, 2, 3):
        assert board.power_on() is B
        assert board.believing(B).status() == BootStatus(booted=B, selected=B, trial=True, tries=tries, fallback=A)
    assert board.power_on() is A
    assert board.believing(A).status() == BootStatus(booted=A, selected=A, failed=B)


def test_a_confirmed_trial_stays_and_keeps_its_fallback(board: Board) -> None:
    board.power_on()
    board.believing(A).arm(B)
    assert board.power_on() is B
    board.believing(B).confirm()
    assert board.believing(B).status() == BootStatus(booted=B, selected=B, fallback=A)
    assert [board.power_on() for _ in range(5)] == [B] * 5


def test_a_rollback_boots_the_goal_and_says_what_failed(board: Board) -> None:
    board.power_on()
    board.believing(A).arm(B)
    board.power_on()
    board.believing(B).rollback(A)
    assert board.power_on() is A
    status = board.believing(A).status()
    assert (status.selected, status.trial, status.failed, status.fallback) == (A, False, B, None)


def test_disarming_leaves_no_trace_of_the_trial(board: Board) -> None:
    board.power_on()
    board.believing(A).arm(B)
    board.believing(A).rollback(A)
    assert board.power_on() is A
    assert board.believing(A).status().failed is None


def test_a_revert_that_is_disarmed_may_keep_its_slot_as_the_fallback(board: Board) -> None:
    board.power_on()
    board.believing(A).arm(B)
    board.believing(A).rollback(A, B)
    assert board.power_on() is A
    status = board.believing(A).status()
    assert (status.selected, status.trial, status.failed, status.fallback) == (A, False, None, B)


def test_a_retired_slot_is_no_fallback(board: Board) -> None:
    board.power_on()
    board.believing(A).retire()
    assert board.believing(A).status().fallback is None


def test_unproven_boots_are_counted_and_proven_ones_are_not(board: Board) -> None:
    for boots in (1, 2, 3):
        board.power_on()
        assert board.believing(A).status().unproven == boots
    board.believing(A).proven()
    assert board.believing(A).status().unproven == 0


def test_a_board_that_counts_has_no_problems(board: Board) -> None:
    board.power_on()
    found = board.believing(A).status()
    board.believing(A).proven()
    assert board.believing(A).problems(found) == []
    (problem,) = board.believing(A).problems(board.believing(A).status())
    assert "count" in problem
