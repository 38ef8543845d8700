from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from otad.config import Health, HealthCheck
from otad.errors import RetryLater
from otad.health import Finding, HealthVerdict, Plan
from otad.health.examination import Clock, examine, look


class Time:
    """Time that passes only when everybody sleeps."""

    def __init__(self, now: float = 20.0) -> None:
        self.now = now
        self._due: list[float] = []
        self._turns = 0
        self.clock = Clock(lambda: self.now, self.sleep)

    async def sleep(self, seconds: float) -> None:
        due = self.now + seconds
        self._due.append(due)
        self._turns += 1
        try:
            await asyncio.sleep(0)
            while self.now < due:
                turns = self._turns
                for _ in range(30):
                    await asyncio.sleep(0)
                if self._turns == turns and min(self._due) == due:
                    self.now = due
        finally:
            self._due.remove(due)
            self._turns += 1


@dataclass
class Scripted:
    """Answers by time: well when `good` says so. Notes when it was asked."""

    name: str
    time: Time
    good: Callable[[float], bool] = lambda _now: True
    takes: float = 0.0
    asked: list[float] = field(default_factory=list)

    async def run(self) -> Finding:
        self.asked.append(self.time.now)
        await self.time.sleep(self.takes)
        ok = self.good(self.time.now)
        return Finding(self.name, ok, "good" if ok else "bad", {"output": "x" * 9000 + "end"})


def plan(check: Scripted, *, required: bool = True, retries: int = 2, retry_delay: float = 5) -> Plan:
    settings = HealthCheck(type="command", name=check.name, retries=retries, retry_delay=retry_delay, required=required)
    return Plan(settings, check)


HEALTH = Health(soak=60, interval=10, deadline=600)


async def run(time: Time, plans: Sequence[Plan], health: Health = HEALTH) -> HealthVerdict:
    return await examine(plans, health, time.clock)


async def test_a_good_release_is_asked_through_the_soak_and_at_its_end() -> None:
    time = Time()
    check = Scripted("web", time)
    verdict = await run(time, [plan(check)])
    assert verdict.cause is None
    assert check.asked == [20, 30, 40, 50, 60, 70, 80]
    assert time.now == 80


async def test_the_soak_of_a_check_begins_when_it_first_passes() -> None:
    time = Time()
    late = Scripted("late", time, good=lambda now: now >= 50)
    verdict = await run(time, [plan(late, retries=10)])
    assert verdict.cause is None
    assert late.asked[-1] == 110


async def test_checks_run_side_by_side() -> None:
    time = Time()
    verdict = await run(time, [plan(Scripted(f"c{n}", time, takes=20)) for n in range(10)], Health(soak=0))
    assert verdict.cause is None
    assert time.now == 40
    assert len(verdict.findings) == 10


async def test_retries_used_up_end_it_at_once_with_the_evidence() -> None:
    time = Time()
    bad = Scripted("bad", time, good=lambda _now: False)
    verdict = await run(time, [plan(Scripted("web", time)), plan(bad)])
    assert verdict.cause
    assert verdict.cause.code == "check-failed"
    assert "bad failed 3 times" in verdict.cause.what
    assert verdict.cause.evidence["check"] == "bad"
    assert verdict.cause.evidence["output"].endswith("end")
    assert len(verdict.cause.evidence["output"]) == 4096
    assert bad.asked == [20, 25, 30]
    assert time.now == 30


async def test_a_failure_late_in_the_soak_is_final() -> None:
    time = Time()
    verdict = await run(time, [plan(Scripted("web", time, good=lambda now: now < 75))])
    assert verdict.cause
    assert verdict.cause.code == "check-failed"


async def test_a_failure_that_a_retry_heals_is_none() -> None:
    time = Time()
    verdict = await run(time, [plan(Scripted("web", time, good=lambda now: now not in {20, 50, 55}))])
    assert verdict.cause is None


async def test_a_check_that_is_not_required_decides_nothing_but_is_told() -> None:
    time = Time()
    verdict = await run(time, [plan(Scripted("extra", time, good=lambda _now: False), required=False)])
    assert verdict.cause is None
    assert [finding.ok for finding in verdict.findings] == [False]
    assert time.now == 80


