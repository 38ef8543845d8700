"""Ways to bring a device from one image to another: one file each, found by listing this folder.

A contender is two scripts for bash, run in a folder of their own:
  make    has the images `$old` and `$new`; leaves what has to be sent in `patch`, a file or a folder
  apply   has `$old` and `patch` only; writes the new image to its stdout

`$python` is this interpreter, which finds this project's modules.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Contender:
    """One way.

    name        in figures and in the cache
    title       in the table
    tools       {program: Debian package}
    memory      bytes that it is known to need for each byte of the old image
    limit       s that making it, or applying, may take
    checks_old  apply finds out by itself whether `$old` is the image that the patch was made from
    checks_new  and whether what it makes is the new image
    made_of     files, and folders of files, of one that is made here: it is made anew when a program of them changes
    libraries   packages of Python that it stands on: when another version of one is installed, the same
    """

    name: str
    title: str
    make: str
    apply: str
    tools: Mapping[str, str] = field(default_factory=dict)
    memory: float = 0
    limit: float = 2 * 3600
    checks_old: bool = False
    checks_new: bool = False
    made_of: tuple[Path, ...] = ()
    libraries: tuple[str, ...] = ()


def contenders() -> Iterator[Contender]:
    """All, in order of their files and of CONTENDERS in each."""
    for found in pkgutil.iter_modules(__path__):
        yield from importlib.import_module(f"{__name__}.{found.name}").CONTENDERS
