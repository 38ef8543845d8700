# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The disk that forgets: what was synced is there after a cut, what was not may be gone, and nothing else is ever found."""

import random
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.torture.medium import PAGE, File, Folder, Link, Medium

REGULAR, FOLDER = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755
ALL_LOST, ALL_KEPT = 0.0, 1.0


def new(medium, name=b"f"):
    file = File(REGULAR)
    medium.root.change({name: file})
    return file


def found(medium):
    file = medium.root.now[b"f"]
    assert isinstance(file, File)
    return file.now


def cut(medium, odds=ALL_LOST, seed=1):
    return medium.cut(odds, random.Random(seed))


def test_bytes_and_name_are_durable_each_for_itself():
    medium = Medium()
    file = new(medium)
    file.write(0, b"bytes")
    medium.sync(file)
    assert cut(medium) == ["./: f"]
    assert not medium.root.now


def test_a_name_that_was_synced_may_lead_to_nothing():
    medium = Medium()
    new(medium).write(0, b"bytes")
    medium.sync(medium.root)
    assert cut(medium) == ["f: 1 of 1 pages"]
    assert found(medium) == b""


def test_what_was_synced_stays():
    medium = Medium()
    file = new(medium)
    file.write(0, b"bytes")
    medium.sync(file)
    medium.sync(medium.root)
    file.write(0, b"later")
    assert cut(medium) == ["f: 1 of 1 pages"]
    assert found(medium) == b"bytes"


def test_everything_may_stay_without_a_sync():
    medium = Medium()
    new(medium).write(PAGE, b"x")
    assert cut(medium, ALL_KEPT) == []
    assert found(medium) == bytes(PAGE) + b"x"


def test_a_rename_is_there_whole_or_not_at_all():
    medium = Medium()
    file, link = new(medium, b"old"), Link(stat.S_IFLNK | 0o777, target=b"old")
    medium.settle()
    medium.root.change({b"old": None, b"new": file})
    medium.root.change({b"link": link})
    names = set()
    for seed in range(64):
        copy = Medium(medium.root)
        cut(copy, 0.5, seed)
        names.add(frozenset(copy.root.now))
    assert names == {frozenset({b"old"}), frozenset({b"new"}), frozenset({b"new", b"link"})}


def test_what_was_cut_short_comes_back():
    medium = Medium()
    file = new(medium)
    file.write(0, b"a" * 3 * PAGE)
    medium.settle()
    file.truncate(1)
    cut(medium)
    assert found(medium) == b"a" * 3 * PAGE


def test_a_folder_below_an_unsynced_name_goes_with_it():
    medium = Medium()
    folder = Folder(FOLDER)
    medium.root.change({b"d": folder})
    file = File(REGULAR)
    folder.change({b"f": file})
    for node in (file, folder):
        medium.sync(node)
    assert file.place == "d/f"
    cut(medium)
    assert not medium.root.now


def test_a_deaf_disk_forgets_what_it_was_asked_to_keep():
    medium = Medium(deaf=("f",))
    file = new(medium)
    file.write(0, b"bytes")
    medium.sync(file)
    medium.sync(medium.root)
    assert cut(medium) == ["f: 1 of 1 pages"]


@pytest.mark.parametrize("seed", range(3))
@given(
    st.lists(st.one_of(st.tuples(st.integers(0, 5 * PAGE), st.binary(max_size=2 * PAGE)), st.integers(0, 6 * PAGE), st.none())),
    st.floats(0, 1),
)
def test_each_page_is_as_it_was_synced_or_as_it_was_written_last(seed, acts, odds):
    """Acts: write at an offset, truncate to a size, sync."""
    medium, plain, synced = Medium(), bytearray(), b""
    file = new(medium)
    medium.sync(medium.root)
    for act in acts:
        if act is None:
            medium.sync(file)
            synced = bytes(plain)
        elif isinstance(act, int):
            del plain[act:]
            plain.extend(bytes(act - len(plain)))
            file.truncate(act)
        else:
            offset, data = act
            plain.extend(bytes(max(0, offset - len(plain))))
            plain[offset : offset + len(data)] = data
            file.write(offset, data)
        assert file.now == plain
    cut(medium, odds, seed)
    left = found(medium)
    assert len(left) in {len(plain), len(synced)}
    for page in range(0, len(left), PAGE):
        end = min(page + PAGE, len(left))
        versions = [bytes(was[page:end]).ljust(end - page, b"\0") for was in (plain, synced)]
        mixed = (
            bytes(plain[page:end]) + synced[page + len(plain[page:end]) : end]
        )  # its bytes, over a longer page that was synced
        assert bytes(left[page:end]) in [*versions, mixed.ljust(end - page, b"\0")]
