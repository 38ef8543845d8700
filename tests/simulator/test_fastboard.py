"""The fast board itself, with small shell scripts in otad's place: power, boots, resets, cuts, and what otad would find."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from pathlib import Path

import pytest

from otad import config_files
from otad.bootenv import BootStatus, Slot
from otad.bootenv.uboot import UBoot, arm
from otad.slots import Slots
from simulator import processes
from simulator.bootloader import Stop
from simulator.envfile import EnvFile
from simulator.fastboard import STARTS, BoardError, FastBoard
from simulator.settings import Repository
from simulator.system import HEALTH, Kernel, System, kernel, read

A, B = Slot.A, Slot.B
TOOLS = ("fw_setenv", "mkenvimage", "mkfs.ext4", "debugfs")
MISSING = [tool for tool in TOOLS if not shutil.which(tool)]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")

SLEEP = "exit 0"
HANG = 'echo here > "$OTAD_BOARD/hangs"; exec sleep 600'
REBOOT = "exec systemctl reboot"


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("factory")
    return System("1.0.0").build(folder / "image", folder / "tree")


@pytest.fixture
def board(tmp_path: Path, factory: Path) -> FastBoard:
    repository = Repository("http://127.0.0.1:1", tmp_path / "root.json", tmp_path / "swupdate.pem")
    return playing(FastBoard.create(tmp_path / "board", factory, repository), SLEEP)


def playing(board: FastBoard, script: str) -> FastBoard:
    """`script` in otad's place."""
    board.otad = ("sh", "-c", script)
    return board


def put(board: FastBoard, slot: Slot, system: System) -> None:
    image = system.build(board.folder / "new", board.folder / f"tree-{system.version}")
    with board.slots[slot].open("r+b") as file:
        file.write(image.read_bytes())


async def hanging(board: FastBoard) -> None:
    """Wait until HANG runs: it writes to a pipe that somebody must read."""
    await asyncio.to_thread((board.folder / "hangs").read_bytes)


class TestSystem:
    @pytest.mark.parametrize("wanted", list(Kernel))
    def test_the_kernel_is_read_from_the_image(self, tmp_path: Path, wanted: Kernel) -> None:
        assert kernel(System("1.0.0", kernel=wanted).build(tmp_path / "image", tmp_path / "tree")) is wanted

    def test_health_is_read_from_the_image(self, tmp_path: Path) -> None:
        sick = System("1.0.0", healthy=False).build(tmp_path / "image", tmp_path / "tree")
        assert read(sick, HEALTH) == b"its model gives nonsense"

    def test_what_is_no_file_system_does_not_boot(self, tmp_path: Path) -> None:
        (tmp_path / "junk").write_bytes(os.urandom(1 << 20))
        assert kernel(tmp_path / "junk") is Kernel.MISSING
        assert kernel(tmp_path / "absent") is Kernel.MISSING


