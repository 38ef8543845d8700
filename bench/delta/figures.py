"""The figures that count, of what was measured. Pure.

A figure whose two sides were not both measured is left out: none is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median

from bench.delta.runs import Result

Measured = Mapping[str, Mapping[str, Result]]
"""{pair: {contender: result}}."""
OURS, YARDSTICK = "otad", "xdelta3"

Ratio = Callable[[Result, Result], float | None]


def _size(ours: Result, other: Result) -> float | None:
    return ours.size / other.size if ours.size and other.size else None


def _speed(ours: Result, other: Result) -> float | None:
    rounds = [theirs.cpu / mine.cpu for mine, theirs in zip(ours.applied, other.applied, strict=True)]
    return median(rounds) if rounds else None


def _effort(ours: Result, other: Result) -> float | None:
    return ours.made.cpu / other.made.cpu if ours.made and other.made else None


RATIOS: dict[str, tuple[Ratio, str, str]] = {
    "delta_vs_xdelta3": (_size, "minor", YARDSTICK),
    "delta_vs_xdelta3_lzma": (_size, "minor", "xdelta3_lzma"),
    "delta_vs_xdelta3_plain": (_size, "plain", YARDSTICK),
    "delta_vs_zstd_patch_from_3": (_size, "minor", "zstd_patch_from_3"),
    "delta_vs_zstd_patch_from_19": (_size, "minor", "zstd_patch_from_19"),
    "delta_vs_block_index": (_size, "minor", "blocks"),
    "delta_vs_casync": (_size, "minor", "casync"),
    "delta_vs_full": (_size, "minor", "full"),
    "delta_major_vs_full": (_size, "major", "full"),
    "apply_vs_xdelta3": (_speed, "plain", YARDSTICK),
    "apply_vs_xdelta3_recompress": (_speed, "minor", YARDSTICK),
    "generator_vs_xdelta3_cpu": (_effort, "minor", YARDSTICK),
}
"""Ours against another on a pair: bytes sent, MiB of the image per CPU second of applying, CPU seconds of making. Of applying it
is the median of the rounds."""
TARGETS: dict[str, tuple[str, float]] = {
    "delta_vs_xdelta3": ("at most", 0.40),
    "delta_vs_xdelta3_plain": ("at most", 0.65),
    "delta_vs_zstd_patch_from_19": ("at most", 0.45),
    "delta_vs_block_index": ("at most", 0.30),
    "delta_major_vs_full": ("at most", 1.0),
    "apply_peak_rss_mib": ("at most", 64.0),
    "apply_vs_xdelta3": ("at least", 1.5),
    "apply_vs_xdelta3_recompress": ("at least", 0.9),
    "generator_vs_xdelta3_cpu": ("at most", 1.5),
}


def figures(measured: Measured, idle: float) -> dict[str, float]:
    """`idle`: MiB of an interpreter that does nothing. `apply_peak_rss_mib`: the most of any pair above it."""
    found: dict[str, float] = {}
    for name, (ratio, pair, other) in RATIOS.items():
        results = measured.get(pair, {})
        if OURS in results and other in results and (value := ratio(results[OURS], results[other])):
            found[name] = round(value, 3)
    if peaks := [cost.mib for results in measured.values() if OURS in results for cost in results[OURS].applied]:
        found["apply_peak_rss_mib"] = round(max(peaks) - idle, 1)
    return found
