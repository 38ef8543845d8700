"""What is measured. Each module has `run(quick) -> {figure: value}`; `make bench` runs them all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

OUT = Path("build/bench.json")


def merge(figures: Mapping[str, float]) -> dict[str, float]:
    """Put `figures` into build/bench.json; all that are there now."""
    merged = {**(json.loads(OUT.read_text()) if OUT.exists() else {}), **figures}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(merged, indent=2, sort_keys=True) + "\n")
    return merged
