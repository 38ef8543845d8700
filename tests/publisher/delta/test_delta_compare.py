"""What comparing makes: operations that the decoder turns into the new bytes, and copies where nothing differs."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otad.delta.apply import apply
from otad.delta.format import Limits
from otad.delta.ops import Copy, Delta, Extent
from otad.delta.patch import Patch
from otad.delta.places import Image
from otad.delta.spool import Spool
from otad.delta.streams import Segment
from otad.publisher.delta import compare
from otad.publisher.delta.compare import LONG, Candidate, Step, compared
from otad.publisher.delta.covers import by_bsdiff
from tests.delta.making import patch

OLD = Random(5).randbytes(6 * LONG)
EXTENTS = (Extent(700, 2 * LONG + 5), Extent(9 * LONG, 4 * LONG - 5))
IMAGE = bytes(700) + OLD[: 2 * LONG + 5] + bytes(7 * LONG - 705) + OLD[2 * LONG + 5 :]
LIMITS = Limits(segment=1 << 20, frame=1 << 20, window=1 << 20, output=1 << 20, codecs=0, spool=0)


def decoded(made: list[Step], new: bytes, folder: Path) -> bytes:
    streams = (b"".join(getattr(one, stream) for one in made) for stream in ("controls", "diff", "extra"))
    data = patch(IMAGE, new, [Segment(tuple(one.op for one in made), *streams)], limits=LIMITS)
    (folder / "image").write_bytes(IMAGE)
    (folder / "patch").write_bytes(data)
    with (folder / "patch").open("rb") as file, (folder / "image").open("rb") as image, Spool(str(folder), 0) as spool:
        return b"".join(apply(Patch.opened(file), Image(image, len(IMAGE)), spool))


def test_what_is_the_same_for_long_is_copied_over_the_end_of_an_extent_too(tmp_path: Path) -> None:
    at = 3 * LONG
    new = OLD[:at] + b"something else" + OLD[at + 14 :]
    made = compared(new, Candidate(EXTENTS, OLD), by_bsdiff)
    assert [type(one.op) for one in made] == [Copy, Copy, Delta, Copy]
    assert sum(one.op.length for one in made if isinstance(one.op, Delta)) <= 14 + 2 * compare.PAGE
    assert decoded(made, new, tmp_path) == new


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, len(OLD)), st.integers(0, 3 * LONG), st.binary(max_size=9)), max_size=6))
def test_whatever_is_the_same_the_new_bytes_come_out(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int, bytes]]
) -> None:
    new = b"".join(OLD[at : at + length] + other for at, length, other in parts) or b"new"
    made = compared(new, Candidate(EXTENTS, OLD), by_bsdiff)
    assert decoded(made, new, tmp_path_factory.mktemp("decoded")) == new
