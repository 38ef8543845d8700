"""No patch takes more memory than its own header declares, whatever it asks for; and none without a header takes any."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from otad.delta.format import OWN
from tests.fuzz.memory import OLD, made

PATCHES = 300
SEED = 2026


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_mutant_takes_more_than_it_declares(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    (tmp_path / "old").write_bytes(OLD)
    for i in range(PATCHES):
        (tmp_path / f"{i:04}.delta").write_bytes(made(dice))
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.memory", tmp_path], check=True, capture_output=True, text=True, timeout=500
    )
    endings = set[str]()
    lines = done.stdout.splitlines()
    assert len(lines) == PATCHES
    for line in lines:
        declared, took, ended = line.split(maxsplit=2)
        assert int(took) <= (int(declared) or OWN), line
        endings.add(ended.partition(": ")[2])
    assert "applied" in endings
