from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otad.control.progress import Progress, sample


def _steady(rate: int, seconds: int, start: int = 0) -> Progress:
    progress = None
    for second in range(seconds + 1):
        progress = sample(progress, "download", start + rate * second, 10_000, float(second))
    assert progress
    return progress


def test_a_steady_stream_has_its_rate_and_eta() -> None:
    progress = _steady(100, 10)
    assert progress.rate == pytest.approx(100)
    assert progress.eta == pytest.approx((10_000 - 1000) / 100)


def test_one_sample_claims_nothing() -> None:
    document = sample(None, "download", 5, 10, 0.0).document()
    assert document == {"step": "download", "done": 5, "total": 10, "rate": None, "eta": None}


def test_what_was_there_before_is_no_speed() -> None:
    assert _steady(100, 3, start=5000).rate == pytest.approx(100)


def test_the_rate_follows_a_change_within_seconds_but_not_at_once() -> None:
    fast = _steady(100, 20)
    dip = sample(fast, "download", fast.done, 10_000, fast.at + 1)
    assert dip.rate is not None
    assert 50 < dip.rate < 100
    long = sample(fast, "download", fast.done, 10_000, fast.at + 60)
    assert long.rate is not None
    assert long.rate < 1


def test_nothing_moves_no_eta() -> None:
    still = sample(sample(None, "download", 5, 10, 0.0), "download", 5, 10, 1.0)
    assert (still.rate, still.eta) == (0, None)


def test_an_unknown_total_has_no_eta() -> None:
    progress = sample(sample(None, "check", 0, 0, 0.0), "check", 9, 0, 1.0)
    assert progress.rate == 9
    assert progress.eta is None


def test_another_step_and_a_step_back_start_afresh() -> None:
    before = _steady(100, 5)
    assert sample(before, "write slot B", 1, 10_000, 6.0).rate is None
    assert sample(before, "download", 0, 10_000, 6.0).rate is None


def test_two_samples_at_one_instant_divide_by_nothing() -> None:
    progress = sample(sample(None, "download", 0, 10, 1.0), "download", 4, 10, 1.0)
    assert (progress.done, progress.rate) == (4, None)


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 10**9)), max_size=30))
def test_rate_and_eta_are_never_negative(samples: list[tuple[float, int]]) -> None:
    progress = None
    at = 0.0
    for wait, done in samples:
        at += wait
        progress = sample(progress, "download", done, 10**6, at)
        assert progress.rate is None or progress.rate >= 0
        assert progress.eta is None or progress.eta >= 0
