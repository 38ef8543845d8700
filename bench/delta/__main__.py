"""`make bench-delta`: deltas of Debian images, ours beside other people's.

Figures go into build/bench.json, the page and the plot into docs/.
A patch that was made before, of the same images by the same programs, is not made again; OTAD_CACHE says where it is kept.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console

import bench
from bench.delta import measure, page, plot
from bench.delta.contenders import contenders
from bench.delta.figures import Measured, figures
from bench.delta.measure import Failed
from bench.delta.pairs import FULL, PAIRS, SMALL, Pair, packages
from bench.delta.runs import HASH, Images, Result, results
from simulator.qemu.cache import Cache
from simulator.qemu.tools import NotReady

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    """Exits with 1 when the images cannot be made, or what was made cannot be applied any more."""
    parser = argparse.ArgumentParser(prog="make bench-delta", description=__doc__)
    parser.add_argument("--small", action="store_true", help=f"images of {SMALL.mib} MiB; prints the page, writes nothing")
    parser.add_argument("pairs", nargs="*", metavar="PAIR", help=f"of {', '.join(pair.name for pair in PAIRS)}; none: all")
    given = parser.parse_args()
    pairs = [pair for pair in PAIRS if pair.name in given.pairs or not given.pairs]
    size = SMALL if given.small else FULL
    try:
        made = {pair: pair.made(Cache.default(), size) for pair in pairs}
        measured = {pair.name: _measured(pair, Images.of(*images)) for pair, images in made.items()}
    except (NotReady, Failed) as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    found = figures(measured, _idle())
    text = page.page(measured, {pair.name: (pair, _changes(*images)) for pair, images in made.items()}, found, size.mib)
    if given.small or given.pairs:
        print(text)
        return
    _written(measured, found, text)


def _measured(pair: Pair, images: Images) -> dict[str, Result]:
    taking_part = [one for one in contenders() if one.name in (pair.against or (one.name,))]
    with Console(stderr=True).status(f"{pair.name}: {', '.join(one.name for one in taking_part)}"):
        return results(Cache.default(), taking_part, images)


def _idle() -> float:
    """MiB of an interpreter that does nothing, beside what hashes its output."""
    with tempfile.TemporaryDirectory() as folder:
        cost, _ = measure.run(f'{sys.executable} -c "import time; time.sleep(3)" | {HASH}', Path(folder), {}, 60)
    return cost.mib


def _changes(old: Path, new: Path) -> str:
    """How the packages differ that two images were made of."""
    before, after = packages(old), packages(new)
    changed = len(set(after) - set(before))
    return f"{changed} of {len(after)} packages are other than in the old image."


def _written(measured: Measured, found: dict[str, float], text: str) -> None:
    bench.merge(found)
    (DOCS / "delta-bench.md").write_text(text)
    (DOCS / "pictures" / "delta-bench.svg").write_text(plot.svg(measured))


if __name__ == "__main__":
    main()
