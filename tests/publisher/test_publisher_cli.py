"""otarepo as people type it: from nothing to a published roll-out, and what it says when something is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from otad.publisher import image as images
from otad.publisher.cli import main, terminal
from otad.publisher.publish import publish
from otad.publisher.workspace import Workspace
from tests.support.published import BOARD, NOW, Reader, added, image, packed


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
