from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from otad.bootenv import Slot
from otad.journal import Journal, JournalError, schema
from otad.journal.attempts import Tries
from otad.journal.reader import Reader
from otad.statemachine import Record, State
from tests.journal.journal_samples import CAUSE, NOW, RECORD, event

Start = Callable[..., Journal]


def aside(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir() if "damaged" in p.name and not p.name.endswith("-journal"))


def spoil(path: Path, sql: str) -> None:
    db = sqlite3.connect(path)
    db.executescript(sql)
    db.close()


def test_a_fresh_journal_has_no_record_and_no_trouble(start: Start) -> None:
    journal = start()
    assert journal.load() is None
    assert journal.trouble is None
    assert journal.events.page() == []


def test_a_transition_is_there_after_a_restart(start: Start) -> None:
    start().transition(RECORD, event(1), event(2, CAUSE), tries=Tries("spring", "ab" * 32, 1, cause=CAUSE))
    journal = start()
    assert journal.load() == RECORD
    assert [e["id"] for e in journal.events.page()] == ["E000001", "E000002"]
    assert journal.attempts.of("spring", "ab" * 32).cause == CAUSE


def test_a_transition_that_fails_halfway_leaves_nothing(start: Start, path: Path) -> None:
    journal = start()
    journal.transition(Record(State.IDLE, Slot.A, "boot-0"))
    spoil(path, "CREATE TRIGGER stop BEFORE INSERT ON events WHEN new.id = 'E000002' BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(JournalError):
        journal.transition(RECORD, event(1), event(2))
    assert journal.load() == Record(State.IDLE, Slot.A, "boot-0")
    assert journal.events.page() == []


def test_a_commit_is_synced_and_leaves_the_rollback_journal_in_place(start: Start) -> None:
    journal = start()
    assert journal.connection.rows("PRAGMA synchronous") == [(2,)]  # FULL
    assert journal.connection.rows("PRAGMA journal_mode") == [("persist",)]


def test_only_its_group_may_read_it(start: Start, path: Path) -> None:
    start().transition(RECORD)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o137 == 0, file


CHILD = """
import sys
from pathlib import Path
from tests.journal.journal_samples import RECORD, event
from dataclasses import replace
from otad.journal import Journal
journal = Journal.open(Path(sys.argv[1]), keep=20)
said = journal.load()
n = said.starts if said else 0
while True:
    n += 1
    journal.transition(replace(RECORD, starts=n), event(n))
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
"""


def test_a_kill_at_any_instant_leaves_the_last_transition_or_the_one_begun(start: Start, path: Path) -> None:
    for lines in (1, 2, 3, 5, 8, 13):
        environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True, env=environment
        ) as child:
            assert child.stdout
            said = [int(child.stdout.readline()) for _ in range(lines)]
            child.send_signal(signal.SIGKILL)
            said += [int(line) for line in child.stdout.read().split("\n")[:-1]]
        journal = start(20)
        record = journal.load()
        assert record
        assert journal.trouble is None
        assert record.starts in {said[-1], said[-1] + 1}
        assert journal.events.latest(1)[0]["id"] == f"E{record.starts:06}"
        journal.close()


def zeros(data: bytes) -> bytes:
    return bytes(len(data))


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2 + 100]


def other_header(data: bytes) -> bytes:
    return b"not a database, " + data[16:]


def rotten_pages(data: bytes) -> bytes:
    return data[:4096] + bytes(b ^ 0x55 for b in data[4096:])


def rotten_schema(data: bytes) -> bytes:
    """Found by the fuzzer: SQLite quotes it in its error, and it is no UTF-8."""
    return data.replace(b"NOT NULL)", b"NOT \xff\xfe)L)")


