from __future__ import annotations

import asyncio
import os
import select
from pathlib import Path

import pytest

from otad import commands
from otad.config import Health, HealthCheck
from otad.errors import ConfigError, RetryLater
from otad.health import Around, Check, Finding, load, types
from otad.health.unit import judge, parse


async def reachable() -> None:
    """The repository answers."""


async def unreachable() -> None:
    raise RetryLater("link-down", "repo.example cannot be reached", evidence={"url": "https://repo.example"})


def script(path: Path, text: str) -> tuple[str, ...]:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return (str(path),)


def check(kind: str, around: Around, timeout: float = 10, **options: object) -> Check:
    settings = HealthCheck(type=kind, name="it", timeout=timeout, options=dict(options))
    return load(Health(repository=False, checks=(settings,)), around)[0].check


AROUND = Around(("false",), reachable)


async def shell(text: str, timeout: float = 10) -> Finding:
    return await check("command", AROUND, timeout, command=["/bin/sh", "-c", text]).run()


async def test_exit_status_zero_is_good() -> None:
    finding = await shell("echo fine; exit 0")
    assert finding.ok
    assert finding.words == "/bin/sh exited 0: fine"


async def test_another_exit_status_is_bad_and_its_last_lines_are_evidence() -> None:
    finding = await shell("echo first; echo the camera is gone >&2; exit 3")
    assert not finding.ok
    assert finding.words == "/bin/sh exited 3: the camera is gone"
    assert finding.evidence["output"] == "first\nthe camera is gone"
    assert finding.evidence["status"] == "3"


async def test_a_command_that_is_missing_is_bad() -> None:
    finding = await check("command", AROUND, command=["/no/such/test"]).run()
    assert not finding.ok
    assert finding.words == "/no/such/test exited 127: /no/such/test: No such file or directory"


async def test_a_signal_is_named() -> None:
    assert (await shell("kill -SEGV $$")).words.endswith("was killed by signal 11")


async def test_no_shell_is_between() -> None:
    finding = await check("command", AROUND, command=["/bin/echo", "$HOME; exit 1"]).run()
    assert finding.evidence["output"] == "$HOME; exit 1"


