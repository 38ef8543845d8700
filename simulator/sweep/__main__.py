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
from otad.statemachine import TABLE, Outcome, State
from simulator.sweep.explore import Explorer, Violation
from simulator.sweep.history import told
from simulator.sweep.properties import Residual
from simulator.sweep.scenario import Scenario
from simulator.sweep.starts import scenarios

BOUND = 3
PROCESSES = 2
RULES = 15  # of resume(), 0 to 14


class Explored(NamedTuple):
    """One scenario, explored. `seconds` of one core."""

    name: str
    states: int
    edges: int
    seconds: float
    boots: int
    met: frozenset[tuple[State, Outcome] | int]
    residuals: Counter[Residual]
    violation: Violation | None


def explored(scenario: Scenario, bound: int) -> Explored:
    """Explore `scenario`."""
    gc.set_threshold(100_000, 50, 1000)  # millions of tuples, none of them garbage
    began, explorer = time.process_time(), Explorer(scenario, bound)
    violation = explorer.explore()
    seconds = time.process_time() - began
    met = frozenset(explorer.met)
    return Explored(
        scenario.name, len(explorer.nodes), explorer.edges, seconds, explorer.boots, met, explorer.residuals, violation
    )


def main() -> None:
    """Explore everything."""
    parser = argparse.ArgumentParser(prog="python -m simulator.sweep", description=__doc__)
    parser.add_argument("--bound", type=int, default=BOUND, help="disruptive events in a history (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("only", nargs="?", default="", help="scenarios whose name has this in it")
    arguments = parser.parse_args()
    chosen = [scenario for scenario in scenarios() if arguments.only in scenario.name]
    print(f"{len(chosen)} scenarios, every history with at most {arguments.bound} disruptive events; rates are of one core\n")
    done = []
    with Pool(arguments.processes, maxtasksperchild=1) as pool:
        waiting = [pool.apply_async(explored, (scenario, arguments.bound)) for scenario in chosen]
        for one in (result.get() for result in waiting):
            done.append(one)
            print(f"{one.name:60} {one.states:>9,} states {one.edges:>10,} edges {one.states / one.seconds:>6,.0f}/s", flush=True)
    sys.exit(_summary(done, whole=not arguments.only and arguments.bound >= BOUND))


def _summary(done: list[Explored], *, whole: bool) -> int:
    states, edges, seconds = (sum(column) for column in zip(*((one.states, one.edges, one.seconds) for one in done), strict=True))
    violations = [one.violation for one in done if one.violation]
    rate = round(states / seconds)
    print(f"\n{states:,} states, {edges:,} edges, {rate:,} states/s, {len(violations)} violations")
    print(f"settled within {max(one.boots for one in done)} boots")
    residuals = sum((one.residuals for one in done), Counter[Residual]())
    for residual in Residual:
        print(f"residual, met {residuals[residual]:,} times: {residual.value}")
    for violation in violations:
        print(f"\n{told(violation)}")
    missing = _missing(done) if whole else []
    for what in missing:
        print(f"never met: {what}")
    if whole:
        bench.merge({"sweep_states": states, "sweep_states_per_s": rate, "sweep_violations": len(violations)})
    return 1 if violations or missing else 0


def _missing(done: list[Explored]) -> list[str]:
    """Edges of TABLE and rules of resume() that no scenario has taken."""
    edges = {(state, outcome) for state, ways in TABLE.items() for outcome in ways if outcome is not Outcome.SLEEP}
    unmet = (edges | set(range(RULES))) - {met for one in done for met in one.met}
    return sorted(f"rule {what}" if isinstance(what, int) else f"{what[0].value}: {what[1].value}" for what in unmet)


if __name__ == "__main__":
    main()
