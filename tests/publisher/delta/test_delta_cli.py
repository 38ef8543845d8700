"""otarepo delta as people type it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from otad.publisher.cli import main, terminal
from otad.publisher.delta.ledger import Ledger
from otad.publisher.delta.make import Payload
from otad.publisher.delta.proof import proved
from otad.publisher.delta.release import Outcome
from otad.publisher.roles import RELEASES
from otad.publisher.workspace import Workspace
from tests.publisher.delta import trees
from tests.publisher.delta.test_delta_release import PROGRAM, released
from tests.support.keyboard import answered
from tests.support.published import encrypted


def otarepo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["otarepo", *map(str, words)])
    monkeypatch.delenv(terminal.PASSPHRASE, raising=False)
    terminal.passphrase.cache_clear()
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_deltas_of_releases(ws: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    released(ws, "1.0.0", {"usr/bin/camera": PROGRAM})
    released(ws, "2.0.0", {"usr/bin/camera": trees.noise(9, 200_000)})
    released(ws, "2.1.0", {"usr/bin/camera": trees.edited(trees.noise(9, 200_000), 2)})
    status, said, complaint = otarepo(capsys, monkeypatch, "delta", ws.path, "1.0.0", "2.0.0", "2.1.0")
    assert (status, complaint) == (0, "")
    size = r"[0-9,]+ bytes, [0-9.]+% of the full [0-9,]+"
    first, second = said.splitlines()
    assert re.fullmatch(rf"1\.0\.0 to 2\.1\.0: not published: it would be {size}, and must save a tenth\. Devices .*", first)
    assert re.fullmatch(rf"2\.0\.0 to 2\.1\.0: {size}\. Publish to make it so\.", second)
    again = otarepo(capsys, monkeypatch, "delta", ws.path, "2.0.0", "2.1.0")
    assert again == (0, "2.0.0 to 2.1.0: is there already.\n", "")


def test_what_is_there_already_is_explained_all_the_same(
    ws: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for version, edits in (("1.0.0", 0), ("1.1.0", 2), ("1.2.0", 4)):
        released(ws, version, {"usr/bin/camera": trees.edited(PROGRAM, edits)})
    words = ("delta", ws.path, "1.0.0", "1.1.0", "1.2.0")
    made = otarepo(capsys, monkeypatch, *words)[1].splitlines()
    signed = ws.roles.version(RELEASES)
    picture = ws.path.parent / "delta.svg"
    status, said, complaint = otarepo(capsys, monkeypatch, *words[:2], *words[3:], "--explain", "--plot", picture)
    assert (status, complaint) == (0, "")
    assert said.startswith("1.1.0 to 1.2.0: is there already.\nWhere ")
    assert "/usr/bin/camera" in said
    assert picture.read_text().startswith("<svg")
    status, said, complaint = otarepo(capsys, monkeypatch, *words, "--json")
    assert (status, complaint) == (0, "")
    told = [json.loads(line) for line in said.splitlines()]
    assert [(one["base"], one["version"], one["listed"]) for one in told] == [("1.0.0", "1.2.0", True), ("1.1.0", "1.2.0", True)]
    sizes = [f"{one['base']} to 1.2.0: {one['length']:,} bytes, {one['length'] / one['full']:.1%} of the full" for one in told]
    assert [line[: len(size)] for line, size in zip(made, sizes, strict=True)] == sizes
    assert ws.roles.version(RELEASES) == signed


def test_one_that_was_made_in_another_way_is_told_apart(
    ws: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Outcome("1.0.0", "1.1.0", 900, 5000, listed=True, ledger=Ledger(()), before=1200)
    monkeypatch.setattr("otad.publisher.delta.release.add", lambda *_, **__: made)
    status, said, complaint = otarepo(capsys, monkeypatch, "delta", ws.path, "1.0.0", "1.1.0", "--json")
    assert (status, json.loads(said)["length"]) == (0, 900)
    assert complaint == (
        "warning: the delta that is listed has 1,200 bytes, and was made in another way than this one of 900: "
        "with or without --no-repack, or by another version of otarepo\n"
    )


def test_the_passphrase_is_asked_for_first_and_nothing_is_painted_over_it(ws: Workspace) -> None:
    for version, edits in (("1.0.0", 0), ("1.1.0", 2)):
        released(ws, version, {"usr/bin/camera": trees.edited(PROGRAM, edits)})
    (ws.keys.path / "releases.pem").write_bytes(encrypted(ws.keys.path / "releases.pem", b"secret"))
    asked, said = answered(["delta", str(ws.path), "1.0.0", "1.1.0"], b"Passphrase of the key releases", b"secret")
    assert re.search(rb"Passphrase of the key releases: ?$", asked)
    assert b"\x1b" not in asked
    assert b"Publish to make it so." in said


def test_a_delta_of_files_that_are_no_ext4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, out = (tmp_path / name for name in ("old.img", "new.img", "delta"))
    old.write_bytes(PROGRAM + bytes(100_000) + trees.noise(5, 300_000))
    new.write_bytes(trees.edited(PROGRAM, 3) + bytes(90_001) + trees.noise(5, 300_000) + b"end")
    status, said, complaint = otarepo(capsys, monkeypatch, "delta", "--files", old, new, out)
    assert status == 0
    assert "the old image is not compared file by file: it has no ext4 superblock" in complaint
    assert "the new image is not compared file by file: it has no ext4 superblock" in complaint
    assert out.stat().st_size < 2000
    assert said == f"{out}: {out.stat().st_size:,} bytes make {new}, of {new.stat().st_size:,}, from {old}\n"
    proved(Payload.of(old), Payload.of(new), out, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["delta", "new.img", "old.img"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("none new.img out", "none is not there\nnext step: Check its name"),
        (
            "folder new.img out",
            "folder is no regular file\nnext step: Give the file of an image or a bundle; what a device",
        ),
        ("old.img empty out", "empty is empty\nnext step: Build or copy it again"),
        ("old.img old.img out", "old.img and old.img are the same file\nnext step: A device that has the one needs nothing"),
        ("old.img copy.img out", "old.img and copy.img hold the same bytes\nnext step: A device that has the one needs nothing"),
        ("old.img new.img folder", "folder is a folder\nnext step: Name a file, for instance folder/delta"),
        ("old.img new.img none/out", "cannot write none/out: there is no folder none\nnext step: Make it, or name another"),
        ("old.img new.img old.img", "old.img would replace old.img, which the delta is made of\nnext step: Name another file"),
        ("old.img new.img link", "link would replace new.img, which the delta is made of\nnext step: Name another file"),
    ],
)
def test_files_that_make_no_delta_are_refused_before_the_work(
    words: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, data in (("old.img", PROGRAM), ("copy.img", PROGRAM), ("new.img", PROGRAM[1:]), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").hardlink_to(tmp_path / "new.img")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("otad.publisher.delta.files.make", None)
    status, said, told = otarepo(capsys, monkeypatch, "delta", "--files", *words.split())
    assert (status, said) == (1, "")
    assert told.startswith(f"cannot do this: {complaint}")
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "old.img").read_bytes() == PROGRAM


def test_a_killed_run_leaves_one_folder_which_the_next_removes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "[").mkdir()
    for name, data in (("old.img", PROGRAM), ("[/x]new.img", PROGRAM[1:])):
        (tmp_path / name).write_bytes(data)
    words = ("--files", tmp_path / "old.img", tmp_path / "[/x]new.img", tmp_path / "[red]out")
    killed = "import os, otad.publisher.delta.files as f; f.proved = lambda *_: os.kill(os.getpid(), 9)"
    program = f"{killed}; import sys; from otad.publisher.cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", program, "delta", *map(str, words)], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL
    assert {file.name for file in tmp_path.iterdir()} == {"old.img", "[", ".delta-[red]out"}
    status, said, _ = otarepo(capsys, monkeypatch, "delta", *words)
    assert status == 0
    assert said.startswith(f"{tmp_path}/[red]out: ")
    assert f" bytes make {tmp_path}/[/x]new.img, of 199,999, from " in said
    assert {file.name for file in tmp_path.iterdir()} == {"old.img", "[", "[red]out"}


@pytest.mark.parametrize("words", [("--files", "a", "b"), ("ws", "1.0.0")])
def test_too_few_words_are_wrong_usage(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert otarepo(capsys, monkeypatch, "delta", *words)[0] == 2


def test_a_picture_is_an_svg(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("delta", tmp_path, "1.0.0", "1.1.0", "--plot", "out.png")
    status, _, complaint = otarepo(capsys, monkeypatch, *words)
    assert status == 2
    assert "a name that ends in .svg" in " ".join(complaint.replace("│", " ").split())
