"""Where the bytes of a delta go: told of a ledger, and by `otarepo delta` of a real pair."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otad.publisher.cli import main
from otad.publisher.delta.explain import HEAD, NOBODY, OWN, explained
from otad.publisher.delta.ledger import Ledger, Line
from otad.publisher.delta.picture import svg
from otad.publisher.delta.treemap import Rectangle, laid_out
from tests.publisher.delta import trees

LINES = (
    Line("", "copy", 5000, 10),
    Line("/boot/initrd.img", "pack", 900, 5),
    Line("/boot/initrd.img", "delta", 900, 595),
    Line("/usr/lib/modules/a.ko", "delta", 100, 9),
    Line("/usr/lib/modules/b.ko", "delta", 100, 8),
    Line("/usr/lib/python/x.py", "raw", 50, 200),
    Line("/usr/lib", "raw", 10, 3),
)


def places(worth: int) -> dict[str, tuple[int, int, str]]:
    return {share.name: (share.costs, share.makes, share.mostly) for share in explained(Ledger(LINES), 1000, worth).places}


def test_what_is_dear_is_named_and_what_is_cheap_is_told_of_the_folder_above() -> None:
    assert places(50) == {
        "/boot/initrd.img": (600, 900, "delta"),
        "/usr/lib/python/x.py": (200, 50, "raw"),
        OWN: (170, 0, HEAD),
        "/usr/lib/": (20, 210, "delta"),
        NOBODY: (10, 5000, "copy"),
    }


def test_a_folder_that_is_dear_in_all_is_named() -> None:
    assert {"/usr/lib/modules/": (17, 200, "delta"), "/": (3, 10, "raw")}.items() <= places(60).items()


def test_operations_with_the_dearest_first() -> None:
    told = explained(Ledger(LINES, ("the old image is no ext4",)), 1000)
    assert [(share.name, share.costs) for share in told.operations] == [
        ("delta", 612),
        ("raw", 203),
        (HEAD, 170),
        ("copy", 10),
        ("pack", 5),
    ]
    assert told.notes == ("the old image is no ext4",)


HAIR = 1e-3  # pixels: nobody sees what the arithmetic loses
paths = st.lists(st.sampled_from(["usr", "lib", "a", "b"]), max_size=4).map(lambda parts: "/" + "/".join(parts))
lines = st.builds(Line, st.just("") | paths, st.sampled_from(["raw", "copy", "delta"]), st.integers(0, 99), st.integers(0, 99))


@given(st.lists(lines, max_size=30), st.integers(0, 50), st.integers(1, 100))
def test_every_byte_is_told_once(made: list[Line], head: int, worth: int) -> None:
    length = sum(line.costs for line in made) + head
    told = explained(Ledger(tuple(made)), length, worth)
    for shares in (told.places, told.operations):
        assert sum(share.costs for share in shares) == length
        assert sum(share.makes for share in shares) == sum(line.makes for line in made)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=60))
def test_rectangles_are_as_large_as_their_values_and_fill_the_picture(values: list[int]) -> None:
    values.sort(reverse=True)
    found = list(laid_out(values, Rectangle(0, 10, 960, 540)))
    area = 960 * 540 / sum(values)
    for value, one in zip(values, found, strict=True):
        assert one.width * one.height == pytest.approx(value * area, rel=1e-6)
        assert -HAIR <= one.x <= one.x + one.width <= 960 + HAIR
        assert 10 - HAIR <= one.y <= one.y + one.height <= 550 + HAIR


def test_the_picture_loads_nothing_and_escapes_what_it_says() -> None:
    picture = svg(explained(Ledger((Line('/<script>"&', "raw", 9, 90),)), 100), "<1.0.0> & more")
    root = ET.fromstring(picture)  # noqa: S314  # ours
    assert '/<script>"&: 90 bytes, 90.0%, mostly raw' in [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "<script" not in picture
    assert picture.count("http") == 1  # the name of the language


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    for name, dear in (("old", 1), ("new", 2)):
        trees.write(
            folder / name, {"boot/initrd.img": trees.noise(dear, 90_000), "usr/bin/tool": trees.noise(9, 50_000) + name.encode()}
        )
        trees.ext4(folder / name, folder / f"{name}.ext4", "4M")
    return folder / "old.ext4", folder / "new.ext4"


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> str:
    monkeypatch.setattr("sys.argv", ["otarepo", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    return capsys.readouterr().out


@pytest.mark.slow
def test_otarepo_says_that_the_initrd_is_dear(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    patch, picture = tmp_path / "delta", tmp_path / "delta.svg"
    words = ("delta", "--files", *pair, patch, "--explain", "--plot", picture)
    first = next(line for line in said(monkeypatch, capsys, *words).splitlines() if "/boot/initrd.img" in line)
    assert "raw" in first
    assert "/boot/initrd.img: 9" in picture.read_text()
    told = json.loads(said(monkeypatch, capsys, "delta", "--files", *pair, patch, "--json"))
    assert told["length"] == patch.stat().st_size == sum(share["costs"] for share in told["places"])
    assert told["places"][0]["name"] == "/boot/initrd.img"
    assert told["places"][0]["costs"] == pytest.approx(90_000, rel=0.01)


def test_a_picture_shows_one_delta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["otarepo", "delta", str(tmp_path), "1.0.0", "1.1.0", "1.2.0", "--plot", "x.svg"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
