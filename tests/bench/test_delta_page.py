"""What `make bench-delta` says of what it measured."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from bench.delta import page, plot
from bench.delta.figures import TARGETS, figures
from bench.delta.measure import Cost
from bench.delta.pairs import PAIRS
from bench.delta.runs import Result

MEASURED = {
    "minor": {
        "otad": Result("otad", "otad", 10_000_000, Cost(90, 1000), (Cost(5, 60), Cost(5, 70), Cost(20, 60))),
        "xdelta3": Result("xdelta3", "xdelta3 -9", 40_000_000, Cost(100, 2000), (Cost(6, 1000), Cost(10, 1000), Cost(6, 900))),
        "bsdiff": Result("bsdiff", "bsdiff", why="needs 18 GiB of memory, 2 are free"),
    },
    "plain": {
        "otad": Result("otad", "otad", 3_000_000, Cost(30, 900), (Cost(2, 50),)),
        "xdelta3": Result("xdelta3", "xdelta3 -9", 6_000_000, Cost(80, 2000), (Cost(5, 1000),)),
    },
}
FOUND = figures(MEASURED, 10)


def test_figures_are_of_what_was_measured() -> None:
    assert FOUND == {
        "delta_vs_xdelta3": 0.25,
        "delta_vs_xdelta3_plain": 0.5,
        "apply_vs_xdelta3": 2.5,
        "apply_vs_xdelta3_recompress": 1.2,
        "generator_vs_xdelta3_cpu": 0.9,
        "apply_peak_rss_mib": 60,
    }
    assert figures({}, 10) == {}


def test_the_page_tells_who_did_not_take_part() -> None:
    text = page.page(MEASURED, {pair.name: (pair, "2 of 9 packages changed.") for pair in PAIRS}, FOUND, 1024)
    assert "| xdelta3 -9 | 40.0 | 100.0 | 2000 | 6.0 | 1000 |" in text
    assert "| bsdiff | needs 18 GiB of memory, 2 are free | | | | |" in text
    assert "| `delta_vs_xdelta3` | 0.25 | at most 0.4 |" in text
    assert text.index("| otad | 10.0") < text.index("| xdelta3 -9 | 40.0") < text.index("| bsdiff")


def test_the_page_tells_what_was_missed() -> None:
    text = page.page(MEASURED, {pair.name: (pair, "") for pair in PAIRS}, {"apply_vs_xdelta3": 1.4, "delta_vs_full": 3}, 1024)
    assert "| `apply_vs_xdelta3` | 1.4 | at least 1.5: **missed** |" in text
    assert "| `delta_vs_full` | 3 |  |" in text


def test_bars_are_as_long_as_what_is_sent() -> None:
    root = ET.fromstring(plot.svg(MEASURED))  # noqa: S314  # ours
    bars = [float(bar.attrib["width"]) for bar in root.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert [round(bar / bars[1], 2) for bar in bars] == [0.25, 1, 0.5, 1]


def test_every_target_is_of_a_figure() -> None:
    assert {*FOUND, "delta_vs_zstd_patch_from_19", "delta_vs_block_index", "delta_major_vs_full"} == set(TARGETS)
