"""The units under a real systemd, on one board, in order: a good update, what runs, a bad one, the last line of defence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otad.bootenv import Slot
from simulator.container import Container
from tests.booted.conftest import Factory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("booted")]
OTAD = "otad.service"
# More connections at once than a socket unit takes by default (systemd.socket(5), TriggerLimitBurst=).
BURST = """
import socket
for _ in range(300):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("/run/otad/otad.sock")
"""
DROP_INS = "/run/systemd/system"


def lines(board: Container, *options: str) -> list[dict[str, Any]]:
    """otad's records in the journal, as the device has them."""
    said = board.run("journalctl", "--no-pager", "-o", "json", f"_SYSTEMD_UNIT={OTAD}", *options, check=False)
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def history(board: Container) -> list[dict[str, Any]]:
    """Newest first; empty while nobody can answer."""
    said = board.run("otactl", "history", "--json", check=False)
    return list(json.loads(said)) if said.startswith("[") else []


def asleep(board: Container) -> bool:
    return board.show(OTAD, "ActiveState").get("ActiveState") == "inactive"


def drop_in(board: Container, unit: str, text: str) -> None:
    folder = f"{DROP_INS}/{unit}.d"
    board.run("mkdir", "-p", folder)
    board.run("sh", "-c", f"printf '%s' '{text}' > {folder}/test.conf")
    board.run("systemctl", "daemon-reload")


def setting(board: Container, name: str, toml: str | None) -> None:
    file = board.data / "otad" / "conf.d" / f"{name}.toml"
    file.unlink() if toml is None else file.write_text(toml)


def test_a_good_release_is_installed_booted_and_committed(board: Container) -> None:
    """SWUpdate writes a block device and fw_setenv another one, out of the sandbox; the reboot is systemd's."""
    assert board.power_on() is Slot.A
    board.follow(lambda: [one["result"] for one in history(board)] == ["committed"] and asleep(board), "1.1.0 is committed")
    assert board.boots == [Slot.A, Slot.B]
    assert "1.1.0 runs in slot B" in board.run("otactl", "status")
    assert "upgrade_available=0" in board.run("fw_printenv")
    assert "boot_partition=B" in board.run("fw_printenv")


def test_it_is_started_when_it_serves_and_says_what_it_does(board: Container) -> None:
    shown = board.show(OTAD, "Type", "StatusText", "Result", "NRestarts", "ExecMainStatus")
    assert shown == {"Type": "notify", "StatusText": "idle", "Result": "success", "NRestarts": "0", "ExecMainStatus": "0"}
    said = board.run("journalctl", "--no-pager", "-b", "-o", "cat", "-u", OTAD).splitlines()
    begins = next(i for i, line in enumerate(said) if line.startswith("this boot is"))
    assert begins < next(i for i, line in enumerate(said) if line.startswith(f"Started {OTAD}"))
    assert not [line for line in said if "reception only permitted" in line]  # SWUpdate does not speak for otad


def test_its_log_has_fields_and_outlives_the_reboot(board: Container) -> None:
    by_state = {one["OTAD_STATE"]: one for one in lines(board, "OTAD_RELEASE=1.1.0")}
    assert by_state["install"]["_BOOT_ID"] != by_state["commit"]["_BOOT_ID"]
    commit = by_state["commit"]
    assert commit["MESSAGE"] == "commit: done (release 1.1.0)"
    assert (commit["OTAD_OUTCOME"], commit["PRIORITY"], commit["SYSLOG_IDENTIFIER"]) == ("done", "6", "otad")
    assert commit["LOGGER"].startswith("otad.")


def test_what_it_must_see_of_the_system_is_not_forbidden(board: Container) -> None:
    assert [one["MESSAGE"] for one in lines(board) if "not permitted" in one["MESSAGE"]] == []
    assert "synchronised: adjtimex" not in board.run("journalctl", "--no-pager", "-u", OTAD)