class TestPower:
    async def test_a_new_board_boots_a_and_otad_sleeps(self, board: FastBoard) -> None:
        async with board:
            assert await board.power_on() is A
            assert await board.settled() is A
            assert b'"1.0.0"' in board.release

    async def test_what_otad_finds(self, board: FastBoard) -> None:
        async with board:
            await board.power_on()
            settings = config_files.load(board.folder / "otad.toml")
            slots = Slots(settings.slots, settings.paths)
            boot = UBoot(settings.boot.fw_env, slots.booted)
            found = boot.status()
            assert found == BootStatus(booted=A, selected=A, tries=1, fallback=B, unproven=1)
            boot.proven()
            assert boot.problems(found) == []
            slots.guard(B, boot.status(), 1)

    async def test_every_boot_has_an_id_and_an_empty_run(self, board: FastBoard) -> None:
        async with board:
            await board.power_on()
            before = (board.folder / "boot_id").read_text()
            (board.folder / "run" / "left").touch()
            await board.cut()
            assert board.slot is None
            await board.power_on()
            assert (board.folder / "boot_id").read_text() != before
            assert not (board.folder / "run" / "left").exists()

    async def test_waking_stays_in_the_same_boot(self, board: FastBoard) -> None:
        async with board:
            await board.power_on()
            await board.settled()
            before = (board.folder / "boot_id").read_text()
            await board.wake()
            await board.settled()
            assert (board.folder / "boot_id").read_text() == before
            assert board.boots == [A]

    async def test_who_wakes_it_on_a_reboot_starts_nothing_beside(
        self, board: FastBoard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reboots, goes_on, firmware = asyncio.Event(), threading.Event(), FastBoard._firmware
        loop = asyncio.get_running_loop()
        playing(board, 'echo >> "$OTAD_BOARD/starts"; test $(wc -l < "$OTAD_BOARD/starts") -gt 1 || exec systemctl reboot')

        def slow(self: FastBoard) -> Slot | Stop:
            if self.boots:
                loop.call_soon_threadsafe(reboots.set)
                goes_on.wait()
            return firmware(self)

        monkeypatch.setattr(FastBoard, "_firmware", slow)
        async with board:
            await board.power_on()
            await reboots.wait()
            await board.wake()
            goes_on.set()
            await board.settled()
            assert (board.folder / "starts").read_text().count("\n") == 2

    async def test_a_cut_leaves_no_process_in_any_session(self, board: FastBoard) -> None:
        os.mkfifo(board.folder / "hangs")
        playing(board, f"setsid sh -c '{HANG}' & exec sleep 600")
        async with board:
            await board.power_on()
            await hanging(board)
            await board.cut()
        assert not list(processes.alive(board.folder))

    async def test_the_power_is_switched_on_once(self, board: FastBoard) -> None:
        async with board:
            await board.power_on()
            with pytest.raises(BoardError, match="already"):
                await board.power_on()


class TestBoots:
    async def test_a_reboot_boots_what_was_armed(self, board: FastBoard) -> None:
        put(board, B, System("1.1.0"))
        variables = "\n".join(f"{name}={value}" for name, value in arm(B, A).items())
        (board.folder / "arm").write_text(f"{variables}\n")
        once = 'test -e "$OTAD_BOARD/armed" && exit 0; : > "$OTAD_BOARD/armed"'
        playing(board, f'{once}; fw_setenv -c "$OTAD_BOARD/fw_env.config" -s "$OTAD_BOARD/arm"; {REBOOT}')
        async with board:
            assert await board.power_on() is A
            assert await board.settled() is B
            assert board.boots == [A, B]
            assert b'"1.1.0"' in board.release
            assert board.env.load().bootcount == "1"

    @pytest.mark.parametrize("wanted", [Kernel.MISSING, Kernel.PANICS])
    async def test_a_trial_that_never_reaches_otad_falls_back(self, board: FastBoard, wanted: Kernel) -> None:
        put(board, B, System("1.1.0", kernel=wanted))
        board.env.set(arm(B, A))
        async with board:
            assert await board.power_on() is A
            assert board.env.load().otad_rollback == "B"

    async def test_a_trial_in_which_otad_fails_is_reset_until_it_falls_back(self, board: FastBoard) -> None:
        put(board, B, System("1.1.0"))
        board.env.set(arm(B, A))
        playing(board, 'grep -q otad.slot=A "$OTAD_BOARD/cmdline"')
        async with board:
            await board.power_on()
            assert await board.settled() is A
            assert board.boots == [B, B, B, A]

    async def test_an_otad_that_fails_in_a_stable_slot_is_an_error(self, board: FastBoard) -> None:
        playing(board, "echo no journal today >&2; exit 3")
        async with board:
            await board.power_on()
            with pytest.raises(BoardError, match=rf"(?s)failed {STARTS} times.*no journal today"):
                await board.settled()

    async def test_what_nobody_waited_for_is_still_said(self, board: FastBoard) -> None:
        playing(board, "exit 3")
        await board.power_on()
        assert board._life
        await asyncio.wait({board._life})
        with pytest.raises(BoardError, match=f"failed {STARTS} times"):
            await board.__aexit__(None, None, None)

    async def test_an_otad_that_never_sleeps_is_an_error(self, board: FastBoard) -> None:
        async with playing(board, HANG):
            await board.power_on()
            with pytest.raises(BoardError, match="not settled"):
                await board.settled(timeout=0.1)

    async def test_two_rotten_slots_end_in_recovery(self, board: FastBoard) -> None:
        board.slots[A].write_bytes(b"")
        async with board:
            assert await board.power_on() is Stop.RECOVERY
            await board.wake()
            assert await board.settled() is Stop.RECOVERY

    async def test_u_boot_may_look_elsewhere(self, board: FastBoard, tmp_path: Path) -> None:
        put(board, B, System("1.1.0"))
        board.uboot = EnvFile.create(tmp_path)
        board.env.set(arm(B, A))
        async with board:
            assert await board.power_on() is A
            assert board.env.load().upgrade_available == "1"


class TestScripts:
    @pytest.mark.parametrize("healthy", [True, False])
    async def test_health_is_the_booted_images(self, board: FastBoard, healthy: bool) -> None:
        put(board, B, System("1.1.0", healthy=healthy))
        board.env.set({"boot_partition": "B"})
        playing(board, 'health; echo $? > "$OTAD_BOARD/verdict"')
        async with board:
            await board.power_on()
            await board.settled()
        assert (board.folder / "verdict").read_text().strip() == ("0" if healthy else "1")

    async def test_the_machines_own_systemd_is_out_of_reach(self, board: FastBoard) -> None:
        playing(board, "echo lost >&2; systemctl stop app; systemd-run --on-active=3s x; journalctl --boot=-1 > $OTAD_BOARD/log")
        async with board:
            await board.power_on()
            await board.settled()
            assert (board.folder / "run" / "units").read_text() == "systemctl stop app\nsystemd-run --on-active=3s x\n"
        assert (board.folder / "log").read_text() == "lost\n"

    def test_settings_can_be_added(self, board: FastBoard) -> None:
        board.configure("slow", "[health]\nsoak = 3")
        assert config_files.load(board.folder / "otad.toml").health.soak == 3

    def test_a_torn_environment_is_the_one_before(self, board: FastBoard) -> None:
        before = board.env.load()
        board.env.set({"boot_partition": "B"})
        board.env.tear()
        assert board.env.load() == before

    def test_a_lost_environment_is_the_default(self, board: FastBoard) -> None:
        board.env.set({"boot_partition": "B"})
        board.env.lose()
        assert board.env.load().boot_partition == "A"
