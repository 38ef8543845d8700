"""Deltas of real images that are not ext4: by the bytes around the same place, and it is said."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.publisher.delta import trees
from tests.publisher.delta.test_delta_make import made

MAKERS = {
    "squashfs": "mksquashfs {tree} {image} -quiet -no-progress -noappend -all-root -comp zstd -mkfs-time 0 -all-time 0",
    "erofs": "mkfs.erofs --quiet -zlz4hc -T0 --all-root -U b0c2e5a4-5b71-4b3c-8ba5-3f1b1f6b1d11 {image} {tree}",
}
PACKAGES = {"mksquashfs": "squashfs-tools", "mkfs.erofs": "erofs-utils"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAKERS)
def test_an_image_of_another_kind_is_compared_by_place(kind: str, tmp_path: Path) -> None:
    tool = MAKERS[kind].split()[0]
    if not shutil.which(tool):
        pytest.skip(f"needs {tool} ({PACKAGES[tool]})")
    images = []
    for name, files in (("old", trees.older()), ("new", trees.newer())):
        trees.write(tmp_path / name, files)
        images.append(tmp_path / f"{name}.img")
        subprocess.run(MAKERS[kind].format(tree=tmp_path / name, image=images[-1]).split(), check=True, capture_output=True)
    delta, ledger = made(images[0], images[1], tmp_path)
    why = "image is not compared file by file: it has no ext4 superblock"
    assert ledger.notes == (f"the old {why}", f"the new {why}")
    assert delta.stat().st_size < images[1].stat().st_size / 10
