"""The boot facts as this boot found them, in `<run>/boot.json` (tmpfs): before otad, or anybody, wrote the environment.

Rules:
 1. Written once per boot, by the first start of the daemon; later starts read it.
 2. A stable boot is proven as soon as otad runs: nothing that can go wrong later (settings, journal) may count against it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from otad.bootenv import BootClass, BootEnvironment, BootStatus, Slot, classify

log = logging.getLogger(__name__)


def prove(boot: BootEnvironment, first: Callable[[BootStatus], BootStatus]) -> tuple[BootStatus, BootStatus]:
    """Note this boot's facts, and clear the counts of a stable one. The status as found, and as it is now.

    `first` keeps the status, unless one of this boot is kept already, and gives the one that is kept: `found`.
    Raises BootEnvironmentError when the environment cannot be read or written.
    """
    status = boot.status()
    began = first(status)
    if classify(status) is BootClass.STABLE and (status.unproven or status.tries):
        boot.proven()
        status = boot.status()
    return began, status


def found(run: Path, boot_id: str, status: BootStatus) -> BootStatus:
    """The status as this boot began, kept in `<run>/boot.json`; `status`, when this is the first start in this boot."""
    file = run / "boot.json"
    try:
        kept = json.loads(file.read_text())
        if kept.pop("boot_id") == boot_id:
            return _parse(kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # the first start in this boot, or one that was cut while it wrote: what is read now is what was found
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps({"boot_id": boot_id, **asdict(status)}))
        fresh.replace(file)
    except OSError as error:  # not worth a fallback: VERIFY of a later start in this boot refuses, and says why
        log.warning("the boot facts cannot be kept in %s: %s", file, error.strerror)
    return status


def _parse(kept: dict[str, object]) -> BootStatus:
    slots = {name: Slot(kept[name]) if kept[name] else None for name in ("booted", "fallback", "failed")}
    return BootStatus(**{**kept, **slots, "selected": Slot(kept["selected"])})  # type: ignore[arg-type]  # checked by Slot()
