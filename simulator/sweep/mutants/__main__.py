"""`make mutants`: each fault, and what the sweep sees of it. Exits 1 when one survives; figures into build/bench.json."""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import Pool

from rich.console import Console
from rich.table import Table

import bench
from simulator.sweep.mutants.hunt import BOUND, Hunted, hunt, mutants

PROCESSES = 2


def main() -> None:
    """Hunt them all."""
    parser = argparse.ArgumentParser(prog="python -m simulator.sweep.mutants", description=__doc__)
    parser.add_argument("--bound", type=int, default=BOUND, help="disruptive events in a history (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("only", nargs="?", default="", help="mutants whose name has this in it")
    arguments = parser.parse_args()
    names = [mutant.name for mutant in mutants() if arguments.only in mutant.name]
    began, hunted = time.perf_counter(), []
    with Pool(arguments.processes) as pool:
        waiting = [pool.apply_async(hunt, (name, arguments.bound)) for name in names]
        for one in (result.get() for result in waiting):
            hunted.append(one)
            print(f"{one.mutant:42} {one.seen or 'survives'}", flush=True)
    counted = [one for one in hunted if not one.equivalent]
    caught = sum(one.right for one in counted)
    Console(width=220).print(_table(hunted))
    print(f"{caught} of {len(counted)} are caught, {time.perf_counter() - began:,.0f} s")
    if not arguments.only:
        bench.merge({"mutants": len(counted), "mutants_caught": caught})
    sys.exit(not all(one.right for one in hunted))


def _table(hunted: list[Hunted]) -> Table:
    table = Table("mutant", "what it breaks", "caught by", "events", "after states")
    for one in hunted:
        seen = one.seen or (f"equivalent: {one.equivalent}" if one.equivalent else "[red]SURVIVES[/]")
        table.add_row(one.mutant, one.breaks, seen, str(one.events), f"{one.states:,}")
    return table


if __name__ == "__main__":
    main()
