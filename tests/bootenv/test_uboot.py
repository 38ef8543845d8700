"""U-Boot's environment: the pure half over odd values, the other half over the real fw_printenv and fw_setenv."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otad.bootenv import BootStatus, Slot, uboot
from otad.bootenv.uboot import UBoot, boot_status, env_problems, parse, strtoul
from otad.errors import BootEnvironmentError, Cause
from simulator.bootloader import DEFAULT, power_on
from simulator.envfile import EnvFile

pytestmark = pytest.mark.skipif(
    not (shutil.which("fw_setenv") and shutil.which("mkenvimage")), reason="needs libubootenv-tool and u-boot-tools"
)

A, B = Slot.A, Slot.B
COUNTED = BootStatus(booted=A, selected=A, fallback=B, unproven=1)


@pytest.fixture
def env(tmp_path: Path) -> EnvFile:
    return EnvFile.create(tmp_path)


@pytest.fixture
def boot(env: EnvFile) -> UBoot:
    return UBoot(env.config, lambda: A)


class TestParse:
    def test_the_defaults(self) -> None:
        assert boot_status(DEFAULT._asdict(), A) == BootStatus(booted=A, selected=A, fallback=B)

    def test_an_empty_environment_is_slot_a_and_stable(self) -> None:
        assert boot_status({}, None) == BootStatus(booted=None, selected=A)

    @pytest.mark.parametrize(("text", "slot"), [("A", A), ("B", B), ("", A), ("b", A), ("BB", A), (" B", A)])
    def test_only_b_selects_b(self, text: str, slot: Slot | None) -> None:
        assert boot_status({"boot_partition": text}, A).selected is slot

    @pytest.mark.parametrize(
        ("text", "trial"), [("1", True), ("0", False), ("", False), ("2", False), ("01", False), ("yes", False)]
    )
    def test_only_1_is_a_trial(self, text: str, trial: bool) -> None:
        assert boot_status({"upgrade_available": text}, A).trial is trial

    @pytest.mark.parametrize(("text", "slot"), [("A", A), ("B", B), ("", None), ("C", None), ("AB", None)])
    def test_slots_that_may_be_none(self, text: str, slot: Slot | None) -> None:
        status = boot_status({"otad_fallback": text, "otad_rollback": text}, A)
        assert (status.fallback, status.failed) == (slot, slot)

    @pytest.mark.parametrize(
        ("text", "decimal", "hexadecimal"),
        [
            ("3", 3, 3),
            ("10", 10, 16),
            ("a", 0, 10),
            ("3x", 3, 3),
            ("0x10", 16, 16),
            ("", 0, 0),
            ("-1", 0, 0),
            (" 3", 0, 0),
            ("0x", 0, 0),
        ],
    )
    def test_numbers_as_u_boot_reads_them(self, text: str, decimal: int, hexadecimal: int) -> None:
        status = boot_status({"bootcount": text, "otad_boots": text}, A)
        assert (status.tries, status.unproven) == (decimal, hexadecimal)

    @given(st.text(), st.sampled_from([10, 16]))
    def test_any_text_is_a_number(self, text: str, base: int) -> None:
        assert strtoul(text, base) >= 0

    @given(st.integers(0, 2**32))
    def test_plain_numbers_are_themselves(self, number: int) -> None:
        assert (strtoul(str(number), 10), strtoul(f"{number:x}", 16)) == (number, number)

    def test_thousands_of_digits_are_no_trap(self) -> None:
        assert strtoul("9" * 9000, 10) > 8

    def test_only_the_first_equals_sign_counts(self) -> None:
        assert parse("a=b=c\nodd\nempty=\n") == {"a": "b=c", "empty": ""}


class TestChanges:
    """Each against the words of the contract, with the real tools."""

    def changed(self, env: EnvFile, act: Callable[[], None]) -> dict[str, str]:
        before = env.variables()
        act()
        after = env.variables()
        return {name: after.get(name, "") for name in {*before, *after} if before.get(name, "") != after.get(name, "")}

    def test_arm(self, env: EnvFile, boot: UBoot) -> None:
        env.set({"bootcount": "1", "otad_boots": "1", "otad_rollback": "B", "bootlimit": "5"})
        assert self.changed(env, lambda: boot.arm(B)) == {
            "boot_partition": "B",
            "upgrade_available": "1",
            "bootcount": "0",
            "bootlimit": "3",
            "otad_boots": "0",
            "otad_fallback": "A",
            "otad_rollback": "",
        }

    def test_retire(self, env: EnvFile, boot: UBoot) -> None:
        assert self.changed(env, boot.retire) == {"otad_fallback": ""}

    def test_confirm_keeps_the_fallback(self, env: EnvFile) -> None:
        env.save(DEFAULT._replace(boot_partition="B", upgrade_available="1", bootcount="2", otad_boots="1", otad_fallback="A"))
        changed = self.changed(env, UBoot(env.config, lambda: B).confirm)
        assert changed == {"upgrade_available": "0", "bootcount": "0", "otad_boots": "0"}
        assert env.load().otad_fallback == "A"

    def test_rollback_to_the_other_slot_notes_the_booted_one(self, env: EnvFile) -> None:
        env.save(DEFAULT._replace(boot_partition="B", upgrade_available="1", bootcount="1", otad_fallback="A"))
        UBoot(env.config, lambda: B).rollback(A)
        assert env.load() == DEFAULT._replace(otad_fallback="", otad_rollback="B")

    def test_rollback_to_the_booted_slot_disarms(self, env: EnvFile, boot: UBoot) -> None:
        boot.arm(B)
        boot.rollback(A)
        assert env.load() == DEFAULT._replace(otad_fallback="")

    def test_proven(self, env: EnvFile, boot: UBoot) -> None:
        env.save(DEFAULT._replace(bootcount="1", otad_boots="3"))
        assert self.changed(env, boot.proven) == {"bootcount": "0", "otad_boots": "0"}

    @pytest.mark.parametrize(
        "act", [lambda b: b.arm(B), lambda b: b.confirm(), lambda b: b.rollback(B), lambda b: b.retire(), lambda b: b.proven()]
    )
    def test_each_is_one_store_and_none_when_it_already_holds(
        self, env: EnvFile, boot: UBoot, act: Callable[[UBoot], None]
    ) -> None:
        env.save(DEFAULT._replace(bootcount="1", otad_boots="1", otad_rollback="B"))
        before = env.image.read_bytes()
        act(boot)
        after = env.image.read_bytes()
        half = len(after) // 2
        assert [before[:half] == after[:half], before[half:] == after[half:]].count(True) == 1, "one copy is kept"
        act(boot)
        assert env.image.read_bytes() == after

    def test_a_torn_store_leaves_what_was(self, env: EnvFile, boot: UBoot) -> None:
        before = env.load()
        boot.arm(B)
        env.tear()
        assert env.load() == before
        boot.arm(B)
        assert boot.status() == BootStatus(booted=A, selected=B, trial=True, fallback=A)

    def test_status_reads_both_halves(self, env: EnvFile, boot: UBoot) -> None:
        env.set({"otad_boots": "a", "otad_rollback": "B"})
        assert boot.status() == BootStatus(booted=A, selected=A, fallback=B, failed=B, unproven=10)


class TestRefusals:
    def refused(self, act: Callable[[], object]) -> Cause:
        with pytest.raises(BootEnvironmentError) as caught:
            act()
        assert caught.value.cause.remedy
        return caught.value.cause

    @pytest.mark.parametrize("act", [lambda b: b.arm(B), lambda b: b.confirm(), lambda b: b.rollback(A)])
    def test_nothing_is_written_while_the_booted_slot_is_unknown(self, env: EnvFile, act: Callable[[UBoot], None]) -> None:
        before = env.image.read_bytes()
        assert self.refused(lambda: act(UBoot(env.config, lambda: None))).code == "slot-unknown"
        assert env.image.read_bytes() == before

    def test_the_booted_slot_is_never_armed(self, env: EnvFile, boot: UBoot) -> None:
        before = env.image.read_bytes()
        assert self.refused(lambda: boot.arm(A)).code == "arm-booted"
        assert env.image.read_bytes() == before

    def test_a_blank_environment(self, env: EnvFile, boot: UBoot) -> None:
        env.image.write_bytes(bytes(len(env.image.read_bytes())))
        cause = self.refused(boot.proven)
        assert cause.code == "bootenv-read"
        assert "fw_printenv exited 243: Cannot read environment" in cause.what
        assert not any(env.image.read_bytes())

    def test_a_missing_fw_env_config(self, tmp_path: Path) -> None:
        cause = self.refused(UBoot(tmp_path / "none", lambda: A).status)
        assert "Configuration file wrong or corrupted" in cause.what
        assert str(tmp_path / "none") in cause.remedy

    def test_a_missing_tool(self, env: EnvFile) -> None:
        cause = self.refused(UBoot(env.config, lambda: A, printenv=("/none/fw_printenv",)).status)
        assert "/none/fw_printenv could not be started: No such file" in cause.what

    def test_a_tool_that_fails(self, env: EnvFile) -> None:
        broken = UBoot(env.config, lambda: A, setenv=(sys.executable, "-c", "import sys; sys.exit('flash is dead')"))
        cause = self.refused(lambda: broken.arm(B))
        assert (cause.code, cause.evidence["said"]) == ("bootenv-write", "flash is dead")
        assert "exited 1: flash is dead" in cause.what

    def test_a_tool_that_does_nothing_and_exits_0(self, env: EnvFile) -> None:
        cause = self.refused(lambda: UBoot(env.config, lambda: A, setenv=("true",)).arm(B))
        assert cause.code == "bootenv-mismatch"
        assert cause.evidence["boot_partition"] == "wrote 'B', found 'A'"

    def test_a_read_only_variable_is_noticed_although_fw_setenv_exits_0(self, env: EnvFile, boot: UBoot) -> None:
        env.set({".flags": "boot_partition:sr"})
        assert self.refused(lambda: boot.arm(B)).code == "bootenv-mismatch"

    def test_a_tool_that_hangs(self, env: EnvFile, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(uboot, "TIMEOUT", 0.1)
        cause = self.refused(UBoot(env.config, lambda: A, printenv=("sh", "-c", "exec sleep 60")).status)
        assert "did not end within 0.1 s" in cause.what

    def test_a_tool_that_prints_nothing(self, env: EnvFile) -> None:
        assert self.refused(UBoot(env.config, lambda: A, printenv=("true",)).status).code == "bootenv-read"


class TestProblems:
    def test_none_on_a_board_that_counted_this_boot(self, env: EnvFile, boot: UBoot) -> None:
        counted = power_on(env.load(), lambda _: True).stores[-1]
        env.save(counted)
        found = boot.status()
        boot.proven()
        assert boot.problems(found) == []

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"altbootcmd": ""}, "altbootcmd is empty"),
            ({"bootcmd": "run distro_bootcmd"}, "bootcmd does not run otad_count"),
            ({"otad_count": ""}, "bootcmd does not run otad_count"),
            ({"otad_env_version": "0"}, "version 0, older than 2"),
            ({"otad_env_version": ""}, "shadow"),
            ({"bootlimit": "0"}, "bootlimit is '0'"),
            ({"bootlimit": ""}, "bootlimit is ''"),
            ({"bootlimit": "three"}, "bootlimit is 'three'"),
            ({"otad_bootlimit": ""}, "otad_bootlimit is ''"),
            ({"boot_partition": "C"}, "boot_partition is 'C'"),
            ({"upgrade_available": "2"}, "upgrade_available is '2'"),
        ],
    )
    def test_each_alone(self, env: EnvFile, boot: UBoot, change: dict[str, str], words: str) -> None:
        env.set(change)
        (problem,) = boot.problems(COUNTED)
        assert words in problem

    def test_a_newer_text_is_trusted(self, env: EnvFile, boot: UBoot) -> None:
        env.set({"otad_env_version": "7"})
        assert boot.problems(COUNTED) == []

    def test_a_stable_boot_that_was_not_counted(self, boot: UBoot) -> None:
        (problem,) = boot.problems(replace(COUNTED, unproven=0))
        assert "U-Boot did not count this boot" in problem

    @pytest.mark.parametrize(
        "found",
        [
            replace(COUNTED, unproven=0, failed=B),  # right after altbootcmd
            replace(COUNTED, unproven=0, trial=True),  # the trial that was then confirmed
        ],
    )
    def test_boots_that_have_no_count_by_right(self, boot: UBoot, found: BootStatus) -> None:
        assert boot.problems(found) == []

    def test_an_unknown_slot(self, env: EnvFile) -> None:
        assert any("booted slot cannot be told" in p for p in env_problems(env.variables(), replace(COUNTED, booted=None)))

    def test_the_remedy_for_old_scripts_works(self, env: EnvFile, boot: UBoot) -> None:
        env.set({"otad_env_version": "", "altbootcmd": "", "otad_count": "", "boot_partition": "B", "bootcount": "2"})
        scripts = Path(__file__).parents[2] / "recipes" / "u-boot" / "files" / "otad-scripts.env"
        subprocess.run(["fw_setenv", "-c", env.config, "-s", scripts], check=True)
        assert boot.problems(COUNTED) == []
        assert (env.load().boot_partition, env.load().bootcount) == ("B", "2")
