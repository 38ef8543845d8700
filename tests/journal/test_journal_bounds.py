"""The medium's limits: read-only, full; and the journal's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from otad.errors import Cause
from otad.journal import Journal, JournalError, Pause, Tries
from otad.journal.events import Events
from otad.journal.room import SPARE
from tests.journal.journal_samples import CAUSE, NOW, RECORD, event

Start = Callable[..., Journal]


def test_at_most_so_many_events_are_kept(start: Start) -> None:
    journal = start(keep=100)
    with journal.transaction():
        for n in range(250):
            journal.events.append(event(n))
    assert (journal.events.first(), journal.events.last()) == (151, 250)
    assert len(journal.events.page(limit=1000)) == 100


def test_the_same_event_is_stored_once(start: Start) -> None:
    journal = start()
    assert [journal.events.append(event(n)) for n in (1, 2, 1)] == [1, 2, 1]


def test_a_sequence_number_is_never_given_again(start: Start) -> None:
    journal = start()
    journal.events.append(event(1))
    journal.connection.rows("DELETE FROM events")
    assert journal.events.append(event(2)) == 2


def test_the_file_stays_within_its_bytes(start: Start, path: Path) -> None:
    journal = start()
    events = Events(journal.connection, keep=5000, max_bytes=200_000)
    loud = Cause("loud", "w" * 900, "", evidence={"log": "x" * 4000})
    for n in range(0, 200, 20):
        with journal.transaction():
            for more in range(20):
                events.append(event(n + more, loud))
    assert path.stat().st_size < 200_000 + SPARE
    assert events.last() == 200
    assert 10 < len(events.page(limit=1000)) < 100


def test_a_rotten_event_is_left_out(start: Start) -> None:
    journal = start()
    for n in range(3):
        journal.events.append(event(n))
    journal.connection.rows("UPDATE events SET json = CAST(x'7bff' AS TEXT) WHERE seq = 2")
    assert [e["seq"] for e in journal.events.page()] == [1, 3]


def test_pages_follow_one_another(start: Start) -> None:
    events = start().events
    for n in range(5):
        events.append(event(n))
    assert [e["seq"] for e in events.page(after=1, limit=2)] == [2, 3]
    assert [e["seq"] for e in events.latest(2)] == [4, 5]


def test_failures_double_the_wait_and_end_in_refusal() -> None:
    tries, waits = Tries("spring", "r"), []
    for _ in range(4):
        tries = tries.failed(CAUSE, NOW, limit=5, backoff=900, jitter=lambda: 0.999)
        assert tries.next_try
        waits.append(round((tries.next_try - NOW).total_seconds() / 900))
        assert not tries.due(NOW, 900)
        assert tries.due(tries.next_try, 900)
    assert waits == [1, 2, 4, 8]
    tries = tries.failed(CAUSE, NOW, limit=5, backoff=900)
    assert tries.refused
    assert not tries.due(NOW + timedelta(days=1000), 900)


def test_the_jitter_halves_the_wait_at_most() -> None:
    tries = Tries("spring", "r").failed(CAUSE, NOW, limit=5, backoff=900, jitter=lambda: 0.0)
    assert tries.next_try == NOW + timedelta(seconds=450)


def test_a_clock_that_was_set_back_does_not_hold_a_release_for_years() -> None:
    tries = Tries("spring", "r").failed(CAUSE, NOW, limit=5, backoff=900)
    assert tries.due(NOW - timedelta(days=3650), 900)


def test_a_rejected_release_is_refused_at_once(start: Start) -> None:
    journal = start()
    journal.attempts.save(Tries("spring", "r").rejected(CAUSE))
    assert journal.attempts.of("spring", "r") == Tries("spring", "r", 1, refused=True, cause=CAUSE)
    assert journal.attempts.of("summer", "r") == Tries("summer", "r")


def test_retry_clears_failures(start: Start) -> None:
    journal = start()
    for campaign, release in (("spring", "r"), ("summer", "r"), ("summer", "s")):
        journal.attempts.save(Tries(campaign, release).rejected(CAUSE))
    assert journal.attempts.clear("r") == 2
    assert [t.release for t in journal.attempts.all()] == ["s"]
    assert journal.attempts.clear() == 1


def test_old_failures_are_forgotten_in_the_end(start: Start) -> None:
    journal = start()
    with journal.transaction():
        for n in range(300):
            journal.attempts.save(Tries("spring", f"r{n}").rejected(None))
    assert [t.release for t in journal.attempts.all()][:2] == ["r299", "r298"]
    assert len(journal.attempts.all()) == 200


def test_a_rotten_failure_is_refused_until_retried(start: Start) -> None:
    journal = start()
    journal.attempts.save(Tries("spring", "r").failed(CAUSE, NOW, 5, 900))
    journal.connection.rows("UPDATE attempts SET next_try = 'soon'")
    assert journal.attempts.of("spring", "r").refused


def test_a_pause_is_kept_with_who_and_since(start: Start) -> None:
    start().settings.put_paused(Pause("ana", NOW))
    assert start().settings.paused() == Pause("ana", NOW)
    start().settings.put_paused(None)
    assert start().settings.paused() is None


@pytest.mark.parametrize(
    "text", ["{", "7", '{"by": 3}', '{"by": "x", "since": "soon"}', '{"by": "x", "since": "2026-01-01T00:00:00"}']
)
def test_a_setting_that_cannot_be_read_is_absent(text: str, start: Start) -> None:
    journal = start()
    journal.connection.rows("INSERT INTO settings (name, json) VALUES ('paused', ?)", text)
    assert journal.settings.paused() is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB of its own; needs root."""
    folder = tmp_path / "data"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "otad-test", str(folder)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a test that fails leaves the journal open


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(bytes(4096)):
                pass
        except OSError:
            return


