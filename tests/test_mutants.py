"""The sweep sees what it should: a few of the deliberate faults of `make mutants`, one for each way of seeing them."""

from __future__ import annotations

from collections import Counter

import pytest

from simulator.sweep.mutants.hunt import hunt, mutants

FEW = {
    "save after act": "save, then act",
    "nothing is examined": "never confirm what was not healthy in this boot",
    "fallback is written": "never write the fallback",
    "armed without a way back": "a trial falls back to what runs",
    "home stays": "it does not boot for ever",
    "no memory": "it does not boot for ever",
    "always due": "it comes to rest",
    "given up for ever": "no stale otad_rollback",
    "bad applications stay": "it ends on a good slot, unless both are bad",
    "rollback without applications": "the applications of a device that stays run",
    "transition and refusal apart": "a release that failed on trial is refused",
}


@pytest.mark.parametrize("name", FEW)
def test_it_is_seen(name: str) -> None:
    assert hunt(name, 0).seen == FEW[name]


def test_there_are_enough_and_each_says_what_it_is() -> None:
    names = Counter(mutant.name for mutant in mutants())
    assert sum(not mutant.equivalent for mutant in mutants()) >= 30
    assert names.most_common(1)[0][1] == 1
    assert all(mutant.breaks for mutant in mutants())
