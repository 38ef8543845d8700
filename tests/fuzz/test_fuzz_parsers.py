"""Every parser against mutants of real documents: it returns, or raises what it documents. Bounded; `make fuzz` goes on."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import mutant
from tests.fuzz.targets import TARGETS

SLOW = {"journal": 20, "identity": 60, "zstd": 60, "settings": 60}  # each of their inputs is a file


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_is_parsed(name: str) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].run(seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_mutants_of_real_documents_raise_only_what_is_documented(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=SLOW.get(name, 200), deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(target.seeds), st.integers(0, 2**32))
    def tried(seed: bytes, dice: int) -> None:
        target.run(mutant(seed, random.Random(dice)))

    tried()


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_raise_only_what_is_documented(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=SLOW.get(name, 100), deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.binary(max_size=4096) | st.text(max_size=2000).map(str.encode))
    def tried(data: bytes) -> None:
        target.run(data)

    tried()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("nest", [b"[", b"{", b'{"a":', b"("], ids=["lists", "braces", "objects", "groups"])
def test_nesting_without_end_is_refused(name: str, nest: bytes) -> None:
    TARGETS[name].run(nest * 20_000)
