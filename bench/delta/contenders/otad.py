"""Ours: what `otarepo delta` makes and a device applies, by the same functions."""

from __future__ import annotations

import sys
from pathlib import Path

import otad
from bench.delta import applied
from bench.delta.contenders import Contender

_OTAD = Path(otad.__file__).parent
GENERATOR = (_OTAD / "delta", _OTAD / "publisher" / "delta")
"""What a patch of ours depends on."""

CONTENDERS = (
    Contender(
        "otad",
        "otad",
        f'"$python" -m {__name__} "$old" patch "$new"',
        f'"$python" -m {applied.__name__} "$old" patch',
        checks_old=True,
        checks_new=True,
        made_of=GENERATOR,
        libraries=("bsdiff4", "hdiffpatch", "zstandard"),
    ),
)


def make(old: Path, patch: Path, new: Path) -> None:
    """The patch, proved as `otarepo delta` proves it."""
    from otad.publisher.delta.make import Payload, make  # noqa: PLC0415  # who lists the contenders does not need the generator
    from otad.publisher.delta.proof import proved  # noqa: PLC0415

    scratch = patch.with_suffix(".scratch")
    scratch.mkdir()
    before, after = Payload.of(old), Payload.of(new)
    with patch.open("wb") as out:
        make(before, after, out, scratch)
    proved(before, after, patch, scratch)


if __name__ == "__main__":
    make(*map(Path, sys.argv[1:]))