async def test_a_time_out_kills_the_whole_group_and_keeps_what_was_said(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    finding = await shell(f"sleep 1000 & echo $$ $! > {pids}; echo working; wait", timeout=0.3)
    assert not finding.ok
    assert "did not end in 0.3 s" in finding.words
    assert finding.evidence["output"] == "working"
    assert [dead(pid) for pid in pids.read_text().split()] == [True, True]


async def test_children_left_behind_are_killed_too(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    finding = await shell(f"sleep 1000 & echo $! > {pids}; exit 0")
    assert finding.ok
    assert dead(pids.read_text())


async def test_a_grandchild_of_another_session_is_not_waited_for(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    finding = await shell(f"setsid sh -c 'echo $$ > {pids}; echo up; exec sleep 1000' & until test -s {pids}; do :; done")
    assert finding.ok
    os.kill(int(pids.read_text()), 9)


async def test_cancelling_leaves_no_process(tmp_path: Path) -> None:
    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    task = asyncio.create_task(shell(f"echo $$ > {fifo}; exec sleep 1000"))
    pid = await asyncio.to_thread(fifo.read_text)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert dead(pid)


async def test_a_flood_is_bounded_and_its_end_is_kept() -> None:
    finding = await shell("yes flood | head -c 20000000; echo the end")
    assert finding.ok
    assert len(finding.evidence["output"]) <= 4096
    assert finding.evidence["output"].endswith("the end")


async def test_a_flood_without_end_is_stopped() -> None:
    finding = await shell("exec yes", timeout=0.3)
    assert not finding.ok
    assert len(finding.evidence["output"]) <= 4096


async def test_the_daemons_own_sockets_are_not_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    ended = await commands.run(("env",), 10, 65536)
    assert "NOTIFY_" not in ended.output
    assert "WATCHDOG_" not in ended.output


def dead(pid: str) -> bool:
    """Whether it has ended, or ends within seconds: a killed process needs a moment."""
    try:
        process = os.pidfd_open(int(pid))
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 10)[0])
    finally:
        os.close(process)


SHOWN = "Id={id}\nLoadState={load}\nActiveState={active}\nSubState=running\nResult=success\nNRestarts={restarts}\n"


def systemctl(folder: Path, *units: str) -> Around:
    """A systemctl that shows what stands in `shown`, and has words for a status."""
    (folder / "shown").write_text("\n".join(units))
    text = f'case "$1" in show) cat {folder}/shown;; status) echo "it fell over"; exit 3;; esac'
    return Around(script(folder / "systemctl", text), reachable)


def shown(name: str = "a.service", active: str = "active", restarts: int = 0, load_state: str = "loaded") -> str:
    return SHOWN.format(id=name, load=load_state, active=active, restarts=restarts)


async def test_active_units_are_good(tmp_path: Path) -> None:
    around = systemctl(tmp_path, shown(), shown("b.service"))
    finding = await check("unit", around, units=["a.service", "b.service"]).run()
    assert finding.ok, finding


async def test_a_failed_unit_is_named_with_its_status(tmp_path: Path) -> None:
    around = systemctl(tmp_path, shown(), shown("b.service", active="failed"))
    finding = await check("unit", around, units=["a.service", "b.service"]).run()
    assert not finding.ok
    assert finding.words == "b.service is failed (running, result success)"
    assert finding.evidence["status"] == "it fell over"


async def test_a_unit_that_does_not_exist_is_bad(tmp_path: Path) -> None:
    around = systemctl(tmp_path, shown(active="inactive", load_state="not-found"))
    assert (await check("unit", around, units=["a.service"]).run()).words == "a.service is not-found"


async def test_a_unit_that_restarts_between_two_looks_is_bad(tmp_path: Path) -> None:
    watched = check("unit", systemctl(tmp_path, shown(restarts=2)), units=["a.service"])
    assert (await watched.run()).ok
    systemctl(tmp_path, shown(restarts=3))
    finding = await watched.run()
    assert not finding.ok
    assert finding.words == "a.service restarted 1 times while it was watched"


async def test_a_systemctl_that_fails_is_bad(tmp_path: Path) -> None:
    around = Around(script(tmp_path / "systemctl", "echo Failed to connect to bus; exit 1"), reachable)
    finding = await check("unit", around, units=["a.service"]).run()
    assert not finding.ok
    assert "Failed to connect" in finding.evidence["output"]


def test_units_without_restarts_are_judged_by_their_state() -> None:
    units = parse("Id=x.mount\nLoadState=loaded\nActiveState=active\nSubState=mounted\nNRestarts=\n")
    assert judge(units[0], 0) is None


async def test_the_repository_is_asked_through_what_the_daemon_gives() -> None:
    assert (await check("repository", Around((), reachable)).run()).ok
    finding = await check("repository", Around((), unreachable)).run()
    assert not finding.ok
    assert finding.words == "repo.example cannot be reached"
    assert finding.evidence["cause"] == "link-down"


def test_the_types_are_the_files_of_the_folder() -> None:
    assert types() == ["command", "repository", "unit"]


@pytest.mark.parametrize("required", [True, False])
def test_the_repository_is_checked_by_default_and_required_if_it_could_be_reached(required: bool) -> None:
    plans = load(Health(), AROUND, reachable=required)
    assert [(plan.settings.type, plan.settings.required) for plan in plans] == [("repository", required)]
    assert load(Health(repository=False), AROUND) == []


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ([HealthCheck(type="tarot", name="it")], "no type 'tarot'"),
        ([HealthCheck(type="examination", name="it")], "no type 'examination'"),
        ([HealthCheck(type="command", name="it", options={"comand": ["x"]})], "options.command: Field required"),
        ([HealthCheck(type="command", name="it", options={"command": ["x"], "shell": True})], "options.shell: unknown key"),
        ([HealthCheck(type="unit", name="it", options={"units": []})], "options.units"),
        ([HealthCheck(type="repository", name="it", options={"url": "x"})], "options.url: unknown key"),
        ([HealthCheck(type="command", name="it", options={"command": ["x"]})] * 2, "two checks have this name"),
    ],
)
def test_wrong_settings_name_the_check_and_the_key(checks: list[HealthCheck], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Health(checks=tuple(checks)), AROUND)
    assert words in str(caught.value)
    assert "it" in str(caught.value)
