"""The device's id: kept, bound to the board, its own on a cloned disk, and never given out before it is kept."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from otad.errors import RetryLater
from otad.identity import DeviceId, device_id


class Board:
    """A board's /proc and /sys as files, and the disk that is in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.file = folder / "data" / "identity"
        self.file.parent.mkdir(parents=True)

    def fact(self, place: str, value: str) -> None:
        (self.root / place).parent.mkdir(parents=True, exist_ok=True)
        (self.root / place).write_text(value)

    def serial(self, value: str) -> None:
        self.fact("proc/device-tree/serial-number", value + "\0")

    def emmc(self, value: str) -> None:
        self.fact("sys/block/mmcblk0/device/cid", value + "\n")

    def id(self, configured: str | None = None) -> str:
        return self.known(configured).name

    def known(self, configured: str | None = None) -> DeviceId:
        return device_id(configured, self.file, self.root)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    board = Board(tmp_path)
    board.serial("1420921055981")
    board.emmc("1501004d4347")
    return board


def test_made_once_and_kept(board: Board) -> None:
    first = board.id()
    assert len(bytes.fromhex(first)) == 16
    assert board.id() == first
    assert json.loads(board.file.read_text())["board"] == {"serial": "1420921055981", "emmc": "1501004d4347"}


def test_a_configured_id_wins_and_writes_nothing(board: Board) -> None:
    assert board.id("truck-17") == "truck-17"
    assert not board.file.exists()


@pytest.mark.parametrize("fact", ["serial", "emmc"])
def test_a_cloned_disk_makes_its_own(board: Board, fact: str) -> None:
    first = board.id()
    getattr(board, fact)("another")
    second = board.known()
    assert second.name != first
    assert second.trouble
    assert "another board" in second.trouble.what
    assert board.known() == DeviceId(second.name)


def test_a_fact_that_cannot_be_read_says_nothing_and_binds_once_it_can(tmp_path: Path) -> None:
    board = Board(tmp_path)
    first = board.id()
    board.serial("1")
    assert board.id() == first
    (board.root / "proc/device-tree/serial-number").unlink()
    board.emmc("2")
    assert board.id() == first
    board.serial("3")
    assert board.id() != first


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"id": "ab", "board": {}}',
        b'{"id": "' + b"ab" * 16 + b'", "board": 1}',
        pytest.param(b"[" * 20_000, id="nested without end"),
    ],
)
def test_a_damaged_file_is_replaced_and_said(board: Board, damage: bytes) -> None:
    board.file.write_bytes(damage)
    made = board.known()
    assert made.trouble
    assert "damaged" in made.trouble.what
    assert board.known() == DeviceId(made.name)


def test_without_its_folder_no_id_is_given_out(board: Board) -> None:
    board.file.parent.rmdir()
    with pytest.raises(RetryLater, match="cannot keep this device's id") as raised:
        board.id()
    assert raised.value.cause.code == "identity-unwritable"
    assert not board.file.parent.exists()


def test_an_unreadable_file_is_not_a_missing_one(board: Board) -> None:
    board.file.mkdir()
    with pytest.raises(RetryLater, match="cannot read this device's id"):
        board.id()


def test_a_cut_while_writing_leaves_the_old_id(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut before the rename: the next start makes an id anew, as if nothing had been; afterwards it is kept."""

    def cut(_: int) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", cut)
        with pytest.raises(SystemExit):
            board.id()
    assert not board.file.exists()
    assert board.id() == board.id()
