"""The new release comes up in emergency.target: a person at the console is what it waits for, and nobody is near."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record

FSTAB = b"/dev/mmcblk0p9 /opt ext4 defaults,x-systemd.device-timeout=5s 0 0\n/dev/mmcblk0p4 /data ext4 defaults,nofail 0 2\n"


async def test_the_deadline_holds_there_too(armed: Field, record: Record) -> None:
    with inserted(armed.board.card) as card:
        card.put("b", {"/etc/fstab": FSTAB, "/etc/otad/deadline": b"OTAD_DEADLINE=120\n"})
    await armed.board.power_on()
    began = await armed.resets()
    for _ in range(3):
        await armed.board.journal.until("this trial was not confirmed within 120 s of boot: rebooting")
    await armed.falls_back()
    end = await armed.settles()

    assert (end.slot, end.running, end.results) == ("A", "1.0.0", [("1.1.0", "failed")])
    assert armed.cause("1.1.0")["code"] == "boot-failed"
    record("emergency", armed, end, since=began)
