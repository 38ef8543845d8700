"""Deliberate faults: each takes one fsync away, on the disk's side. Torture is worth what it finds of them.

`python -m simulator.torture --prove` runs boards under each until a promise breaks, and prints after how many it did.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """What is not synced any more, where the product asks for it, and what the disk therefore does not do.

    near  a seed whose plan strikes where the fault shows, when few do
    """

    name: str
    where: str
    deaf: tuple[str, ...]
    near: int | None = None


FAULTS = (
    Fault("the slot after SWUpdate", "otad/slots.py", ("slot-?",)),
    Fault(
        "the journal (synchronous=OFF)", "otad/journal/connection.py", ("data/otad/journal.db", "data/otad/journal.db-journal")
    ),
    Fault("the journal's rollback file alone", "SQLite", ("data/otad/journal.db-journal",)),
    Fault("the boot environment", "fw_setenv", ("ubootenv.bin",)),
    Fault("a slot's pointer (its folder)", "otad/durable.py, link", ("data/otad/slots",)),
    Fault("a generation's bytes", "otad/durable.py, write", ("data/otad/generations/*.new",)),
    Fault("a generation's name", "otad/durable.py, write and folder", ("data/otad/generations", "data/otad/generations/[0-9]*")),
    Fault("trusted metadata: bytes", "otad/durable.py, write", ("data/otad/trust/*.new",)),
    Fault("trusted metadata: names", "otad/durable.py, write", ("data/otad/trust", "data/otad/trust/roots")),
    Fault("a blob's bytes", "otad/fetch/partial.py", ("data/updates/*.part",)),
    Fault("a blob's name", "otad/fetch/partial.py, publish", ("data/updates",)),
    Fault("the ledger's bytes", "otad/durable.py, write", ("data/updates/*.ledger.new",), near=878),  # it lives for milliseconds
    Fault("the device's id: bytes", "otad/durable.py, write", ("data/otad/.identity.new",)),
    Fault("evidence: bytes", "otad/durable.py, write", ("data/otad/evidence/*.new",)),
)
