"""`make demo`: a good update and a bad one, live, on the fast board. What it made stays in build/demo, to be looked at."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table

from otad.bootenv import Slot
from otad.journal import JournalError
from otad.journal.reader import Reader
from simulator.bootloader import Stop
from simulator.depot import Depot
from simulator.fastboard import FastBoard
from simulator.system import System

FACTORY, GOOD, BAD = System("1.0.0"), System("1.1.0"), System("1.2.0", healthy=False)
POLL = 0.05  # seconds
WIDTHS: tuple[tuple[int | None, JustifyMethod], ...] = ((11, "right"), (11, "left"), (8, "right"), (None, "left"))
MEANS = {
    "idle": "a check is due",
    "check": "metadata verified; it is this device's turn",
    "download": "over TLS, hashed while it came",
    "verify": "hash, signature, hardware, room, boot env",
    "install": "by SWUpdate; synced, read back, then armed",
    "validate": "healthy through the soak time",
    "commit": "confirmed in one environment write",
    "rollback": "undone, and not tried again",
}


@dataclass
class Lap:
    """One release on its way through the board, shown as it goes."""

    system: System
    board: FastBoard
    console: Console
    events: list[dict[str, Any]] = field(default_factory=list)
    slot: Slot | Stop | None = None
    seconds: float = 0.0

    async def run(self) -> None:
        """Wake otad, and watch until it sleeps again."""
        self.console.rule(f"[bold]release {self.system.version}[/]", align="left")
        began, seen, boots = time.monotonic(), last(self.board), len(self.board.boots)
        await (self.board.wake() if boots else self.board.power_on())
        settled = asyncio.create_task(self.board.settled())
        while True:
            over = settled.done()
            boots = self._boots(boots)
            for event in events_after(self.board, seen):
                seen = event["seq"]
                self._event(event)
            if over:
                break
            await asyncio.sleep(POLL)
        self.slot, self.seconds = settled.result(), time.monotonic() - began

    @property
    def cause(self) -> str:
        """Why it came back; empty when it did not."""
        return next((event["cause"]["what"] for event in self.events if event["state"] == "validate" and event.get("cause")), "")

    def _boots(self, shown: int) -> int:
        for end in self.board.boots[shown:]:
            self.console.print(f"  [cyan]{'U-Boot':>9}[/]  boots {f'slot {end.value}' if isinstance(end, Slot) else end.value}")
        return len(self.board.boots)

    def _event(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        bad = event["outcome"] == "failed"
        words = event["cause"]["what"] if bad else MEANS.get(event["state"], "")
        line = Table.grid(padding=(0, 0, 0, 2))  # a grid, so that a long cause stays in its column
        for width, justify in WIDTHS:
            line.add_column(width=width, justify=justify)
        outcome, took = f"[{'red' if bad else 'green'}]{event['outcome']}[/]", f"[dim]{event['durations']['state']:.1f} s[/]"
        line.add_row(f"[bold]{event['state']}[/]", outcome, took, words)
        self.console.print(line)


def main() -> None:
    """The whole demo. Exits 1 when a release did not end as it must."""
    parser = argparse.ArgumentParser(prog="simulator.demo", description="A good update and a bad one, live.")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw what is shown, too")
    picture = parser.parse_args().svg
    folder = Path("build/demo").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # a picture has no room for a spinner's frames, so it is not of a terminal
    console = Console(highlight=False, record=True, force_terminal=False, width=100) if picture else Console(highlight=False)
    status = asyncio.run(demo(folder, console))
    if picture:
        console.save_svg(str(picture), title="make demo")
    raise SystemExit(status)


async def demo(folder: Path, console: Console) -> int:
    """Two laps and a table; the exit status."""
    console.print(
        "[bold]otad[/] on a board of files: SWUpdate, fw_setenv, TUF over HTTPS are real,\nU-Boot is its tested model.\n"
    )
    with working(console, "keys: 3 root, 3 targets (2 of each must sign), and the online ones"):
        depot = await asyncio.to_thread(Depot.create, folder / "depot")
        await asyncio.to_thread(depot.publish)
    with working(console, "a device from the factory: release 1.0.0 in slot A, nothing in B"):
        factory = await asyncio.to_thread(depot.image, FACTORY)
    async with depot.served() as repository, FastBoard.create(folder / "board", factory, repository) as board:
        console.print(f"[green]✓[/] served at {repository.url}")
        laps = [Lap(GOOD, board, console), Lap(BAD, board, console)]
        for lap in laps:
            with working(console, f"release {lap.system.version}: built, packed, signed, rolled out, published"):
                await asyncio.to_thread(depot.offer, lap.system)
            if lap is not laps[0]:
                board.pass_hours()
            await lap.run()
    console.print()
    console.print(summary(laps))
    where(folder, console)
    good, bad = laps
    return 0 if good.slot is bad.slot is Slot.B and bad.cause and not good.cause else 1


def summary(laps: list[Lap]) -> Table:
    """What happened to each release."""
    table = Table(title="What happened", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("release", "ended", "runs now", "boots", "seconds", "why"):
        table.add_column(name)
    for lap in laps:
        ended = "[red]rolled back[/]" if lap.cause else "[green]committed[/]"
        slot = f"slot {lap.slot.value}" if lap.slot else "nothing"
        boots = sum(event["state"] in {"install", "validate"} and event["outcome"] in {"done", "failed"} for event in lap.events)
        table.add_row(lap.system.version, ended, slot, str(boots), f"{lap.seconds:.1f}", lap.cause)
    return table


def where(folder: Path, console: Console) -> None:
    """What there is to look at."""
    here = folder.relative_to(Path.cwd())
    console.print("\n[bold]Where to look[/]")
    for words, place in (
        ("as in the field", f".venv/bin/otactl status --config {here}/board/otad.toml"),
        ("", f".venv/bin/otactl history --config {here}/board/otad.toml"),
        ("boot environment", f"fw_printenv -c {here}/board/fw_env.config"),
        ("otad's log", f"{here}/board/console"),
        ("what is served", f"{here}/depot/public"),
        ("the failed boot", f"{here}/board/data/otad/evidence"),
    ):
        console.print(f"  {words:<16}  [cyan]{place}[/]", soft_wrap=True)


@contextmanager
def working(console: Console, words: str) -> Iterator[None]:
    """A spinner, then a line with the time that it took."""
    began = time.monotonic()
    with console.status(words):
        yield
    console.print(f"[green]✓[/] {words} [dim]{time.monotonic() - began:.1f} s[/]")


def events_after(board: FastBoard, seen: int) -> list[dict[str, Any]]:
    """The events that follow number `seen`; none while the journal is being made or recovered."""
    try:
        with closing(Reader(board.folder / "data" / "otad" / "journal.db")) as journal:
            return journal.events.page(seen)
    except JournalError:
        return []


def last(board: FastBoard) -> int:
    """Number of the newest event; 0 when there is none."""
    return max((event["seq"] for event in events_after(board, 0)), default=0)


if __name__ == "__main__":
    main()
