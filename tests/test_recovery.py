"""The recovery system's scripts, run by a shell: what they say, and that they store what the model of U-Boot says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otad.bootenv.uboot import parse
from simulator.bootloader import DEFAULT, Env, retry

SCRIPTS = Path(__file__).parents[1] / "recipes" / "recovery" / "files"
VALUES = st.sampled_from(["", "0", "1", "8", "A", "B", "C", "a=b", "two words", "$(exit 3)", "\\n", "*"])


def ran(script: str, printed: str) -> str:
    done = subprocess.run(["sh", SCRIPTS / script], input=printed, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def printed(env: Env) -> str:
    """As fw_printenv prints it, between others; what is empty is not there."""
    lines = [f"{name}={value}" for name, value in env._asdict().items() if value]
    return "\n".join(["altbootcmd=run otad_unnamed; if test", *lines, "otad_fallback_of_somebody_else=A", ""])


class TestRetry:
    @settings(max_examples=60, deadline=None)
    @given(st.builds(Env, *[VALUES] * len(Env._fields)))
    @example(DEFAULT._replace(boot_partition="\\n", otad_fallback="0", otad_rollback="0"))  # echo would make a line's end of it
    @example(DEFAULT._replace(boot_partition="B", otad_fallback="A", otad_rollback="A", bootcount="1", otad_boots="9"))
    def test_it_stores_what_the_model_says(self, env: Env) -> None:
        stored = parse(ran("retry", printed(env)))
        assert env._replace(**stored) == retry(env)

    def test_an_environment_that_cannot_be_read_gets_no_slot(self) -> None:
        assert parse(ran("retry", "")) == {"bootcount": "0", "otad_boots": "0"}


class TestWhy:
    @pytest.mark.parametrize(
        ("env", "said"),
        [
            (DEFAULT._replace(otad_boots="9"), "slot A did not come up, and no other is known to be good"),
            (DEFAULT._replace(boot_partition="B", otad_rollback="A"), "slot A was given up, then slot B did not come up"),
            (DEFAULT._replace(upgrade_available="1"), "slot A did not come up on trial, and no other is known to be good"),
        ],
    )
    def test_it_says_which_slots_and_the_counts_as_found(self, env: Env, said: str) -> None:
        counts = f"bootcount={env.bootcount} bootlimit=3 otad_boots={env.otad_boots} otad_bootlimit=8"
        assert ran("why", printed(env)) == f"{said}: {counts}\n"

    def test_an_environment_that_cannot_be_read(self) -> None:
        assert ran("why", "Cannot read environment, using default\n") == "the boot environment cannot be read\n"


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.iterdir()))
def test_a_posix_shell_can_read_it(script: str) -> None:
    subprocess.run(["sh", "-n", SCRIPTS / script], check=True)
