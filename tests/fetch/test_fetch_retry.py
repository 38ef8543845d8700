from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otad.config import Download
from otad.fetch.retry import delay

SETTINGS = Download(retries=5, backoff=2, backoff_max=30)


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 2), (2, 4), (3, 8), (4, 16)])
def test_the_ceiling_doubles(failures: int, ceiling: float) -> None:
    assert delay(failures, SETTINGS, None, 0.0) == 0
    assert delay(failures, SETTINGS, None, 0.5) == ceiling / 2


def test_the_tries_are_bounded() -> None:
    assert delay(5, SETTINGS, None, 0.0) is None


def test_what_the_server_asks_for_is_a_minimum() -> None:
    assert delay(1, SETTINGS, 10, 0.0) == 10
    assert delay(1, SETTINGS, 10, 0.5) == 11


def test_nobody_stays_awake_for_a_long_retry_after() -> None:
    assert delay(1, SETTINGS, 31, 0.0) is None


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_never_longer_than_the_maximum(failures: int, dice: float) -> None:
    wait = delay(failures, Download(retries=20_000, backoff=2, backoff_max=300), None, dice)
    assert wait is not None
    assert 0 <= wait <= 300
