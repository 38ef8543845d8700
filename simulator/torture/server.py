"""The process that is a lossy disk: `python -m simulator.torture.server POINT [DEAF ...]`, told on stdin, in lines of JSON.

    {"do": "settle"}                                everything is durable, as it left the factory; {}
    {"do": "trip", "before": PATTERN, "nth": N}     the power goes before that operation; {}, and {"tripped": OPERATION} then
    {"do": "cut", "odds": 0..1, "seed": N}          off and on again; {"lost": [...]}

It is a process of its own: who forks holds Python's lock until its child has found its program, on this very disk perhaps.
The end of stdin ends it.
"""

from __future__ import annotations

import json
import random
import select
import sys
from pathlib import Path
from typing import Any

from simulator.torture.fuse import Mounted, Trip, Unplugged
from simulator.torture.medium import Medium


def main(point: Path, deaf: tuple[str, ...]) -> None:
    """Serve until stdin ends."""
    medium = Medium(deaf=deaf)
    disk = Mounted(medium, point)
    try:
        _say({})
        while True:
            ready = select.select([sys.stdin, *([disk] if disk.fileno() >= 0 else [])], [], [])[0]
            if disk in ready:
                _answer(disk)
            if sys.stdin in ready:
                line = sys.stdin.readline()
                if not line:
                    return
                disk = _told(json.loads(line), medium, disk, point)
    finally:
        disk.unmount()


def _answer(disk: Mounted) -> None:
    try:
        disk.answer()
    except Unplugged as trip:
        _say({"tripped": str(trip)})  # before the processes notice
        disk.unplug()


def _told(order: dict[str, Any], medium: Medium, disk: Mounted, point: Path) -> Mounted:
    """Carry out an order; the disk as it is then mounted."""
    answer: dict[str, Any] = {}
    match order["do"]:
        case "settle":
            medium.settle()
        case "trip":
            disk.trip = Trip(order["before"], order["nth"])
        case "cut":
            disk.unmount()
            answer["lost"] = medium.cut(order["odds"], random.Random(order["seed"]))
            disk = Mounted(medium, point)
    _say(answer)
    return disk


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]))
