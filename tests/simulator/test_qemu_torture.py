"""The plans of `make torture-qemu`."""

from __future__ import annotations

from simulator.qemu.torture.plan import GOOD, MARKS, OWN, RELEASES, RUNS_OTAD, STARTS, TRIAL, Plan

PLANS = [Plan.of(seed) for seed in range(300)]


def test_a_seed_is_a_plan() -> None:
    assert [Plan.of(seed) for seed in range(300)] == PLANS
    assert {plan.version for plan in PLANS} == set(RELEASES)
    assert {plan.start for plan in PLANS} == set(STARTS)


def test_cuts_come_in_order_and_where_the_release_comes() -> None:
    order = [mark for mark, _ in MARKS]
    for plan in PLANS:
        places = [order.index(mark) for mark, _ in plan.cuts]
        assert places == sorted(set(places))
        assert plan.version in RUNS_OTAD or max(places) < OWN
        assert all(0 <= wait <= dict(MARKS)[mark] for mark, wait in plan.cuts)


def test_a_good_release_has_a_boot_left() -> None:
    assert all(
        len([mark for mark, _ in plan.cuts if mark in {MARKS[n][0] for n in TRIAL}]) < 3 for plan in PLANS if plan.version == GOOD
    )
