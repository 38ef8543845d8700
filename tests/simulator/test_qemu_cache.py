"""What is built once: never half of it, never for want of room, never of an older text; and what is missing is named."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from simulator.qemu import tools
from simulator.qemu.cache import Cache, Make
from simulator.qemu.tools import NotReady
from simulator.qemu.uboot import RECIPES, _settings, _stands


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def write(text: str) -> Make:
    return lambda part: (part / "it").write_text(text)


def test_it_is_made_once(cache: Cache) -> None:
    first = cache.entry("it", [b"a"], write("made"), room=1)
    assert cache.entry("it", [b"a"], write("made again"), room=1) == first
    assert (first / "it").read_text() == "made"


def test_another_text_makes_another_and_the_old_one_goes(cache: Cache) -> None:
    old = cache.entry("it", [b"a"], write("old"), room=1)
    other = cache.entry("it-too", [b"a"], write("other"), room=1)
    new = cache.entry("it", [b"b"], write("new"), room=1)
    assert (new / "it").read_text() == "new"
    assert other.exists()
    assert not old.exists()


def test_parts_do_not_run_together(cache: Cache) -> None:
    assert cache.entry("it", [b"ab", b"c"], write("1"), room=1) != cache.entry("it", [b"a", b"bc"], write("2"), room=1)


def test_half_of_it_is_never_taken_for_one(cache: Cache) -> None:
    def fails(part: Path) -> None:
        (part / "half").touch()
        raise NotReady("make exited 2")

    with pytest.raises(NotReady, match="make exited 2"):
        cache.entry("it", [b"a"], fails, room=1)
    made = cache.entry("it", [b"a"], write("whole"), room=1)
    assert [file.name for file in made.iterdir()] == ["it"]


def test_two_at_once_make_one(cache: Cache) -> None:
    began, go = threading.Event(), threading.Event()
    made: list[str] = []

    def slowly(part: Path) -> None:
        began.set()
        go.wait()
        made.append(part.name)

    makers = [threading.Thread(target=lambda: cache.entry("it", [b"a"], slowly, room=1)) for _ in range(3)]
    makers[0].start()
    began.wait()
    for other in makers[1:]:
        other.start()
    go.set()
    for maker in makers:
        maker.join()
    assert made == ["it.part"]


def test_no_room_is_said_before_anything_is_made(cache: Cache) -> None:
    with pytest.raises(NotReady, match=r"cannot make it: .* MiB free, .* MiB are needed; make room, or set OTAD_CACHE"):
        cache.entry("it", [b"a"], write("x"), room=1 << 60)


def test_missing_tools_are_named_with_their_packages() -> None:
    with pytest.raises(NotReady, match=r"not on this machine: no-such-gcc; .*apt-get install gcc-of-debian$"):
        tools.need({"sh": "dash", "no-such-gcc": "gcc-of-debian"})


def test_a_tool_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"(?s)sh -c .* exited 3; the end of .*log:\nno rule"):
        tools.run(["sh", "-c", "echo no rule; exit 3"], tmp_path, tmp_path / "log")


def test_a_setting_that_u_boot_dropped_is_noticed() -> None:
    fragment = RECIPES / "bootcount.cfg"
    _stands(fragment.read_text(), (fragment,))
    with pytest.raises(NotReady, match="CONFIG_BOOTCOUNT_ENV=y"):
        _stands(fragment.read_text().replace("CONFIG_BOOTCOUNT_ENV=y", ""), (fragment,))


def test_a_setting_that_is_off_may_be_absent(tmp_path: Path) -> None:
    fragment = tmp_path / "cfg"
    fragment.write_text("# CONFIG_USB is not set\n# a comment\n")
    assert list(_settings(fragment.read_text())) == [("CONFIG_USB", "# CONFIG_USB is not set")]
    _stands("", (fragment,))
    with pytest.raises(NotReady, match="CONFIG_USB is not set"):
        _stands("CONFIG_USB=y\n", (fragment,))
