"""Compressors that a patch names take no more memory than they say: a device has set aside no more."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMPRESSING = """
import os, sys
from pathlib import Path
from otad.delta.codecs import compressor

PIECE = 1 << 16


def peak(process):
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


name, length = sys.argv[1], int(sys.argv[2])
found = compressor(name)
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: proc(5)
before = peak("self")
packer = found.begin(length)
for at in range(0, length, PIECE):
    packer.write(os.urandom(PIECE) if sys.argv[3] == "noise" else os.urandom(PIECE // 2).hex().encode())
child = peak(packer._process.pid) if hasattr(packer, "_process") else 0
for _ in packer.finish():
    pass
packer.close()
took = peak("self") - before + child
own = 1 << 20  # pieces on their way, of which the format has its own account
assert took <= found.memory(length) + own, (took, found.memory(length))
"""


@pytest.mark.slow
@pytest.mark.parametrize("content", ["noise", "text"])
@pytest.mark.parametrize("length", [1 << 20, 24 << 20])
@pytest.mark.parametrize(
    "name",
    [
        "gzip -n -6",
        "gzip -n -9",
        "xz --check=crc32 --lzma2=preset=0,dict=1024KiB",
        *(
            f"{maker} {threads} -{level}"
            for maker in ("zstd", "libzstd")
            for threads in ("--single-thread", "-T1")
            for level in (1, 3)
        ),
    ],
)
def test_it_takes_what_it_says(name: str, length: int, content: str) -> None:
    subprocess.run([sys.executable, "-c", COMPRESSING, name, str(length), content], check=True, timeout=100)
