"""`make fuzz T=20`: each parser for T seconds, and what was tried into build/bench.json.

Coverage-guided by atheris where that is installed (`pip install atheris`); else by dice over the same seeds. A finding is printed
with its bytes, kept in build/fuzz/, and ends the run with exit status 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import bench
from tests.fuzz.mutate import LONGEST, mutant
from tests.fuzz.targets import TARGETS

KEPT = Path("build/fuzz")
MEMORY_MIB = 1024
SLOWEST = 20.0  # seconds for one input


class Hangs(BaseException):  # no Exception, which a parser might take for one of its own
    """An input is not done with in time."""


def main() -> None:
    """All targets, or those named."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(TARGETS)}")
    arguments = parser.parse_args()
    logging.disable()  # what a device says of bad input
    able = importlib.util.find_spec("atheris") is not None
    print("engine:", "atheris, guided by coverage" if able else "dice over the seeds (atheris is not installed)")
    tried = 0
    for name in arguments.names or TARGETS:
        count = (steered if able else diced)(name, arguments.seconds)
        print(f"  {name:<18} {count:>9} inputs", flush=True)
        tried += count
    bench.merge({"fuzz_inputs": tried})
    print(f"fuzz_inputs {tried}, no finding")


def diced(name: str, seconds: float) -> int:
    """Mutants by dice for that long; how many."""
    target, dice, tried, end = TARGETS[name], random.Random(time.time_ns()), 0, time.monotonic() + seconds
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MIB << 20, MEMORY_MIB << 20))
    while time.monotonic() < end:
        data = mutant(dice.choice(target.seeds), dice)
        try:
            with _in_time():
                target.run(data)
        except (Exception, Hangs):
            KEPT.mkdir(parents=True, exist_ok=True)
            file = KEPT / f"{name}-{sha256(data).hexdigest()[:12]}"
            file.write_bytes(data)
            print(f"FOUND: {name}, {file}: {data[:200]!r}")
            raise
        tried += 1
    return tried


@contextmanager
def _in_time() -> Iterator[None]:
    """Raises Hangs where the block is after SLOWEST seconds."""

    def rings(*_: object) -> None:
        raise Hangs(f"more than {SLOWEST:g} s")

    handler = signal.signal(signal.SIGALRM, rings)
    timer = signal.setitimer(signal.ITIMER_REAL, SLOWEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


def steered(name: str, seconds: int) -> int:
    """One target under atheris; how many inputs it ran."""
    seeds = KEPT / "seeds" / name
    seeds.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds):
        (seeds / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-timeout={SLOWEST:g}", f"-rss_limit_mb={MEMORY_MIB}", "-print_final_stats=1"]
    places = [f"-artifact_prefix={KEPT}/{name}-", f"-max_len={LONGEST}", str(seeds)]
    command = [sys.executable, "-m", "tests.fuzz.guided", name, *options, *places]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], sep="\n")
        raise SystemExit(f"FOUND: {name}, see {KEPT}/")
    runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    return int(runs[-1]) if runs else 0


if __name__ == "__main__":
    main()
