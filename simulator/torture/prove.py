"""Is torture worth anything? Boards on disks that forget one fsync of the product, until a promise breaks."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulator.torture.faults import FAULTS, Fault
from simulator.torture.plan import Mode, plan
from simulator.torture.run import Run
from simulator.torture.stock import Stock

BOARDS = 12  # under one fault at most


@dataclass(frozen=True)
class Proof:
    """The fault, after how many boards it was found, and by which broken promise; None and "": it was not."""

    fault: Fault
    boards: int | None
    broken: str = ""


async def prove(faults: Sequence[Fault], seed: int, jobs: int, stock: Stock, console: Console) -> list[Proof]:
    """Each fault with the same boards, from a seed on; told as they are found."""
    waiting, proofs = iter(faults), list[Proof]()

    async def work() -> None:
        for fault in waiting:
            proofs.append(await _hunt(fault, seed, stock))
            console.print(line(proofs[-1]), soft_wrap=True)

    await asyncio.gather(*(work() for _ in range(jobs)))
    return sorted(proofs, key=lambda proof: faults.index(proof.fault))


async def _hunt(fault: Fault, seed: int, stock: Stock) -> Proof:
    for number in range(BOARDS):
        place = stock.folder / f"f{FAULTS.index(fault)}-{number}"
        try:
            result = await Run(plan((fault.near or seed) + number, Mode.LOSSY), stock, place, fault.deaf).whole()
        finally:
            shutil.rmtree(place)
        if result.broken:
            return Proof(fault, number + 1, result.why)
    return Proof(fault, None)


def line(proof: Proof) -> str:
    """One fault."""
    return f"{proof.fault.name}: {f'board {proof.boards}: {escape(proof.broken)}' if proof.boards else '[red]not found[/]'}"


def shown(proofs: Sequence[Proof]) -> Table:
    """For people."""
    table = Table(title="One fsync taken away", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("not synced", "asked for in", "found after", "by"):
        table.add_column(name)
    for proof in proofs:
        found = f"{proof.boards} board{'s' * (proof.boards != 1)}" if proof.boards else f"[red]not in {BOARDS}[/]"
        table.add_row(proof.fault.name, proof.fault.where, found, escape(proof.broken))
    return table
