"""docs/delta-bench.md: what was measured, in words and tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

from bench.delta.figures import TARGETS, Measured
from bench.delta.measure import Cost
from bench.delta.pairs import Pair
from bench.delta.runs import ROUNDS, Result

INTRODUCTION = """# Deltas, measured

Made by `make bench-delta`: real images from Debian packages (arm64, {mib} MiB), each contender on the same pair, its result
verified by SHA-256. CPU is user + system time of all processes. Memory is the peak of the largest process, or of all together
where that is more. Making ours includes the proof by the device's decoder; applying includes hashing the old image and the
result, for everybody: a device has to know that both are right. Everybody applies in turns, {rounds} times: the
table has medians, ratios of speed are medians of the rounds' ratios. CPU times differ by some 30 % from day to day; sizes do not.
`apply_peak_rss_mib` is the most of any pair, above an interpreter that does nothing.

Of our applying, two fifths are hashing (what is used of the old image, before anything is written; the result), a fifth
is the kernel's copying (the old image is read twice), a sixth decoding and adding the sums; the rest is Python. Where
compressed files are made again, the compressor takes nearly as much as all that: [why](adr/0013-deltas.md). Their share is what
the initrd weighs: here it is that of one board, 14 MB.

![bytes sent](pictures/delta-bench.svg)
"""


def page(measured: Measured, pairs: Mapping[str, tuple[Pair, str]], figures: Mapping[str, float], mib: int) -> str:
    """The whole page. `pairs`: what each is, and how its packages differ."""
    lines = [INTRODUCTION.format(mib=mib, rounds=ROUNDS), *_figures(figures)]
    for name, results in measured.items():
        pair, packages = pairs[name]
        lines += [f"## {name}", "", f"{pair.about[0].upper()}{pair.about[1:]}. {packages}", "", *_table(results.values()), ""]
    return "\n".join(lines)


def _figures(figures: Mapping[str, float]) -> Iterator[str]:
    yield "| figure | measured | target |"
    yield "|---|---:|---|"
    for name, value in figures.items():
        yield f"| `{name}` | {value:g} | {_target(name, value)} |"
    yield ""


def _target(name: str, value: float) -> str:
    if name not in TARGETS:
        return ""
    side, target = TARGETS[name]
    met = value <= target if side == "at most" else value >= target
    return f"{side} {target:g}" if met else f"{side} {target:g}: **missed**"


def _table(results: Iterable[Result]) -> Iterator[str]:
    yield "| | MB sent | make, CPU s | make, MiB | apply, CPU s | apply, MiB |"
    yield "|---|---:|---:|---:|---:|---:|"
    for result in sorted(results, key=lambda one: one.size or 1 << 62):
        if result.size is None:
            yield f"| {result.title} | {result.why} | | | | |"
        else:
            yield f"| {result.title} | {result.size / 1e6:.1f} | {_cost(result.made)} | {_cost(_usual(result.applied))} |"


def _usual(rounds: Sequence[Cost]) -> Cost | None:
    """The median CPU of the rounds, and the highest peak."""
    return Cost(median(one.cpu for one in rounds), max(one.mib for one in rounds)) if rounds else None


def _cost(cost: Cost | None) -> str:
    return f"{cost.cpu:.1f} | {cost.mib:.0f}" if cost else " | "