def test_a_transition_still_fits_on_a_full_disk(small_disk: Path) -> None:
    journal = Journal.open(small_disk / "journal.db", keep=10)
    for n in range(30):
        journal.transition(RECORD, event(n))
    fill(small_disk)
    for n in range(30, 90):
        journal.transition(RECORD, event(n))
    assert journal.events.latest(1)[0]["id"] == "E000089"
    journal.close()


def test_a_failure_still_fits_on_a_disk_that_was_filled_after_the_start(small_disk: Path) -> None:
    """With its evidence, and what leads up to it; and again after each restart."""
    loud = Cause("loud", "w" * 900, "", evidence={"log": "x" * 4000})
    for start in range(2):
        journal = Journal.open(small_disk / "journal.db")
        fill(small_disk)
        for n in range(10):
            journal.transition(RECORD, event(10 * start + n, loud))
        assert journal.events.last() == 10 * (start + 1)
        journal.close()


def test_a_full_disk_is_said_and_the_last_transition_stands(small_disk: Path) -> None:
    path = small_disk / "journal.db"
    journal = Journal.open(path)
    journal.transition(RECORD, event(0))
    fill(small_disk)
    loud = Cause("loud", "w" * 900, "", evidence={"log": "x" * 4000})
    with pytest.raises(JournalError, match="Free space") as caught:
        journal.transition(RECORD, *(event(n, loud) for n in range(1, 400)))
    assert caught.value.cause.code == "journal-full"
    assert journal.events.last() == 1
    journal.close()
    journal = Journal.open(path)
    assert journal.trouble is None
    assert journal.load() == RECORD
    journal.close()


def test_no_journal_can_be_made_on_a_full_disk(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(JournalError) as caught:
        Journal.open(small_disk / "journal.db")
    assert caught.value.cause.code == "journal-full"


def test_a_read_only_file_system_is_said(small_disk: Path) -> None:
    path = small_disk / "journal.db"
    Journal.open(path).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(JournalError, match="mounted and writable") as caught:
        Journal.open(path)
    assert caught.value.cause.code == "journal-unwritable"


def test_a_file_that_may_not_grow_is_an_error_and_damages_nothing(start: Start, path: Path) -> None:
    """Stands in for the full disk where nothing can be mounted: writes beyond 64 KiB fail."""
    start().transition(RECORD, event(0))
    script = """
import resource, signal, sys
from pathlib import Path
from tests.journal.journal_samples import RECORD, event
from otad.journal import Journal, JournalError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal.open(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    journal.transition(RECORD, *(event(n) for n in range(1, 2000)))
except JournalError as error:
    print(error.cause.code)
"""
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in {"journal-full", "journal-io"}
    journal = start()
    assert journal.trouble is None
    assert journal.load() == RECORD
    assert journal.events.last() == 1


def test_a_folder_that_may_not_be_written_is_said(path: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root may write anywhere; the read-only file system is tested instead")
    path.parent.chmod(0o500)
    with pytest.raises(JournalError) as caught:
        Journal.open(path)
    assert caught.value.cause.code == "journal-unwritable"