async def test_without_checks_the_device_must_last_the_soak() -> None:
    time = Time()
    assert (await run(time, [])).cause is None
    assert time.now == 80


async def test_the_budget_counts_from_boot_and_ends_before_the_deadline() -> None:
    time = Time(500)
    verdict = await run(time, [plan(Scripted("web", time))])
    assert verdict.cause
    assert verdict.cause.code == "health-too-late"
    assert time.now == 540


async def test_a_daemon_that_comes_too_late_says_so_at_once() -> None:
    time = Time(700)
    verdict = await run(time, [plan(Scripted("web", time))])
    assert verdict.cause
    assert verdict.cause.code == "health-too-late"
    assert time.now == 700


async def test_slow_retries_stay_within_the_budget() -> None:
    time = Time()
    slow = Scripted("slow", time, good=lambda _now: False)
    verdict = await run(time, [plan(slow, retries=1000, retry_delay=50)])
    assert verdict.cause
    assert verdict.cause.code == "health-too-late"
    assert verdict.cause.evidence == {"slow": "bad"}
    assert time.now == 540


async def test_a_person_in_a_hurry_waits_for_the_checks_and_not_for_the_soak() -> None:
    time = Time()
    hurry = asyncio.Event()
    hurry.set()
    late = Scripted("late", time, good=lambda now: now >= 40)
    verdict = await examine([plan(late, retries=10), plan(Scripted("web", time))], HEALTH, time.clock, hurry=hurry)
    assert verdict.cause is None
    assert time.now == 40


async def test_a_hurry_does_not_help_a_bad_release() -> None:
    time = Time()
    hurry = asyncio.Event()
    hurry.set()
    bad = Scripted("bad", time, good=lambda _now: False)
    verdict = await examine([plan(bad), plan(Scripted("web", time))], HEALTH, time.clock, hurry=hurry)
    assert verdict.cause
    assert verdict.cause.code == "check-failed"


async def test_a_person_may_ask_for_the_rollback_in_the_middle() -> None:
    time = Time()
    abort = asyncio.Event()

    def found(_finding: Finding) -> None:
        if time.now >= 40:
            abort.set()

    verdict = await examine([plan(Scripted("web", time))], HEALTH, time.clock, abort=abort, found=found)
    assert verdict.cause
    assert verdict.cause.code == "undone-by-person"
    assert time.now < 80


async def test_a_check_that_never_answers_is_cut_off() -> None:
    class Hanging:
        name = "hanging"

        async def run(self) -> Finding:
            await asyncio.Event().wait()
            raise AssertionError

    settings = HealthCheck(type="command", name="hanging", retries=0)
    verdict = await examine([Plan(settings, Hanging())], Health(), Clock(uptime=lambda: 539.99))
    assert verdict.cause
    assert verdict.cause.code in {"check-failed", "health-too-late"}


async def test_an_otad_error_is_a_finding() -> None:
    class Offline:
        name = "offline"

        async def run(self) -> Finding:
            raise RetryLater("link-down", "there is no link")

    verdict = await look([Plan(HealthCheck(type="command", name="offline", retries=0), Offline())], Time().clock)
    assert verdict.cause
    assert "there is no link" in verdict.cause.what


async def test_a_broken_check_is_no_pass() -> None:
    class Broken:
        name = "broken"

        async def run(self) -> Finding:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run(Time(), [Plan(HealthCheck(type="command", name="broken"), Broken())])


async def test_a_look_asks_once_and_does_not_soak() -> None:
    time = Time(10_000)
    good, extra = Scripted("web", time), Scripted("extra", time, good=lambda _now: False)
    verdict = await look([plan(good), plan(extra, required=False, retries=0)], time.clock)
    assert verdict.cause is None
    assert len(verdict.findings) == 2
    assert (good.asked, time.now) == ([10_000], 10_000)
    assert (await look([plan(extra)], time.clock)).cause


async def test_nothing_is_left_running() -> None:
    time = Time()
    await run(time, [plan(Scripted("bad", time, good=lambda _now: False)), plan(Scripted("slow", time, takes=1000))])
    assert asyncio.all_tasks() == {asyncio.current_task()}