@pytest.mark.parametrize("damage", [zeros, truncated, other_header, rotten_pages, rotten_schema])
def test_a_damaged_journal_is_set_aside_and_said(damage: Callable[[bytes], bytes], start: Start, path: Path) -> None:
    start().transition(RECORD, *(event(n) for n in range(50)))
    bad = damage(path.read_bytes())
    path.write_bytes(bad)
    journal = start()
    assert journal.load() is None
    assert journal.trouble
    assert journal.trouble.code == "journal-set-aside"
    assert aside(path) == ["journal.db.damaged-1"]
    assert (path.parent / "journal.db.damaged-1").read_bytes() == bad
    journal.transition(RECORD, event(1))
    journal = start()
    assert journal.load() == RECORD
    assert journal.trouble is None


def test_a_file_of_something_else_is_set_aside(start: Start, path: Path) -> None:
    spoil(path, "CREATE TABLE songs (title TEXT)")
    assert start().trouble
    assert aside(path) == ["journal.db.damaged-1"]


def test_three_damaged_journals_are_kept(start: Start, path: Path) -> None:
    for n in range(5):
        path.write_bytes(f"rubbish {n}".encode() * 100)
        start().close()
    assert aside(path) == ["journal.db.damaged-3", "journal.db.damaged-4", "journal.db.damaged-5"]
    assert (path.parent / "journal.db.damaged-5").read_bytes().startswith(b"rubbish 4")


def test_a_rollback_journal_left_alone_does_not_spoil_the_next_database(start: Start, path: Path) -> None:
    hot(path)
    path.unlink()  # a cut between the two renames of setting aside
    journal = start()
    journal.transition(RECORD)
    assert start().load() == RECORD


def test_a_flipped_bit_in_the_record_is_no_record(start: Start, path: Path) -> None:
    start().transition(RECORD, event(1))
    spoil(path, """UPDATE record SET json = replace(json, '"starts":2', '"starts":3')""")
    journal = start()
    assert journal.load() is None
    assert journal.trouble
    assert journal.trouble.code == "record-lost"
    assert journal.events.last() == 1


def test_text_that_is_no_utf8_any_more_is_no_record(start: Start, path: Path) -> None:
    start().transition(RECORD)
    spoil(path, "UPDATE record SET json = CAST(x'7bff22' AS TEXT)")
    journal = start()
    assert journal.load() is None
    assert journal.trouble


def test_a_newer_schema_is_used_by_name_and_left_as_it_is(start: Start, path: Path) -> None:
    start().transition(RECORD, event(1))
    spoil(
        path,
        """ALTER TABLE record ADD COLUMN mood TEXT DEFAULT 'good'; ALTER TABLE events ADD COLUMN wave INTEGER DEFAULT 3;
           CREATE TABLE shadow (id INTEGER); PRAGMA user_version = 9""",
    )
    journal = start()
    assert journal.trouble is None
    assert journal.load() == RECORD
    journal.migrate()
    journal.transition(replace(RECORD, starts=3), event(2))
    assert schema.version(journal.connection) == 9
    assert journal.connection.rows("SELECT count(*) FROM shadow") == [(0,)]
    assert [e["id"] for e in journal.events.page()] == ["E000001", "E000002"]


def test_a_newer_schema_that_dropped_what_we_need_is_kept_aside(start: Start, path: Path) -> None:
    start().transition(RECORD)
    spoil(path, "ALTER TABLE record RENAME COLUMN json TO cbor; PRAGMA user_version = 9")
    assert start().trouble
    assert aside(path) == ["journal.db.damaged-1"]


def test_a_schema_is_migrated_only_when_asked_and_loses_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    start().transition(RECORD, event(1))
    newer = (*schema.MIGRATIONS, ("ALTER TABLE events ADD COLUMN wave INTEGER DEFAULT 3", "CREATE TABLE shadow (id INTEGER)"))
    monkeypatch.setattr(schema, "MIGRATIONS", newer)
    journal = start()
    assert schema.version(journal.connection) == 1
    journal.migrate()
    journal.migrate()
    assert schema.version(journal.connection) == 2
    assert journal.connection.rows("SELECT wave FROM events") == [(3,)]
    assert journal.load() == RECORD


def test_no_data_partition_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="data partition is mounted") as caught:
        Journal.open(tmp_path / "data" / "journal.db")
    assert caught.value.cause.code == "journal-unwritable"
    assert not (tmp_path / "data").exists()


