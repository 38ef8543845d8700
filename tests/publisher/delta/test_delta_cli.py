"""otarepo delta as people type it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from otad.publisher.cli import main, terminal
from otad.publisher.delta.make import Payload
from otad.publisher.delta.proof import proved
from otad.publisher.workspace import Workspace
from tests.publisher.delta import trees
from tests.publisher.delta.test_delta_release import PROGRAM, released


def otarepo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["otarepo", *map(str, words)])
    monkeypatch.delenv(terminal.PASSPHRASE, raising=False)
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
