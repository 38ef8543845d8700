"""DOWNLOAD: what the release brings, into the cache. Cut at any byte, it goes on where the durable bytes end."""

from __future__ import annotations

from otad.errors import Corrupt, OtadError, Rejected
from otad.ports import Ports
from otad.statemachine import Outcome, Record, Step


async def run(record: Record, ports: Ports) -> Step:
    """DONE; HELD by a pause (the cache is kept); CORRUPT; REJECTED; FAILED when the bounded retries ran out."""
    attempt = record.the_attempt
    paused = ports.orders.paused()
    if paused:
        return Step(Outcome.HELD, paused)
    if attempt.generation is not None:
        return Step(Outcome.DONE)  # the target slot has it already; VERIFY proves that
    try:
        fetched = await ports.delivery.fetch(attempt, await ports.offers.release(attempt))
    except Rejected as error:
        return Step.failed(error, Outcome.REJECTED)
    except Corrupt as error:
        return Step.failed(error, Outcome.CORRUPT)  # the server's fault, and none of the release
    except OtadError as error:
        return Step.failed(error)
    return Step(Outcome.DONE, moved=fetched.moved, evidence=fetched.ways)
