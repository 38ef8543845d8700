"""`make torture-qemu N=100 SEED=1 T=3600`.

Rules:
 1. It goes on where it was stopped: what a seed came to is kept in build/torture-qemu, and is not run again unless it broke, or
    the board or otad is another since.
 2. The card of one that broke is kept there too, whole, with all that its console and its system log said.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import bench
from simulator.qemu import shelf
from simulator.qemu.board import whole
from simulator.qemu.cache import Cache
from simulator.qemu.fleet import Fleet
from simulator.qemu.shelf import Moment
from simulator.qemu.tools import NotReady
from simulator.qemu.torture.plan import GOOD, RELEASES, Plan
from simulator.qemu.torture.run import Result, run

KEPT = Path("build/torture-qemu")


def main() -> None:
    """Torture; a table; the figures. Exits 1 when a device did not end as it must."""
    parser = argparse.ArgumentParser(prog="make torture-qemu", description=__doc__)
    parser.add_argument("--runs", "-n", type=int, default=10, metavar="N", help="devices (10)")
    parser.add_argument("--seed", type=int, default=1, help="of the first device; the next has the next (1)")
    parser.add_argument("--seconds", type=float, default=3600, metavar="T", help="after which no run begins any more (3600)")
    given = parser.parse_args()
    until, console = time.monotonic() + given.seconds, Console(highlight=False)
    try:
        moments = {"settled": shelf.settled(Cache.default()), "committed": shelf.committed(Cache.default())}
        results = _results(range(given.seed, given.seed + given.runs), until, moments, console)
    except NotReady as error:
        raise SystemExit(str(error)) from None
    console.print(_table(results))
    broken = sum(bool(result.broken) for result in results)
    bricks = sum(result.brick for result in results)
    bench.merge({"torture_qemu_runs": len(results), "torture_qemu_bricks": bricks, "torture_qemu_broken": broken})
    raise SystemExit(int(broken > 0))


def _results(seeds: range, until: float, moments: Mapping[str, Moment], console: Console) -> list[Result]:
    """What is known of these seeds, and then what is not, until the time is over. Raises NotReady."""
    KEPT.mkdir(parents=True, exist_ok=True)
    notes = KEPT / f"{moments['committed'].folder.name}.jsonl"  # named by all that the board is made of
    before = [Result(**json.loads(line)) for line in notes.read_text().splitlines()] if notes.exists() else []
    known = [result for result in before if result.seed in seeds and not result.broken]
    plans = [Plan.of(seed) for seed in seeds if seed not in {result.seed for result in known}]
    with tempfile.TemporaryDirectory(prefix="otad-fleet-") as folder:
        fleet = moments["committed"].fleet(Path(folder) / "fleet")
        for version in {plan.version for plan in plans}:
            fleet.offer(version, RELEASES[version])
        with fleet.serving():
            return known + asyncio.run(_torture(plans, until, moments, fleet, console, notes))


async def _torture(
    plans: Sequence[Plan], until: float, moments: Mapping[str, Moment], fleet: Fleet, console: Console, notes: Path
) -> list[Result]:
    results: list[Result] = []
    for plan in plans:
        if time.monotonic() > until:
            console.print(f"time is over; {len(plans) - len(results)} runs are left for the next time")
            break
        with tempfile.TemporaryDirectory(prefix="otad-torture-") as folder:
            result = await run(plan, moments[plan.start], fleet, Path(folder))
            if result.broken:
                _keep(Path(folder), KEPT / str(plan.seed))
        results.append(result)
        console.print(_line(result), soft_wrap=True)
        with notes.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")
    return results


def _keep(folder: Path, to: Path) -> None:
    """What is left of a device; its card needs no other file then."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    for drive in folder.glob("*.qcow2"):
        whole(drive, to / drive.name)


def _line(result: Result) -> str:
    how = f"[red]{escape(result.broken)}[/]" if result.broken else f"slot {result.slot}"
    return f"{result.seed:>8} {result.start:<10} {result.version}  {result.cuts} cuts {result.seconds:5.0f} s  {how}"


def _table(results: Sequence[Result]) -> Table:
    table = Table(title="How the devices ended", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("release", "runs", "cuts", "bricks", "broken"):
        table.add_column(name, justify="left" if name == "release" else "right")
    for version in sorted({result.version for result in results}):
        of = [result for result in results if result.version == version]
        sums = (len(of), sum(r.cuts for r in of), sum(r.brick for r in of), sum(bool(r.broken) for r in of))
        table.add_row(f"{version} {'good' if version == GOOD else 'bad'}", *map(str, sums))
    return table


if __name__ == "__main__":
    main()
