"""Every contender of `make bench-delta`, on a pair of small images."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bench.delta.contenders import Contender, contenders
from bench.delta.measure import Failed, run
from bench.delta.runs import Images, Result, results
from simulator.qemu.cache import Cache
from tests.publisher.delta import trees


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    folder = tmp_path_factory.mktemp("images")
    for name, files in (("old", trees.older()), ("new", trees.newer())):
        trees.write(folder / name, files)
        trees.ext4(folder / name, folder / f"{name}.ext4", "4M", "-O", "^has_journal")
    return Images.of(folder / "old.ext4", folder / "new.ext4")


def result(cache: Cache, contender: Contender, images: Images) -> Result:
    return results(cache, [contender], images, rounds=1)[contender.name]


@pytest.mark.slow
@pytest.mark.parametrize("contender", contenders(), ids=lambda contender: contender.name)
def test_what_it_makes_is_the_new_image(contender: Contender, images: Images, tmp_path: Path) -> None:
    if missing := [package for tool, package in contender.tools.items() if not shutil.which(tool)]:
        pytest.skip(f"needs {', '.join(missing)} (tools/packages tools/packages-bench.txt)")
    found = result(Cache(tmp_path), contender, images)
    assert not found.why
    assert found.size
    assert 1000 < found.size < images.new.stat().st_size
    assert found.made
    assert found.applied
    again = result(Cache(tmp_path), contender, images)
    assert replace(again, applied=found.applied) == found, "it is not made twice"


def test_applying_takes_turns(images: Images, tmp_path: Path) -> None:
    said = tmp_path / "said"
    two = [Contender(name, name, "ln $new patch", f"echo {name} >> {said}; cat patch") for name in ("a", "b")]
    found = results(Cache(tmp_path / "cache"), two, images, rounds=3)
    assert [len(one.applied) for one in found.values()] == [3, 3]
    assert said.read_text().split() == [*"ab", *"ababab"], "once to verify, then in rounds"


def test_a_wrong_result_is_found_out(images: Images, tmp_path: Path) -> None:
    wrong = Contender("wrong", "gives the old image", "touch patch", 'cat "$old"')
    assert result(Cache(tmp_path), wrong, images).why == "what it made is not the new image"


def test_who_applies_no_more_is_named(images: Images, tmp_path: Path) -> None:
    once = Contender(
        "once", "does it once", 'cp "$old" patch', f"test ! -e {tmp_path}/done && cat patch && touch {tmp_path}/done"
    )
    same = replace(images, new=images.old, hashes=(images.hashes[0], images.hashes[0]))
    with pytest.raises(Failed, match=r"does it once made a patch and cannot apply it again: exited 1: . Remove .*once"):
        result(Cache(tmp_path / "cache"), once, same)


def test_applying_has_no_access_to_the_new_image(images: Images, tmp_path: Path) -> None:
    cheat = Contender("cheat", "copies", "touch patch", 'cat "$new"')
    assert result(Cache(tmp_path), cheat, images).why == "what it made is not the new image"


def test_who_needs_too_much_memory_is_told_so(images: Images, tmp_path: Path) -> None:
    huge = Contender("huge", "huge", "false", "false", memory=1e9)
    assert "GiB of memory" in result(Cache(tmp_path), huge, images).why


def test_who_fails_is_told_with_its_last_words(images: Images, tmp_path: Path) -> None:
    broken = Contender("broken", "broken", "echo no room >&2; false | cat", "true")
    assert result(Cache(tmp_path), broken, images).why == "exited 1: no room"


def test_cpu_and_memory_of_every_process_are_counted(tmp_path: Path) -> None:
    program = "import time; held = b'x' * (100 << 20)\nwhile time.process_time() < 0.3: pass"
    busy = f'python3 -c "{program}"'
    cost, said = run(f"{busy} | cat; ({busy}) & wait; echo done", tmp_path, {}, 60)
    assert said == "done\n"
    assert cost.cpu >= 0.6
    assert 100 <= cost.mib < 160
    assert run("true", tmp_path, {}, 60)[0].mib < 40, "the peak of this process is not that of what it starts"


def test_what_is_made_here_is_measured_anew_when_it_changes(images: Images, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    own = Contender("own", "own", f"cat {program} >&2; false", "true", made_of=(program,))
    for said in ("first", "second"):
        program.write_text(said)
        assert result(Cache(tmp_path / "cache"), own, images).why == f"exited 1: {said}"
    assert all(one.made_of for one in contenders() if "$python" in one.make)


def test_who_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="not done after 0 s"):
        run("sleep 60 | cat", tmp_path, {}, 0.1)


def test_nothing_of_a_script_stays(tmp_path: Path) -> None:
    _, said = run("sleep 60 > /dev/null & echo $!", tmp_path, {}, 60)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(said)).wait(timeout=10)
