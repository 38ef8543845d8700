"""`make torture N=200 SEED=1`: N boards, from this seed on; exits 1 when one of them broke a promise, and keeps it.

`--prove` takes one fsync away at a time, and exits 1 when that is not found.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import bench
from simulator.torture import table
from simulator.torture.faults import FAULTS
from simulator.torture.plan import Mode, Plan, plan
from simulator.torture.prove import prove, shown
from simulator.torture.run import Result, Run
from simulator.torture.stock import Stock

KEPT = Path("build/torture")
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18


def main() -> None:
    """Torture; a table; the figures."""
    arguments = parsed()
    for name in ("asyncio", "aiohttp.server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a device that dies ends its connections rudely
    alone()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="ot-") as folder:  # short, as the path of SWUpdate's socket must be
        raise SystemExit(asyncio.run((_torture if arguments.prove is None else _prove)(arguments, Path(folder), console)))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="simulator.torture", description=__doc__)
    parser.add_argument("--runs", "-n", type=int, default=20, metavar="N", help="boards (20)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first board; the next has the next")
    parser.add_argument("--jobs", type=int, default=2, help="boards at a time (2)")
    parser.add_argument("--mode", type=Mode, choices=list(Mode), help="of every board, in place of its seed's own")
    parser.add_argument("--prove", nargs="?", const="", metavar="WORDS", help="take one fsync away at a time (one like this)")
    return parser.parse_args()


async def _torture(arguments: argparse.Namespace, folder: Path, console: Console) -> int:
    plans = [plan(seed, arguments.mode) for seed in range(arguments.seed, arguments.seed + arguments.runs)]
    began = time.monotonic()
    results: list[Result] = []
    try:
        async with Stock.served(folder / "stock") as stock:
            await torture(plans, arguments.jobs, stock, console, results)
    finally:  # whatever went wrong with one board, the others have ended
        for drawn in table.tables(results, time.monotonic() - began):
            console.print(drawn)
        bench.merge(table.figures(results))
    return int(any(result.broken for result in results))


async def torture(plans: Sequence[Plan], jobs: int, stock: Stock, console: Console, results: list[Result]) -> None:
    """A board for each plan, told and put into `results` as they end. Ctrl-C ends it early, with what there is by then."""
    waiting = iter(plans)

    async def work() -> None:
        for planned in waiting:
            results.append(await one(planned, stock))
            console.print(table.line(results[-1]), soft_wrap=True)

    workers = [asyncio.create_task(work()) for _ in range(jobs)]
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lambda: [worker.cancel() for worker in workers])
    await asyncio.wait(workers)  # each cuts the power of its board before it ends
    if any(worker.cancelled() for worker in workers):
        console.print("[yellow]stopped early[/]")
    for worker in workers:
        if not worker.cancelled():
            worker.result()


async def one(planned: Plan, stock: Stock) -> Result:
    """One board; kept when it broke a promise."""
    place = stock.folder / str(planned.seed)
    try:
        return await Run(planned, stock, place, keep=KEPT / str(planned.seed)).whole()
    finally:
        shutil.rmtree(place)


async def _prove(arguments: argparse.Namespace, folder: Path, console: Console) -> int:
    faults = [fault for fault in FAULTS if arguments.prove in fault.name]
    async with Stock.served(folder / "stock") as stock:
        proofs = await prove(faults, arguments.seed, arguments.jobs, stock, console)
    console.print(shown(proofs))
    return int(any(proof.boards is None for proof in proofs))


def alone() -> None:
    """A mount namespace of our own: whatever happens to this process, its disks go with it. Exits where that cannot be."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        raise SystemExit(f"torture needs root, for a mount namespace: {os.strerror(ctypes.get_errno())}")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise SystemExit("torture needs /dev/fuse, for disks that forget")


if __name__ == "__main__":
    main()
