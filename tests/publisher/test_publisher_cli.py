"""otarepo as people type it: from nothing to a published roll-out, and what it says when something is wrong."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

import pytest

from otad.publisher import drafts
from otad.publisher import image as images
from otad.publisher.cli import main, terminal
from otad.publisher.publish import publish
from otad.publisher.workspace import Workspace
from tests.support.keyboard import answered
from tests.support.published import BOARD, NOW, Reader, added, encrypted, image, packed, rolled_out


class Otarepo:
    """Runs a command line; exit status, what it said, what it complained about."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: object) -> tuple[int, str, str]:
        self._monkeypatch.setattr("sys.argv", ["otarepo", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err


@pytest.fixture
def otarepo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Otarepo:
    monkeypatch.delenv(terminal.PASSPHRASE, raising=False)
    terminal.passphrase.cache_clear()
    return Otarepo(monkeypatch, capsys)


def test_from_an_image_to_a_roll_out(otarepo: Otarepo, ws: Workspace, out: Path, tmp_path: Path) -> None:
    swu, folder = tmp_path / "x.swu", ws.path
    what = ("--version", "1.1.0", "--hardware", BOARD)
    status, _, complaint = otarepo("image", folder, swu, *what, "--image", image(tmp_path))
    assert status == 0
    assert "does not say what it is" in complaint
    assert otarepo("release", folder, *what, "--system", swu, "--level", "1", "--back-to", "1.0.0")[0] == 0
    assert otarepo("open", folder, "stable", "--version", "1.1.0", "--curve", "0:1%,1h:100%", "--free", "ring=test")[0] == 0
    status, said, complaint = otarepo("rollout", "start", folder, "stable", "--version", "1.1.0", "--curve", "0:5%")
    assert (status, said) == (0, "stable: campaign 1.1.0-1 is running; 0 s 5 %. Publish to make it so.\n")
    assert "faster than 1.1.0 was granted in stable" in complaint
    assert otarepo("publish", folder, out)[1] == "timestamp 1 is public; 10 new files\n"
    assert otarepo("refresh", folder, out)[1] == "timestamp 2 is public; 1 new files\n"
    assert Reader(out, ws.anchor, tmp_path / "device").target("releases/camera/1.1.0.json") is not None


def test_no_bar_is_painted_over_a_passphrase_that_is_asked_for(ws: Workspace, tmp_path: Path) -> None:
    key = ws.keys.path / "swupdate.pem"
    key.write_bytes(encrypted(key, b"secret"))
    words = ["image", str(ws.path), str(tmp_path / "x.swu"), "--version", "1.1.0", "--hardware", BOARD]
    asked, said = answered([*words, "--image", str(image(tmp_path))], b"Passphrase of the key swupdate", b"secret")
    assert re.search(rb"Passphrase of the key swupdate: ?$", asked)
    assert b"1.1.0 for" in said


def test_every_roll_out_order(otarepo: Otarepo, ws: Workspace) -> None:
    added(ws, "1.0.0")
    otarepo("open", ws.path, "stable", "--version", "1.0.0")
    assert otarepo("rollout", "start", ws.path, "stable", "--version", "1.0.0", "--stratum", "region=eu;0:1%")[0] == 0
    assert "20 %" in otarepo("rollout", "advance", ws.path, "stable", "--to", "20%", "--phase", "2")[1]
    for order, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        assert f"campaign 1.0.0-1 is {state}" in otarepo("rollout", order, ws.path, "stable")[1]


def test_the_same_release_twice_is_success(otarepo: Otarepo, ws: Workspace) -> None:
    swu = added(ws, "1.0.0")
    words = ("release", ws.path, "--version", "1.0.0", "--hardware", BOARD, "--system")
    assert otarepo(*words, swu) == (0, "1.0.0 is as it was.\n", "")
    status, said, complaint = otarepo(*words, packed(ws, "1.0.0", b"other"))
    assert (status, said) == (1, "")
    assert complaint.splitlines() == [
        "cannot do this: camera 1.0.0 is already published with other content",
        "next step: Give the new content a new version",
    ]


def test_a_new_workspace_says_what_images_need(otarepo: Otarepo, tmp_path: Path) -> None:
    status, said, _ = otarepo("init", tmp_path / "ws", "--product", "camera", "--expiry", "timestamp=1d")
    assert status == 0
    assert str(tmp_path / "ws" / "metadata" / "1.root.json") in said
    assert str(tmp_path / "ws" / "keys" / "swupdate-ca.crt") in said
    assert Workspace.open(tmp_path / "ws").roles.lifetimes["timestamp"].days == 1


def test_a_product_that_is_no_name_makes_nothing(otarepo: Otarepo, tmp_path: Path) -> None:
    status, said, complaint = otarepo("init", tmp_path / "ws", "--product", "My Camera")
    assert (status, said) == (1, "")
    assert "product: 'My Camera': lower-case letters, digits, and . _ - between them; at most 64" in complaint
    assert not (tmp_path / "ws").exists()


def test_keys_are_listed_rotated_and_exported(otarepo: Otarepo, ws: Workspace) -> None:
    assert otarepo("key", "rotate", ws.path, "root")[1].startswith("root4 signs root in place of root1")
    listed = otarepo("key", "list", ws.path)[1]
    assert "root4" in listed
    assert "root1" not in listed
    assert "targets (2 of 3)" in listed
    assert otarepo("key", "export", ws.path, "root4")[1] == (ws.keys.path / "root4.pub").read_text()
    assert otarepo("key", "add", ws.path, "releases")[1].startswith("releases2 signs releases too")
    assert otarepo("key", "renew", ws.path, "targets")[0] == 0
    assert otarepo("key", "export", ws.path, "root1")[0] == 1


def test_signatures_are_brought_from_elsewhere(otarepo: Otarepo, ws: Workspace, out: Path, tmp_path: Path) -> None:
    for name in ("targets2", "targets3"):
        (ws.keys.path / f"{name}.pem").rename(tmp_path / f"{name}.pem")
    status, said, complaint = otarepo("key", "renew", ws.path, "targets")
    assert (status, said) == (3, "targets is staged for another lifetime. Publish to make it so.\n")
    waits = "targets 2 needs 1 more signature of 2: keys targets2, targets3"
    assert complaint.splitlines() == [f"not yet: {waits}", f"next step: otarepo sign export {ws.path} targets FILE"]
    assert otarepo("sign", "list", ws.path)[1] == f"{waits}\n"
    assert f"cannot do this: {waits}" in otarepo("publish", ws.path, out)[2]

    file = tmp_path / "targets-2.json"
    assert otarepo("sign", "export", ws.path, "targets", file)[0] == 0
    status, said, _ = otarepo("sign", "add", file, "--key", tmp_path / "targets3.pem")
    assert status == 0
    assert "  version: 1 -> 2" in said.splitlines()
    assert "has the signature of targets3.pem. It has all that it needs." in said
    assert "has signed this targets already" in otarepo("sign", "add", file, "--key", tmp_path / "targets3.pem")[2]
    assert otarepo("sign", "take", ws.path, file) == (
        0, f"{file}: taken\nNothing waits for signatures any more. Publish to make it so.\n", "",
    )  # fmt: skip
    assert otarepo("sign", "list", ws.path)[1] == "Nothing waits for signatures.\n"
    (tmp_path / "other.json").write_text("{}")
    complaint = otarepo("sign", "take", ws.path, tmp_path / "other.json")[2]
    assert complaint.startswith(f"cannot do this: {tmp_path / 'other.json'} is no request for signatures\n")
    assert otarepo("publish", ws.path, out)[0] == 0
    assert otarepo("sign", "drop", ws.path, "targets")[0] == 1


def test_a_release_is_taken_back(otarepo: Otarepo, ws: Workspace, out: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        rolled_out(ws, version)
    assert "1.1.0 now allows to go back to 1.0.0" in otarepo("allow", ws.path, "--version", "1.1.0", "--back-to", "1.0.0")[1]
    assert otarepo("withdraw", ws.path, "1.1.0")[1].startswith("1.1.0 is now withdrawn. Publish to make it so.")
    assert otarepo("withdraw", ws.path, "1.1.0")[1].startswith("1.1.0 is already withdrawn.")
    otarepo("rollout", "stop", ws.path, "stable", "--campaign", "1.0.0-1")
    status, said, _ = otarepo("rollout", "back", ws.path, "stable", "--version", "1.0.0", "--curve", "0:10%")
    assert (status, said) == (0, "stable: campaign 1.0.0-2 (back to 1.0.0) is running; 0 s 10 %. Publish to make it so.\n")
    complaint = otarepo("rollout", "resume", ws.path, "stable", "--campaign", "1.1.0-1")[2]
    assert complaint == "warning: 1.1.0 is withdrawn: no device takes it any more\n"


def test_a_release_is_put_on_a_medium(otarepo: Otarepo, ws: Workspace, published: Path, tmp_path: Path) -> None:
    status, said, _ = otarepo("export", ws.path, tmp_path / "stick", "--version", "1.0.0")
    assert status == 0
    assert re.fullmatch(rf"{tmp_path}/stick: 1\.0\.0: 6 files, [0-9,]+ bytes, read back and right; 6 of them are new\n", said)
    assert otarepo("export", ws.path, tmp_path / "stick", "--version", "1.0.0")[1].endswith("; 0 of them are new\n")
    (tmp_path / "file").write_text("")
    status, _, complaint = otarepo("export", ws.path, tmp_path / "file" / "stick", "--version", "1.0.0")
    assert (status, complaint) == (1, f"cannot do this: {tmp_path / 'file'}: File exists\n")


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as write(2) does: it names no file


def test_a_full_disk_is_told_with_its_folder(otarepo: Otarepo, ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otad.publisher.drafts.os.fsync", full)
    status, said, complaint = otarepo("key", "renew", ws.path, "targets")
    assert (status, said) == (1, "")
    assert complaint == (
        f"cannot do this: {ws.path / 'metadata'}: No space left on device\nnext step: Free space there, then do this again\n"
    )


def test_a_name_that_is_a_folder_is_told_and_no_draft(ws: Workspace) -> None:
    (ws.path / "metadata" / "2.targets.json").mkdir()
    with pytest.raises(IsADirectoryError) as refused:
        drafts.write(ws.path / "metadata" / "2.targets.json", b"{}")
    assert refused.value.filename == str(ws.path / "metadata" / "2.targets.json")


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (errno.EACCES, "next step: Do this as a user who may, or change whose it is\n"),
        (errno.EROFS, "next step: Mount it so that it can be written, or name another place\n"),
        (errno.EIO, ""),
    ],
)
def test_what_the_machine_refuses_has_a_next_step_where_it_is_plain(
    number: int, step: str, otarepo: Otarepo, ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(ws.path / "metadata" / ".draft-k3x"))

    monkeypatch.setattr("otad.publisher.drafts.tempfile.mkstemp", refused)
    status, said, complaint = otarepo("key", "renew", ws.path, "targets")
    assert (status, said) == (1, "")
    assert complaint == f"cannot do this: {ws.path / 'metadata'}: {os.strerror(number)}\n{step}"


def test_what_is_not_needed_is_deleted(otarepo: Otarepo, ws: Workspace, published: Path) -> None:
    draft = published / "blobs" / ".draft-1"
    draft.write_bytes(bytes(2000))
    overtaken = [ws.path / "metadata" / name for name in ("1.releases.json", "2.releases.json", "1.rollouts.json")]
    size = 2000 + sum(file.stat().st_size for file in overtaken)
    status, said, _ = otarepo("gc", ws.path, published, "--dry-run")
    assert status == 0
    assert set(said.splitlines()) == {
        *map(str, (draft, *overtaken)), f"4 files would be deleted, which frees {size:,} bytes",
    }  # fmt: skip
    assert draft.exists()
    assert otarepo("gc", ws.path, published)[1] == f"4 files are deleted, which frees {size:,} bytes\n"
    assert not draft.exists()


def test_what_is_published_is_verified(otarepo: Otarepo, ws: Workspace, published: Path) -> None:
    status, said, complaint = otarepo("verify", ws.path, published)
    assert (status, complaint) == (0, "")
    assert said.splitlines()[-1] == f"{published} is as it should be"
    assert re.search(r"(?m)^targets +1 +3 of 2 ", said)
    for blob in (published / "blobs").iterdir():
        blob.unlink()
    status, said, complaint = otarepo("verify", ws.path, published)
    assert (status, said.splitlines()[-1]) == (1, f"{published}: 1 finding")
    assert re.fullmatch(r"wrong: blobs/[0-9a-f]{64}: is not there\n", complaint)
    assert otarepo("verify", ws.path)[0] == 0


@pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="needs mkfs.ext4 (e2fsprogs)")
def test_a_directory_becomes_an_image_that_knows_its_version(otarepo: Otarepo, ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "tree" / "etc").mkdir(parents=True)
    words = ("image", ws.path, tmp_path / "x.swu", "--hardware", BOARD, "--version")
    assert otarepo(*words, "1.1.0", "--root", tmp_path / "tree", "--size", "4M") == (
        0, f"{tmp_path / 'x.swu'}: 1.1.0 for {BOARD}, {(tmp_path / 'x.swu').stat().st_size} bytes\n", "",
    )  # fmt: skip
    assert not list(tmp_path.glob(".image-*"))
    made = tmp_path / "made.img"
    images.from_directory(tmp_path / "tree", made, images.Identity(product="camera", version="1.1.0"), images.Make(4 << 20, 0))
    status, _, complaint = otarepo(*words, "1.2.0", "--image", made)
    assert status == 1
    assert "says that it is camera 1.1.0, not camera 1.2.0" in complaint


@pytest.mark.parametrize(
    "words",
    [
        ("image", "{ws}", "x.swu", "--version", "1.0.0", "--hardware", BOARD),
        ("image", "{ws}", "x.swu", "--version", "1.0.0", "--hardware", BOARD, "--root", "/etc"),
        ("release", "{ws}", "--version", "1.0.0"),
        ("rollout", "start", "{ws}", "stable"),
    ],
)
def test_wrong_usage_is_2(otarepo: Otarepo, ws: Workspace, words: tuple[str, ...]) -> None:
    assert otarepo(*(word.format(ws=ws.path) for word in words))[0] == 2


@pytest.mark.slow
def test_the_passphrase_comes_from_the_environment(otarepo: Otarepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(terminal.PASSPHRASE, "secret")
    assert otarepo("init", tmp_path / "ws", "--product", "camera")[0] == 0
    publish(Workspace.open(tmp_path / "ws", lambda _: b"secret"), tmp_path / "out", now=NOW)
    assert otarepo("refresh", tmp_path / "ws", tmp_path / "out")[0] == 0
    monkeypatch.delenv(terminal.PASSPHRASE)
    terminal.passphrase.cache_clear()
    status, _, complaint = otarepo("refresh", tmp_path / "ws", tmp_path / "out")
    assert status == 1
    assert "OTAREPO_PASSPHRASE" in complaint
