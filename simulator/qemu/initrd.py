"""An initial file system: arm64's busybox, drivers in the order in which they are loaded, and what else is put in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from simulator.qemu.tools import run

TOOLS = {"depmod": "kmod", "cpio": "cpio"}
APPLETS = ("sh", "mount", "insmod", "cat", "sleep", "switch_root")


def kernel(tree: Path) -> Path:
    """The kernel of an unpacked Debian."""
    (found,) = (tree / "boot").glob("vmlinuz-*")
    return found


def write(tree: Path, drivers: Sequence[str], files: Mapping[str, Path], out: Path, log: Path) -> None:
    """Write `out` from the unpacked Debian `tree`: its busybox, its `drivers` and what they need, and {path within: file}."""
    stage = out.with_suffix(".stage")
    for folder in ("bin", "modules", "dev", "proc", "sys", "root"):
        (stage / folder).mkdir(parents=True)
    modules = _indexed(tree, out.with_suffix(".index"), log)
    needs = (modules / "modules.dep").read_text()
    order = list(dict.fromkeys(file for name in drivers for file in _with_needs(needs, name)))
    for file in order:
        shutil.copy(modules / file, stage / "modules")
    (stage / "modules" / "order").write_text("".join(f"{Path(file).name}\n" for file in order))
    shutil.copy(tree / "bin" / "busybox", stage / "bin")
    for applet in APPLETS:
        (stage / "bin" / applet).symlink_to("busybox")
    for place, source in files.items():
        (stage / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, stage / place)
    with out.open("wb") as archive:
        names = "\n".join(str(path.relative_to(stage)) for path in sorted(stage.rglob("*")))
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(), cwd=stage, stdout=archive, check=True)
    shutil.rmtree(stage)
    shutil.rmtree(out.with_suffix(".index"))


def _indexed(tree: Path, index: Path, log: Path) -> Path:
    """The folder of the kernel's modules with their modules.dep. `tree` is others' as well: what is made comes below `index`."""
    version = kernel(tree).name.removeprefix("vmlinuz-")
    modules = index / "lib" / "modules" / version
    modules.mkdir(parents=True)
    for found in (tree / "lib" / "modules" / version).iterdir():
        (modules / found.name).symlink_to(found)
    run(["depmod", "-b", index, version], tree, log)
    return modules


def _with_needs(needs: str, name: str) -> Iterator[str]:
    """The files of a module in the lines of modules.dep: first those that it needs; none when it is built in."""
    for line in needs.splitlines():
        file, before = line.split(":")
        if Path(file).name.split(".")[0].replace("-", "_") == name.replace("-", "_"):
            yield from reversed(before.split())
            yield file
