from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from otad.errors import Cause
from otad.evidence import Collector

CAUSE = Cause("check-failed", "check web failed", "Read its output", evidence={"output": "no route"})


def script(path: Path, text: str) -> tuple[str, ...]:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return (str(path),)


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    pstore = tmp_path / "pstore"
    pstore.mkdir()
    journalctl = script(tmp_path / "journalctl", 'echo "$@"; seq 1 200; echo the last line')
    return Collector(tmp_path / "evidence", journalctl, (pstore, tmp_path / "none"))


def content(archive: str) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def kept(collector: Collector) -> list[str]:
    return sorted(path.name for path in collector.folder.iterdir())


async def test_cause_log_and_last_words_are_kept(collector: Collector) -> None:
    (collector.pstore[0] / "dmesg-ramoops-0").write_bytes(b"x" * 100_000 + b"Kernel panic")
    short = await collector.collect("01A", CAUSE)
    assert short["log"].endswith("the last line")
    assert short["pstore"] == "pstore/dmesg-ramoops-0"
    files = content(short["archive"])
    assert b"--boot=-1 --lines=200" in files["log.txt"]
    assert Cause.from_dict(json.loads(files["cause.json"])) == CAUSE
    assert files["pstore/dmesg-ramoops-0"].endswith(b"Kernel panic")
    assert len(files["pstore/dmesg-ramoops-0"]) == 65536


async def test_the_log_of_this_boot_is_asked_for_before_the_reboot(collector: Collector) -> None:
    short = await collector.collect("01A", None, this_boot=True)
    assert b"--boot=0 " in content(short["archive"])["log.txt"]


async def test_a_second_collection_replaces_the_first(collector: Collector) -> None:
    await collector.collect("01A", None, this_boot=True)
    short = await collector.collect("01A", CAUSE, this_boot=True)
    assert kept(collector) == ["01A.tar.gz"]
    assert "cause.json" in content(short["archive"])


async def test_what_the_failed_boot_said_is_not_lost_in_its_shutdown(collector: Collector, tmp_path: Path) -> None:
    first = await collector.collect("01A", CAUSE, this_boot=True)
    ended = Collector(collector.folder, script(tmp_path / "later", "yes Stopped target | head -n 200"), collector.pstore)
    assert await ended.collect("01A", CAUSE) == first
    assert b"the last line" in content(first["archive"])["log.txt"]


async def test_what_could_not_be_had_in_the_failed_boot_is_asked_for_in_the_next(collector: Collector) -> None:
    none = Collector(collector.folder, ("/no/journalctl",), ())
    assert "archive" not in await none.collect("01A", CAUSE, this_boot=True)
    assert (await collector.collect("01A", CAUSE))["log"].endswith("the last line")


@pytest.mark.parametrize("left", [0, 5, 60])
async def test_an_archive_that_cannot_be_read_is_made_anew(collector: Collector, left: int) -> None:
    await collector.collect("01A", CAUSE, this_boot=True)
    archive = collector.folder / "01A.tar.gz"
    archive.write_bytes(archive.read_bytes()[:left])
    short = await collector.collect("01A", CAUSE)
    assert b"--boot=-1" in content(short["archive"])["log.txt"]


async def test_five_archives_are_kept(collector: Collector) -> None:
    for attempt in "ABCDEFG":
        await collector.collect(attempt, None)
    (collector.folder / "H.tar.new").write_bytes(b"cut")
    await collector.collect("H", None)
    assert kept(collector) == [f"{attempt}.tar.gz" for attempt in "DEFGH"]


async def test_a_flood_is_bounded(collector: Collector, tmp_path: Path) -> None:
    loud = Collector(collector.folder, script(tmp_path / "loud", "head -c 3000000 /dev/urandom | base64"), collector.pstore)
    for n in range(30):
        (collector.pstore[0] / f"record-{n:02}").write_bytes(os.urandom(200_000))
    short = await loud.collect("01A", CAUSE)
    assert (collector.folder / "01A.tar.gz").stat().st_size < 1_300_000
    assert len(short["log"]) <= 3072
    assert content(short["archive"])["cause.json"]


async def test_a_missing_journalctl_is_said(collector: Collector) -> None:
    none = Collector(collector.folder, ("/no/journalctl",), ())
    short = await none.collect("01A", CAUSE)
    assert "No such file" in short["log"]
    assert kept(collector) == ["01A.tar.gz"]


async def test_a_folder_that_cannot_be_made_is_said_and_fails_nothing(collector: Collector, tmp_path: Path) -> None:
    lost = Collector(tmp_path / "not" / "mounted", collector.journalctl, ())
    short = await lost.collect("01A", CAUSE)
    assert short["archive"].endswith("cannot be written: No such file or directory")
    assert short["log"]
