"""The window over midnight, what overrides it and what does not, and when it opens."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otad.config import Window
from otad.gate import Obstacle, is_open, may_proceed, opens_at

LOCAL = timezone(timedelta(hours=1))
NOON = datetime(2026, 11, 22, 12, tzinfo=LOCAL)
NIGHT = Window(start="22:00", end="04:00")
MORNING = Window(start="02:00", end="06:00")
ALWAYS = Window()

clock = st.times().map(lambda at: at.strftime("%H:%M"))
windows = st.builds(Window, start=clock, end=clock)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(LOCAL))  # noqa: DTZ001  (Hypothesis adds it)


@pytest.mark.parametrize(
    ("window", "at", "expected"),
    [
        (MORNING, "01:59:59", False),
        (MORNING, "02:00:00", True),
        (MORNING, "05:59:59", True),
        (MORNING, "06:00:00", False),
        (NIGHT, "21:59:59", False),
        (NIGHT, "22:00:00", True),
        (NIGHT, "00:00:00", True),
        (NIGHT, "03:59:59", True),
        (NIGHT, "04:00:00", False),
        (ALWAYS, "13:37:00", True),
        (Window(start="09:00", end="09:00"), "08:59:00", True),
    ],
)
def test_the_window_is_half_open_and_may_cross_midnight(window: Window, at: str, expected: bool) -> None:
    assert is_open(window, time.fromisoformat(at)) is expected


def test_a_critical_release_overrides_the_window_only() -> None:
    assert may_proceed(NIGHT, NOON, critical=True, paused=False, inhibitors=()) is None
    for paused, inhibitors, obstacle in ((True, (), Obstacle.PAUSED), (False, ("recording",), Obstacle.INHIBITED)):
        closed = may_proceed(NIGHT, NOON, critical=True, paused=paused, inhibitors=inhibitors)
        assert closed is not None
        assert closed.obstacle is obstacle
        assert closed.opens is None


def test_a_closed_window_says_when_it_opens() -> None:
    closed = may_proceed(NIGHT, NOON, critical=False, paused=False, inhibitors=())
    assert closed is not None
    assert closed.obstacle is Obstacle.WINDOW
    assert closed.opens == NOON.replace(hour=22)
    assert "22:00-04:00" in closed.detail
    assert opens_at(MORNING, NOON.replace(hour=6)) == NOON.replace(day=23, hour=2)


@given(windows, moments)
def test_it_opens_when_it_says_and_not_before(window: Window, now: datetime) -> None:
    closed = may_proceed(window, now, critical=False, paused=False, inhibitors=())
    if closed is None:
        return
    assert closed.opens is not None
    assert now < closed.opens <= now + timedelta(days=1)
    assert may_proceed(window, closed.opens, critical=False, paused=False, inhibitors=()) is None
    between = now + (closed.opens - now) / 2
    assert may_proceed(window, between, critical=False, paused=False, inhibitors=()) == closed
