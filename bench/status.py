"""What `otactl status` costs on a device whose daemon sleeps: CPU time of the whole process, on a real journal."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from otad.bootenv import Slot
from otad.formats.event import Event
from otad.journal import Journal
from otad.statemachine import Record, State

EVENTS = 5000
RUNS = 10


def run(quick: bool) -> dict[str, float]:
    """`status_cpu_ms`: median user + system time in ms of 10 runs (3 when `quick`)."""
    with tempfile.TemporaryDirectory() as name:
        settings = _device(Path(name), 200 if quick else EVENTS)
        command = [sys.executable, "-m", "otad.cli", "status", "--config", str(settings)]
        _cpu_ms(command)  # the byte code is on the device already
        return {"status_cpu_ms": round(statistics.median(_cpu_ms(command) for _ in range(3 if quick else RUNS)), 1)}


def _cpu_ms(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _device(folder: Path, events: int) -> Path:
    """Settings and the journal of a device that has checked `events` times and found nothing."""
    journal = Journal.open(folder / "journal.db")
    now = datetime.now(timezone.utc)
    with journal.transaction():
        for number in range(events):
            journal.events.append(Event(f"{number:026}", "d1", "b1", now, "check", "nothing", running="1.0.0", booted="A"))
        journal.transition(Record(State.IDLE, Slot.A, "b1"))
    journal.close()
    settings = folder / "otad.toml"
    settings.write_text(f'[paths]\ndata = "{folder}"\nrun = "{folder}"\n')
    return settings
