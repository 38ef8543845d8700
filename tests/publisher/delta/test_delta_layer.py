"""A layer of a container image: an archive, as docker keeps it, or compressed as a whole, as registries have it."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from otad.delta.patch import Patch
from tests.publisher.delta import trees
from tests.publisher.delta.test_delta_make import made

FILES, EDITED = 40, (7, 30)


def layer(*, version: int) -> bytes:
    """A tar archive. Of the new version two files are edited, and one is there before all others: everything moves."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number in range(2 - version, FILES):
            data = trees.noise(number, 20_000) + b"a line of text %d\n" % number * 500
            if version > 1 and number in EDITED:
                data = trees.edited(data, 2)
            info = tarfile.TarInfo(f"usr/lib/file{number}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def as_it_is(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize(("packed", "codecs"), [(as_it_is, 0), (trees.gzipped, 1)])
def test_a_layer_costs_what_changed(tmp_path: Path, packed: Callable[[bytes], bytes], codecs: int) -> None:
    old, new = tmp_path / "old.layer", tmp_path / "new.layer"
    old.write_bytes(packed(layer(version=1)))
    new.write_bytes(packed(layer(version=2)))
    delta, _ = made(old, new, tmp_path)
    fresh = 20_000 + 2000  # the file that is new: noise
    assert delta.stat().st_size < fresh + 2000
    with delta.open("rb") as file:
        header = Patch.opened(file).header
    assert len(header.pack) == len(header.unpack) == codecs


def test_a_layer_that_is_compressed_now_and_was_not_before(tmp_path: Path) -> None:
    old, new = tmp_path / "old.layer", tmp_path / "new.layer"
    old.write_bytes(layer(version=1))
    new.write_bytes(trees.gzipped(layer(version=2)))
    delta, ledger = made(old, new, tmp_path)
    assert delta.stat().st_size < 24_000
    assert {line.operation for line in ledger.lines} >= {"pack", "delta"}


def test_a_layer_that_nothing_makes_again_is_named(tmp_path: Path) -> None:
    for name, version in (("old", 1), ("new", 2)):
        (tmp_path / name).write_bytes(gzip.compress(layer(version=version), mtime=1))
    _, ledger = made(tmp_path / "old", tmp_path / "new", tmp_path)
    assert ledger.notes[-1].startswith("(the whole file): it tells a name or a time, which gzip -n leaves out")
