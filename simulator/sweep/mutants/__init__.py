"""Mutants: deliberate faults of otad and of the boot scripts. The sweep must catch each; one that it does not is a hole in it.

Each module lists those of one part. `python -m simulator.sweep.mutants` is `make mutants`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

Applied = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Mutant:
    """One fault: its name, what it breaks in a sentence, and how it is put in and taken out again.

    equivalent  why no device can tell the difference; such a mutant must survive
    """

    name: str
    breaks: str
    applied: Applied
    equivalent: str = ""
