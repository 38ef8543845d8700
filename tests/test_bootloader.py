"""The boot chains of the contract, and that the recipes' text says what the model models."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otad.bootenv import Slot
from otad.bootenv.uboot import ENV_VERSION, RETIRE, arm, boot_status, confirm, env_problems, parse, rollback
from simulator.bootloader import DEFAULT, Boot, Env, Loads, Stop, _count_in_driver, _ran_out, power_on, retry, settle, stored

RECIPES = Path(__file__).parents[1] / "recipes" / "u-boot" / "files"
STABLE_B = DEFAULT._replace(boot_partition="B", otad_fallback="A")
TRIAL_B = DEFAULT._replace(**arm(Slot.B, Slot.A))
ODD = st.sampled_from(["", "0", "1", "2", "3", "4", "8", "9", "a", "0x1", "A", "B", "C", "-1", "junk"])
ENVS = st.builds(Env, *[ODD] * len(Env._fields))


PARTITIONS = {Slot.A: "2", Slot.B: "3"}


def text(name: str) -> dict[str, str]:
    lines = (RECIPES / name).read_text().splitlines()
    return parse("\n".join(line for line in lines if not line.startswith("#")))


def everything_loads(_slot: Slot) -> bool:
    return True


def nothing_loads(_slot: Slot) -> bool:
    return False


def only(slot: Slot) -> Loads:
    return lambda wanted: wanted is slot


def boots(env: Env, loads: Loads, *, recovery: bool = False) -> Iterator[Slot | Stop]:
    """What runs, power-on after power-on, without otad ever running."""
    while True:
        boot = power_on(env, loads, recovery=recovery)
        env = stored(env, boot)
        yield boot.end


def take(number: int, endless: Iterator[Slot | Stop]) -> list[Slot | Stop]:
    return [next(endless) for _ in range(number)]


class TestRecipes:
    def test_the_data_defaults_are_the_models(self) -> None:
        assert Env.of(text("otad-data.env")) == DEFAULT
        assert set(text("otad-data.env")) == set(Env._fields)

    def test_otad_trusts_exactly_these_scripts(self) -> None:
        built_in = {**text("otad-data.env"), **text("otad-scripts.env")}
        counted = power_on(DEFAULT, everything_loads).stores[-1]
        assert text("otad-scripts.env")["otad_env_version"] == str(ENV_VERSION)
        assert env_problems(built_in, boot_status(counted._asdict(), Slot.A)) == []

    def test_data_and_scripts_do_not_overlap(self) -> None:
        assert not set(text("otad-data.env")) & set(text("otad-scripts.env"))

    def test_every_variable_that_the_scripts_use_is_defined(self) -> None:
        defined = {**text("otad-data.env"), **text("otad-scripts.env"), **text("boards/qemu.env")}
        values = " ".join(defined.values())
        used = set(re.findall(r"\$\{?(\w+)", values)) | set(re.findall(r"\brun (\w+)", values))
        set_on_the_way = set(re.findall(r"\bsetenv (\w+)", values)) | {"filesize", "fdtcontroladdr"}  # by U-Boot itself
        assert used <= set(defined) | set_on_the_way

    def test_every_line_fits_fw_setenvs_buffer_and_is_one_variable(self) -> None:
        for name in ("otad-data.env", "otad-scripts.env", "boards/qemu.env"):
            lines = [line for line in (RECIPES / name).read_text().splitlines() if not line.startswith("#")]
            assert all(len(line) < 2048 and re.match(r"\w+=", line) and not line.endswith("\\") for line in lines)

    def test_u_boot_and_linux_look_in_the_same_place(self) -> None:
        config = dict(
            line.split("=") for line in (RECIPES / "bootcount.cfg").read_text().splitlines() if line.startswith("CONFIG")
        )
        copies = [line.split() for line in (RECIPES / "fw_env.config").read_text().splitlines() if line.startswith("/")]
        size = config["CONFIG_ENV_SIZE"]
        assert copies == [
            ["/dev/mmcblk0", config["CONFIG_ENV_OFFSET"], size],
            ["/dev/mmcblk0", config["CONFIG_ENV_OFFSET_REDUND"], size],
        ]


class TestChains:
    def test_a_healthy_board_boots_its_slot_and_counts(self) -> None:
        boot = power_on(DEFAULT, everything_loads)
        assert boot == Boot(Slot.A, (DEFAULT._replace(bootcount="1", otad_boots="1"),))

    def test_three_failed_trials_then_the_fallback(self) -> None:
        assert take(4, boots(TRIAL_B, everything_loads)) == [Slot.B] * 3 + [Slot.A]

    def test_the_whole_chain_without_otad(self) -> None:
        """3 trials of B, then A: the boot of the fallback and 8 counted ones, then recovery for good."""
        assert take(14, boots(TRIAL_B, everything_loads, recovery=True)) == [Slot.B] * 3 + [Slot.A] * 9 + [Stop.RECOVERY] * 2

    def test_the_fallback_is_taken_once_and_leaves_its_reason(self) -> None:
        env = TRIAL_B._replace(bootcount="3")
        boot = power_on(env, everything_loads)
        assert boot.end is Slot.A
        assert boot.stores == (
            env._replace(bootcount="4"),
            env._replace(boot_partition="A", otad_rollback="B", otad_fallback="", upgrade_available="0", bootcount="0"),
        )

    def test_a_trial_that_does_not_load_falls_back_by_itself(self) -> None:
        boot, env = settle(TRIAL_B, only(Slot.A))
        assert (boot.end, env.otad_rollback) == (Slot.A, "B")

    def test_a_stable_slot_that_rots_falls_back_by_itself(self) -> None:
        boot, env = settle(STABLE_B, only(Slot.A))
        assert (boot.end, env.otad_rollback, env.otad_fallback) == (Slot.A, "B", "B")

    def test_recovery_is_sticky_until_somebody_clears_the_count(self) -> None:
        boot, env = settle(DEFAULT, nothing_loads, recovery=True)
        assert boot.end is Stop.RECOVERY
        assert power_on(env, everything_loads, recovery=True).end is Stop.RECOVERY
        assert power_on(retry(env), everything_loads, recovery=True).end is not Stop.RECOVERY

    def test_without_recovery_the_slots_are_tried_again(self) -> None:
        _, env = settle(DEFAULT, nothing_loads)
        assert settle(env, only(Slot.B))[0].end is Slot.B

    def test_two_slots_that_were_good_take_turns_after_recovery(self) -> None:
        """A new device, its B empty, is switched off 9 times before otad is up: recovery comes, and then A again."""
        env = DEFAULT
        for _ in range(9):
            env = stored(env, power_on(env, everything_loads))
        boot, env = settle(env, only(Slot.A), recovery=True)
        assert (boot.end, env.boot_partition) == (Stop.RECOVERY, "B")
        boot, env = settle(retry(env), only(Slot.A), recovery=True)
        assert (boot.end, env.otad_rollback) == (Slot.A, "B")

    def test_a_slot_that_failed_on_trial_does_not_come_back(self) -> None:
        boot, env = settle(TRIAL_B, nothing_loads, recovery=True)
        assert boot.end is Stop.RECOVERY
        assert power_on(retry(env), everything_loads).end is Slot.A

    def test_a_trial_that_names_no_fallback_goes_back_to_the_other_slot(self) -> None:
        for target in Slot:
            armed = DEFAULT._replace(boot_partition=target.value, upgrade_available="1", otad_fallback="")
            assert take(4, boots(armed, everything_loads)) == [target] * 3 + [target.other]

    def test_after_a_rollback_there_is_nothing_to_fall_back_to(self) -> None:
        env = DEFAULT._replace(**rollback(Slot.A, Slot.B))
        assert settle(env, only(Slot.B), recovery=True)[0].end is Stop.RECOVERY

    def test_a_retired_fallback_is_not_taken(self) -> None:
        env = DEFAULT._replace(**RETIRE)
        assert settle(env, only(Slot.B), recovery=True)[0].end is Stop.RECOVERY

    def test_a_lost_environment_boots_a_then_b(self) -> None:
        assert power_on(DEFAULT, everything_loads).end is Slot.A
        assert settle(DEFAULT, only(Slot.B))[0].end is Slot.B

    def test_a_u_boot_that_cannot_save_tries_the_trial_for_ever(self) -> None:
        assert [power_on(TRIAL_B, everything_loads).end for _ in range(9)] == [Slot.B] * 9

    def test_confirm_ends_the_trial(self) -> None:
        confirmed = TRIAL_B._replace(**confirm(Slot.B))
        assert take(8, boots(confirmed, everything_loads)) == [Slot.B] * 8


class TestTraps:
    def test_the_count_kept_in_memory_is_saved_with_a_stable_boot(self) -> None:
        """The driver counts from 0 when stable, whatever was stored, and otad_count's saveenv keeps it."""
        env = DEFAULT._replace(bootcount="7")
        assert power_on(env, everything_loads).stores[0].bootcount == "1"

    def test_arming_without_clearing_the_count_would_cost_a_trial(self) -> None:
        left = stored(DEFAULT, power_on(DEFAULT, everything_loads))
        careless = left._replace(boot_partition="B", upgrade_available="1", otad_fallback="A")
        assert take(3, boots(careless, everything_loads)) == [Slot.B, Slot.B, Slot.A]
        assert take(3, boots(left._replace(**arm(Slot.B, Slot.A)), everything_loads)) == [Slot.B] * 3

    def test_stable_boots_are_counted_in_hexadecimal(self) -> None:
        env = DEFAULT._replace(otad_boots="f", otad_bootlimit="10")
        assert power_on(env, everything_loads) == Boot(Slot.A, (env._replace(bootcount="1", otad_boots="10"),))
        assert power_on(env._replace(otad_boots="10"), everything_loads).end is Slot.B

    def test_a_limit_of_zero_is_no_limit(self) -> None:
        assert power_on(TRIAL_B._replace(bootlimit="0", bootcount="99"), everything_loads).end is Slot.B
        assert power_on(TRIAL_B._replace(bootlimit="", bootcount="99"), everything_loads).end is Slot.B

    def test_an_unset_stable_limit_is_no_limit(self) -> None:
        assert power_on(DEFAULT._replace(otad_bootlimit="", otad_boots="99"), everything_loads).end is Slot.A

    @pytest.mark.parametrize("odd", ["2", "0x1", "01", "1x"])
    def test_the_driver_counts_a_trial_that_the_script_does_not_see(self, odd: str) -> None:
        boot = power_on(TRIAL_B._replace(upgrade_available=odd), everything_loads)
        assert [(env.bootcount, env.otad_boots) for env in boot.stores] == [("1", "0"), ("1", "1")]

    @pytest.mark.parametrize("odd", ["", "C", "b", "AB"])
    def test_anything_but_b_is_a(self, odd: str) -> None:
        assert power_on(DEFAULT._replace(boot_partition=odd), everything_loads).end is Slot.A

    def test_a_count_that_is_no_number_is_zero(self) -> None:
        assert power_on(TRIAL_B._replace(bootcount="junk"), everything_loads).stores[0].bootcount == "1"
        assert power_on(DEFAULT._replace(otad_boots=""), everything_loads).stores[0].otad_boots == "1"

    @pytest.mark.parametrize("odd", ["*40", "1 2", " 1"])
    def test_what_the_shell_would_not_pass_as_one_word_is_not_modelled(self, odd: str) -> None:
        with pytest.raises(ValueError, match="U-Boot would take it"):
            power_on(DEFAULT._replace(otad_boots=odd), everything_loads)


