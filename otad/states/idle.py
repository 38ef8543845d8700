"""IDLE: waits for a reason to act."""

from __future__ import annotations

from otad.ports import Ports
from otad.statemachine import Record, Step


async def run(record: Record, ports: Ports) -> Step:
    """DUE when a check is due or asked for, REVERT with its attempt, SLEEP when nothing needs the process."""
    return await ports.orders.next(record)
