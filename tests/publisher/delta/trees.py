"""Small root file systems that are one update apart, as real ext4 images."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Mapping
from pathlib import Path


def noise(seed: int, length: int) -> bytes:
    """Bytes that no compressor makes smaller."""
    return random.Random(seed).randbytes(length)


def edited(data: bytes, seed: int, count: int = 20) -> bytes:
    """`data` with some insertions, deletions and changes."""
    rng, out = random.Random(seed), bytearray(data)
    for _ in range(count):
        at = rng.randrange(len(out))
        out[at : at + rng.randrange(8)] = rng.randbytes(rng.randrange(8))
    return bytes(out)


def cpio(files: Mapping[str, bytes]) -> bytes:
    """A cpio archive, as an initrd is one."""
    out = b""
    for name, data in [*files.items(), ("TRAILER!!!", b"")]:
        encoded = name.encode() + b"\0"
        out += b"070701" + b"%08x" * 13 % (1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0) + encoded
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out + bytes(-len(out) % 512)


def gzipped(data: bytes, level: int = 6) -> bytes:
    """By gzip(1), which zlib does not equal."""
    return subprocess.run(["gzip", "-n", f"-{level}"], input=data, stdout=subprocess.PIPE, check=True).stdout


def module(data: bytes) -> bytes:
    """Compressed as the kernel compresses its modules (scripts/Makefile.modinst)."""
    command = ["xz", "-T1", "--check=crc32", "--lzma2=dict=1MiB"]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def write(tree: Path, files: Mapping[str, bytes]) -> None:
    """Put files into a tree."""
    for name, data in files.items():
        assert not name.startswith("/"), "it would be put into this machine"
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)


def ext4(tree: Path, image: Path, size: str = "24M", *options: str) -> Path:
    """An ext4 image of a tree, by mke2fs."""
    image.unlink(missing_ok=True)
    fixed = ["-U", "b0c2e5a4-5b71-4b3c-8ba5-3f1b1f6b1d11", "-E", "hash_seed=b0c2e5a4-5b71-4b3c-8ba5-3f1b1f6b1d12"]
    command = ["mke2fs", "-q", "-t", "ext4", *fixed, *options, "-d", str(tree), str(image), size]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "E2FSPROGS_FAKE_TIME": "1577836800"})
    return image


def older() -> dict[str, bytes]:
    """What the older one holds."""
    program, driver = noise(1, 300_000), noise(2, 120_000)
    return {
        "usr/bin/camera": program,
        "usr/share/same": noise(3, 400_000),
        "usr/lib/modules/6.1.0-37/wifi.ko": driver,
        "usr/lib/modules/6.1.0-37/gpu.ko.xz": module(noise(4, 200_000)),
        "boot/initrd-6.1.0-37": gzipped(cpio({"init": noise(5, 300_000), "wifi.ko": driver})),
        **{f"etc/{i}.conf": f"# setting {i}\nvalue = {i}\n".encode() * 20 for i in range(200)},
    }


def newer() -> dict[str, bytes]:
    """And the newer one: edited files, a new kernel in a new directory, one file more, one less."""
    files = older()
    driver = edited(files.pop("usr/lib/modules/6.1.0-37/wifi.ko"), 6)
    files.pop("usr/lib/modules/6.1.0-37/gpu.ko.xz")
    files.pop("boot/initrd-6.1.0-37")
    files.pop("etc/7.conf")
    return {
        **files,
        "usr/bin/camera": edited(files["usr/bin/camera"], 7),
        "usr/lib/modules/6.1.0-38/wifi.ko": driver,
        "usr/lib/modules/6.1.0-38/gpu.ko.xz": module(edited(noise(4, 200_000), 8)),
        "boot/initrd-6.1.0-38": cpio({"microcode": noise(9, 2000)})
        + gzipped(cpio({"init": edited(noise(5, 300_000), 10), "wifi.ko": driver})),
        "etc/9.conf": b"# setting 9\nvalue = 10\n" * 20,
        "usr/bin/more": noise(11, 5000),
    }