def test_the_sandbox_is_in_force_and_commands_of_the_site_are_not_in_it(board: Container) -> None:
    """The check and the inhibitor pass with capabilities only, so 1.1.0 would not have been committed otherwise."""
    setting(board, "stay", "[daemon]\nresident = true\n")
    board.run("systemctl", "start", OTAD)
    pid = board.show(OTAD, "MainPID")["MainPID"]
    status = dict(line.split(":\t", 1) for line in board.run("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line)
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "Started otad-command-" in board.run("journalctl", "--no-pager", "--unit=otad-command-*")


def test_a_loop_that_hangs_is_killed_and_started_again(board: Container) -> None:
    drop_in(board, OTAD, "[Service]\nWatchdogSec=3\nRestartSec=1\n")
    board.run("systemctl", "restart", OTAD)
    before = board.show(OTAD, "NRestarts", "MainPID")
    board.run("systemctl", "kill", "--kill-who=main", "--signal=STOP", OTAD)
    board.wait(lambda: board.show(OTAD, "NRestarts").get("NRestarts", "0") != before["NRestarts"], "systemd restarts it")
    board.wait(lambda: board.show(OTAD, "ActiveState").get("ActiveState") == "active", "it serves again")
    assert board.show(OTAD, "MainPID")["MainPID"] != before["MainPID"]
    assert "Watchdog timeout" in board.run("journalctl", "--no-pager", "-b", "-u", OTAD)


def test_otactl_wakes_it_and_it_sleeps_again(board: Container) -> None:
    setting(board, "stay", None)
    board.run("systemctl", "stop", OTAD)
    board.run("otactl", "status")
    assert asleep(board), "reading wakes nobody"
    before = board.show(OTAD, "InvocationID")
    assert "1.1.0" in board.run("otactl", "check", check=False)
    assert board.show(OTAD, "InvocationID") != before
    board.wait(lambda: asleep(board), "it sleeps")


def test_one_that_cannot_start_lets_its_clients_go_and_the_socket_stays(board: Container) -> None:
    setting(board, "wrong", "[daemon]\nlingre = 1\n")
    try:
        board.run("python3", "-c", BURST)
        said = board.run("sh", "-c", "timeout 60 otactl check 2>&1; echo $?", check=False)
        assert "lingre" in said
        assert said.split()[-1] == "4", said
    finally:
        setting(board, "wrong", None)
    assert board.show("otad.socket", "ActiveState", "Result") == {"ActiveState": "active", "Result": "success"}
    assert "1.1.0" in board.run("otactl", "check", check=False)
    board.wait(lambda: asleep(board), "it sleeps")


def test_the_timer_wakes_it(board: Container) -> None:
    before = board.show(OTAD, "InvocationID")
    drop_in(board, "otad.timer", "[Timer]\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=100ms\n")
    board.run("systemctl", "restart", "otad.timer")
    board.wait(lambda: board.show(OTAD, "InvocationID") != before, "the timer starts it")
    board.wait(lambda: asleep(board), "it sleeps")


def test_an_image_whose_otad_is_broken_comes_back(board: Container, factory: Factory) -> None:
    """Nothing in it can judge it: otad-deadline reboots its three trials, and the boot loader takes the old slot."""
    (factory.tree / "usr" / "bin" / "otad").write_text("#!/bin/sh\nexit 1\n")
    factory.offer("1.2.0")
    boots = len(board.boots)
    board.deadline(45)  # from now: the image is on its way meanwhile
    board.run("otactl", "check", check=False)
    board.follow(lambda: len(board.boots) > boots, "1.2.0 is booted")
    board.follow(
        lambda: [one["result"] for one in history(board)] == ["failed", "committed"] and asleep(board), "1.2.0 is undone"
    )
    assert board.boots[boots:] == [Slot.A, Slot.A, Slot.A, Slot.B]
    assert "1.1.0 runs in slot B" in board.run("otactl", "status")
    assert "boot_partition=B" in board.run("fw_printenv")


@pytest.mark.parametrize("target", ["emergency.target", "rescue.target"])
def test_the_deadline_holds_where_no_normal_target_comes_up(board: Container, target: str) -> None:
    board.cut()
    board.env.set({"upgrade_available": "1", "bootcount": "0"})
    board.deadline(4)
    board.power_on(f"systemd.unit={target}")
    board.wait(lambda: board.off, "it reboots")
    board.cut()
    assert board.env.load().upgrade_available == "1"
