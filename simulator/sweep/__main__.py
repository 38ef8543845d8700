"""`make sweep`: the whole exploration, a line for each scenario; figures into build/bench.json. Exits 1 on a violation."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter
from multiprocessing import Pool
from typing import NamedTuple

import bench
from simulator.sweep.explore import Explorer, Violation
from simulator.sweep.history import told
from simulator.sweep.properties import Residual
from simulator.sweep.scenario import Scenario
from simulator.sweep.starts import scenarios

BOUND = 3
PROCESSES = 2


class Explored(NamedTuple):
    """One scenario, explored."""

    name: str
    states: int
    edges: int
    seconds: float
    residuals: Counter[Residual]
    violation: Violation | None


def explored(scenario: Scenario, bound: int) -> Explored:
    """Explore `scenario`."""
    gc.set_threshold(100_000, 50, 1000)  # millions of tuples, none of them garbage
    began, explorer = time.perf_counter(), Explorer(scenario, bound)
    violation = explorer.explore()
    seconds = time.perf_counter() - began
    return Explored(scenario.name, len(explorer.nodes), explorer.edges, seconds, explorer.residuals, violation)


def main() -> None:
    """Explore everything."""
    parser = argparse.ArgumentParser(prog="python -m simulator.sweep", description=__doc__)
    parser.add_argument("--bound", type=int, default=BOUND, help="disruptive events in a history (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("only", nargs="?", default="", help="scenarios whose name has this in it")
    arguments = parser.parse_args()
    chosen = [scenario for scenario in scenarios() if arguments.only in scenario.name]
    print(f"{len(chosen)} scenarios, every history with at most {arguments.bound} disruptive events\n")
    began, done = time.perf_counter(), []
    with Pool(arguments.processes, maxtasksperchild=1) as pool:
        waiting = [pool.apply_async(explored, (scenario, arguments.bound)) for scenario in chosen]
        for one in (result.get() for result in waiting):
            done.append(one)
            print(f"{one.name:60} {one.states:>9,} states {one.edges:>10,} edges {one.states / one.seconds:>6,.0f}/s", flush=True)
    sys.exit(_summary(done, time.perf_counter() - began, whole=not arguments.only))


def _summary(done: list[Explored], seconds: float, *, whole: bool) -> int:
    states, edges = sum(one.states for one in done), sum(one.edges for one in done)
    violations = [one.violation for one in done if one.violation]
    residuals = sum((one.residuals for one in done), Counter[Residual]())
    print(
        f"\n{states:,} states, {edges:,} edges, {states / seconds:,.0f} states/s, {len(violations)} violations, {seconds:,.0f} s"
    )
    for residual in Residual:
        print(f"residual, met in {residuals[residual]:,} states: {residual.value}")
    for violation in violations:
        print(f"\n{told(violation)}")
    if whole:
        bench.merge({"sweep_states": states, "sweep_states_per_s": round(states / seconds), "sweep_violations": len(violations)})
    return 1 if violations else 0


if __name__ == "__main__":
    main()