HUSH = """
run() { eval "eval \\"\\$$1\\""; }
setenv() { eval "$1=\\$2"; }
number() { set -- "${1%%[!0-9a-fA-F]*}"; echo $((0x${1:-0})); }
setexpr() { eval "$1=$(printf %x $(($(number $2) + $(number $4))))"; }
itest() { test $# = 3 && test $(number $1) -gt $(number $3); }
saveenv() { (IFS=,; set -- VARIABLES; echo "$*"); }
sleep() { :; }
reset() { echo "reset $pn"; exit; }
otad_load='case $loads in *$pn*) echo "slot $pn"; exit;; esac'
otad_recovery='if test $recovery = 1; then echo recovery; exit; fi'
"""


@pytest.mark.slow
class TestParity:
    """The scripts of the recipes, run by a shell whose few commands are those of U-Boot, against the model."""

    def scripts(self) -> str:
        hush = HUSH.replace("VARIABLES", " ".join(f'"${name}"' for name in Env._fields))
        return hush + "".join(f"{name}='{value}'\n" for name, value in text("otad-scripts.env").items())

    def runs(self, starts: list[tuple[Env, str, bool]]) -> list[list[str]]:
        """What each start stored and came to: the driver's part is the model's, the scripts' part is the shell's."""
        lines = [self.scripts()]
        for env, loads, recovery in starts:
            env = _count_in_driver(env)[0]  # noqa: PLW2901
            variables = " ".join(f"{name}='{value}'" for name, value in env._asdict().items())
            command = "altbootcmd" if _ran_out(env) else "bootcmd"
            lines.append(f"({variables} loads='{loads}' recovery={int(recovery)} pn=; run {command}); echo end")
        done = subprocess.run(["sh"], input="\n".join(lines), capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return [run.splitlines() for run in done.stdout.split("end\n")[:-1]]

    def modelled(self, env: Env, loads: str, recovery: bool) -> list[str]:
        boot = power_on(env, lambda slot: PARTITIONS[slot] in loads, recovery=recovery)
        stores = boot.stores[len(_count_in_driver(env)[1]) :]
        end = f"slot {PARTITIONS[boot.end]}" if isinstance(boot.end, Slot) else boot.end.value
        last = [f"{end} {PARTITIONS[boot.unloadable] if boot.unloadable else ''}" if boot.end is Stop.RESET else end]
        return [",".join(store) for store in stores] + last

    def test_the_text_does_what_the_model_says(self) -> None:
        data = product(
            "AB", ["0", "1", "2", ""], ["", "3"], ["3"], ["", "0", "7", "8", "f"], ["8", ""], ["", "A", "B", "C"], ["", "A"]
        )
        starts = [(Env(*values), loads, recovery) for values in data for loads in ("23", "2", "") for recovery in (True, False)]
        for start, ran in zip(starts, self.runs(starts), strict=True):
            assert ran == self.modelled(*start), start


@given(ENVS)
def test_something_always_runs_when_everything_loads_and_the_limits_stand(env: Env) -> None:
    env = env._replace(bootlimit="3", otad_bootlimit="8")
    assert isinstance(settle(env, everything_loads, recovery=False)[0].end, Slot)


@given(ENVS, st.integers(0, 3))
def test_a_cut_before_any_store_leads_to_a_slot_as_well(env: Env, before: int) -> None:
    env = env._replace(bootlimit="3", otad_bootlimit="8")
    kept = (env, *power_on(env, everything_loads).stores)[: before + 1]
    assert isinstance(settle(kept[-1], everything_loads)[0].end, Slot)
