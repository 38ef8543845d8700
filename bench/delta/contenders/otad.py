"""Ours: what `otarepo delta` makes and a device applies, by the same functions."""

from __future__ import annotations

import sys
from pathlib import Path

import otad
from bench.delta.contenders import Contender

_RUN = f'"$python" -m {__name__}'

_OTAD = Path(otad.__file__).parent
GENERATOR = (_OTAD / "delta", _OTAD / "publisher" / "delta")
"""What a patch of ours depends on."""

CONTENDERS = (
    Contender(
        "otad",
        "otad",
        f'{_RUN} make "$old" patch "$new"',
        f'{_RUN} apply "$old" patch',
        checks_old=True,
        checks_new=True,
        made_of=GENERATOR,
    ),
)


def make(old: Path, patch: Path, new: Path) -> None:
    """The patch, proved as `otarepo delta` proves it."""
    from otad.publisher.delta.make import Payload, make  # noqa: PLC0415  # the process that applies does not load the generator
    from otad.publisher.delta.proof import proved  # noqa: PLC0415

    scratch = patch.with_suffix(".scratch")
    scratch.mkdir()
    before, after = Payload.of(old), Payload.of(new)
    with patch.open("wb") as out:
        make(before, after, out, scratch)
    proved(before, after, patch, scratch)


def apply(old: Path, patch: Path) -> None:
    """Check the old image, then the new one to stdout."""
    from otad.delta.apply import apply, check  # noqa: PLC0415
    from otad.delta.patch import Patch  # noqa: PLC0415
    from otad.delta.places import Image  # noqa: PLC0415

    with patch.open("rb") as file, old.open("rb") as opened:
        patched, image = Patch.opened(file), Image(opened, old.stat().st_size)
        for _ in check(patched, image):
            pass
        for piece in apply(patched, image, str(patch.parent)):
            sys.stdout.buffer.write(piece)


if __name__ == "__main__":
    verb, *given = sys.argv[1:]
    if verb == "make":
        make(Path(given[0]), Path(given[1]), Path(given[2]))
    else:
        apply(Path(given[0]), Path(given[1]))