def test_a_journal_held_by_another_process_is_busy(start: Start, path: Path) -> None:
    journal = start()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(JournalError) as caught:
        journal.transition(RECORD)
    other.close()
    assert caught.value.cause.code == "journal-busy"
    journal.transition(RECORD)
    assert journal.load() == RECORD


def hot(path: Path) -> None:
    """What a power cut leaves in the middle of a commit: a changed database and the rollback journal that undoes it."""
    script = """
import os, sqlite3, sys
from pathlib import Path
from tests.journal.journal_samples import RECORD, event
from otad.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
journal.transition(RECORD, event(1))
journal.connection.rows("PRAGMA cache_size=1")
journal.connection.rows("PRAGMA cache_spill=1")
journal.connection.rows("BEGIN IMMEDIATE")
journal.connection.rows("UPDATE record SET json='torn'")
for n in range(200):
    journal.connection.rows("INSERT INTO events (id, json) VALUES (?, ?)", f"x{n}", "{}" + " " * 4000)
os.kill(os.getpid(), 9)
"""
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.with_name("journal.db-journal").read_bytes()[:1] != b"\0"


def test_the_daemon_undoes_what_a_cut_left_half_written(start: Start, path: Path) -> None:
    hot(path)
    journal = start()
    assert journal.trouble is None
    assert journal.load() == RECORD
    assert journal.events.last() == 1


def test_a_reader_reads_while_the_daemon_has_it_open(start: Start, path: Path) -> None:
    start().transition(RECORD, event(1))
    reader = Reader(path)
    assert reader.load() == RECORD
    assert reader.events.latest()[0]["id"] == "E000001"
    with pytest.raises(JournalError):
        reader.settings.put("paused", "yes")
    reader.close()


def test_a_reader_without_the_right_to_write_reads_and_leaves_nothing_behind(start: Start, path: Path) -> None:
    journal = start()
    journal.transition(RECORD, event(1))
    journal.close()
    before = sorted(p.name for p in path.parent.iterdir())
    assert as_group_member(path) == "rollback 1"
    assert sorted(p.name for p in path.parent.iterdir()) == before


def test_a_reader_says_so_when_a_cut_left_it_half_written(path: Path) -> None:
    hot(path)
    assert as_group_member(path) == "journal-unwritable"


def as_group_member(path: Path) -> str:
    """What a user sees who may only read: by group when the tests run as root, by the file's mode otherwise."""
    script = """
import os, sys
from pathlib import Path
from otad.journal.connection import JournalError
from otad.journal.reader import Reader
if os.getuid() == 0:
    os.setgroups([]); os.setgid(54321); os.setuid(65534)
try:
    reader = Reader(Path(sys.argv[1]))
    print(reader.load().state.value, reader.events.last())
except JournalError as error:
    print(error.cause.code)
"""
    folder = path.parent
    for file in (path, path.with_name("journal.db-journal")):
        file.chmod(0o440)
        if os.getuid() == 0:
            os.chown(file, 0, 54321)
    folder.chmod(0o550)
    if os.getuid() == 0:
        os.chown(folder, 0, 54321)
        if not _reachable(folder):
            pytest.skip("the folders above tmp_path are closed to other users")
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, capture_output=True, text=True, check=True)
    folder.chmod(0o750)
    return done.stdout.strip()


def _reachable(folder: Path) -> bool:
    """pytest makes its own folders 0700; those are opened for this test, nothing above them."""
    for above in folder.parents:
        if above.name.startswith("pytest-"):
            above.chmod(0o711)
    return all(above.stat().st_mode & 0o001 for above in folder.parents)


def test_reading_needs_no_heavy_module(start: Start, path: Path) -> None:
    start().transition(RECORD)
    script = f"""
import sys
from pathlib import Path
from otad.journal.reader import Reader
assert Reader(Path({str(path)!r})).load()
print([m for m in ("pydantic", "aiohttp", "asyncio", "semver", "cryptography") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_times_survive(start: Start) -> None:
    start().settings.put_time("next_check", NOW)
    assert start().settings.time("next_check") == NOW
