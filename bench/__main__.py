"""`make bench`: every figure into build/bench.json, and a table against the targets. `--quick`: small files, one round."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

import bench

COMES_BACK = ("panic", "root_corrupt", "root_wiped", "unbootable", "unhealthy")
"""Bad releases that otad judges itself, or that the boot loader or the kernel refuses."""
TARGETS: dict[str, tuple[str, float]] = {
    **{f"recovery_{name}_s": ("at most", 300) for name in COMES_BACK},
    "downtime_s": ("at most", 120),
    "torture_bricks": ("at most", 0),
    "torture_broken": ("at most", 0),
    "torture_qemu_bricks": ("at most", 0),
    "torture_qemu_broken": ("at most", 0),
    "install_overhead": ("at most", 1.10),
    "install_overhead_zstd": ("at most", 1.10),
    "download_vs_curl": ("at least", 0.8),
    "update_peak_rss_mib": ("at most", 90.0),
    "status_cpu_ms": ("at most", 200.0),
}


def modules() -> Iterator[str]:
    """Every module of this folder that measures; a folder in it has a target of its own."""
    return (found.name for found in pkgutil.iter_modules(bench.__path__) if not found.ispkg and not found.name.startswith("_"))


def met(name: str, value: float) -> str:
    """The target, and whether it is met; empty when there is none."""
    if name not in TARGETS:
        return ""
    side, target = TARGETS[name]
    good = value <= target if side == "at most" else value >= target
    return f"[{'green' if good else 'red'}]{side} {target:g}[/]"


def main() -> None:
    """Measure what is named, or everything; figures measured before and not now are kept."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(modules())}")
    arguments = parser.parse_args()
    console, figures = Console(), bench.merge({})
    for name in arguments.names or modules():
        with console.status(f"measuring {name}"):
            figures = bench.merge(importlib.import_module(f"bench.{name}").run(arguments.quick))
    table = Table("figure", "measured", "target", title=f"{bench.OUT}{' (quick: not to be quoted)' if arguments.quick else ''}")
    for name, value in sorted(figures.items()):
        table.add_row(name, f"{value:g}", met(name, value))
    console.print(table)


if __name__ == "__main__":
    main()
