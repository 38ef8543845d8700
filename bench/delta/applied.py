"""A patch applied as a device applies it: this module's process loads the decoder, and nothing of the benchmark.

Its output is a pipe of 1 MiB, as that which feeds SWUpdate (`otad/encoding/pump.py`).
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from otad.delta.apply import apply, check
from otad.delta.patch import Patch
from otad.delta.places import opened
from otad.delta.spool import Spool

PIPE = 1 << 20  # bytes


def main(old: Path, patch: Path) -> None:
    """Check the old image, then the new one to stdout, which is a pipe."""
    fcntl.fcntl(sys.stdout, fcntl.F_SETPIPE_SZ, PIPE)
    with patch.open("rb") as file:
        patched = Patch.opened(file)
        limits = patched.header.limits
        with opened(old, patched.header.source.length) as base, Spool(os.fspath(patch.parent), limits.spool) as spool:
            for _ in check(patched, base):
                pass
            for piece in apply(patched, base, spool):
                sys.stdout.buffer.write(piece)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
